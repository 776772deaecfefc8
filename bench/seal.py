# SPDX-License-Identifier: Apache-2.0
"""Sealing and opening a long clip, file to file, beside `age` in the same run.

Ours: to five trustees (three of them open) and the owner, signed, hashed, fsynced before it has
its name. age (pyrage): to six X25519 recipients, not fsynced unless the row says so. Each act is a
process of its own, the acts of a round take turns; peak memory is the process's VmHWM. `cp` is a
copy with fsync on the same disk. The last line is one line of JSON:
{"bench": "seal", "seal_gb_s": ..., "times_age": ..., "peak_mb": ...}.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from incamera.ids import Name, Region, digest
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, Trustee, seal

_MIB = 1 << 20
_TRUSTEES = ("ch", "is", "jp", "nz", "uy")
_NOTHING = digest(b"")
_FACTS = Facts(
    region=Region("eu"),
    vehicle=Name("car-7"),
    hour="2026-11-22T08",
    duration=60,
    cameras=[Name("front")],
    tags=[],
    consent="c-1",
    purposes=[Name("perception")],
    policy=_NOTHING,
    report=_NOTHING,
    models=[],
    zones=_NOTHING,
    expires=1_900_000_000,
)


def ours_seal(folder: Path) -> float:
    """The whole of `seal`; keys are made before the clock starts."""
    keys = [OpeningKey.load(folder / f"{name}.key") for name in (*_TRUSTEES, "owner")]
    trustees = [
        Trustee(Name(name), 0, key.public) for name, key in zip(_TRUSTEES, keys, strict=False)
    ]
    recipients = Recipients(trustees, 3, keys[-1].public)
    car = SigningKey.generate()
    begin = time.perf_counter()
    with (folder / "clip").open("rb") as file:
        seal(file, folder / "clip.capsule", facts=_FACTS, recipients=recipients, car=car)
    return time.perf_counter() - begin


def ours_open(folder: Path) -> float:
    """Three shares combined, every byte checked, decrypted, fsynced, named."""
    from incamera.sealing import wrap
    from incamera.sealing.capsule import read_capsule
    from incamera.sealing.opening import open_capsule

    header = read_capsule(folder / "clip.capsule").header
    wrapped = read_capsule(folder / "clip.capsule").wrapped
    found = {
        i: wrap.unwrap(
            wrapped[i - 1],
            OpeningKey.load(folder / f"{_TRUSTEES[i - 1]}.key"),
            header.share_info(i),
        )
        for i in (1, 3, 5)
    }
    begin = time.perf_counter()
    open_capsule(folder / "clip.capsule", found, folder / "opened")
    return time.perf_counter() - begin


def ours_verify(folder: Path) -> float:
    """What a keeper does: every byte against the signed header, without a key."""
    from incamera.sealing.capsule import read_capsule

    begin = time.perf_counter()
    read_capsule(folder / "clip.capsule").verify_stored()
    return time.perf_counter() - begin


def age_seal(folder: Path) -> float:
    """To six X25519 recipients."""
    import pyrage  # type: ignore[import-untyped]  # publishes no types

    keys = [pyrage.x25519.Identity.generate() for _ in range(6)]
    (folder / "age.key").write_text(str(keys[3]))
    begin = time.perf_counter()
    pyrage.encrypt_file(
        str(folder / "clip"), str(folder / "clip.age"), [key.to_public() for key in keys]
    )
    return time.perf_counter() - begin


def age_sync(folder: Path) -> float:
    """What is left to do until the file of :func:`age_seal` is on the disk."""
    begin = time.perf_counter()
    with (folder / "clip.age").open("rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - begin


def age_open(folder: Path) -> float:
    """By one of the six; not fsynced."""
    import pyrage

    key = pyrage.x25519.Identity.from_str((folder / "age.key").read_text())
    begin = time.perf_counter()
    pyrage.decrypt_file(str(folder / "clip.age"), str(folder / "opened"), [key])
    return time.perf_counter() - begin


def copy(folder: Path) -> float:
    """The plain speed of this disk for a file that is to survive."""
    begin = time.perf_counter()
    with (folder / "clip").open("rb") as source, (folder / "copy").open("wb") as dest:
        shutil.copyfileobj(source, dest, _MIB)
        dest.flush()
        os.fsync(dest.fileno())
    return time.perf_counter() - begin


ACTS = {
    each.__name__: each
    for each in (copy, ours_seal, age_seal, age_sync, ours_verify, ours_open, age_open)
}


def one(act: str, folder: Path) -> None:
    """In a process of its own: do ``act`` and print what it took."""
    begin = time.process_time()
    wall = ACTS[act](folder)
    cpu = time.process_time() - begin
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak is not None
    print(json.dumps({"wall": wall, "cpu": cpu, "peak": int(peak[1]) * 1024}))


def spent(act: str, folder: Path) -> dict[str, float]:
    """What ``act`` took: wall and CPU seconds, peak bytes."""
    call = [sys.executable, "-m", "bench.seal", "--act", act, "--folder", str(folder)]
    done = subprocess.run(call, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def rounds(folder: Path, count: int, mib: int) -> dict[str, list[dict[str, float]]]:
    """Every act, ``count`` times, taking turns."""
    for name in (*_TRUSTEES, "owner"):
        OpeningKey.generate().save(folder / f"{name}.key")
    with (folder / "clip").open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(_MIB))
        os.fsync(file.fileno())
    found: dict[str, list[dict[str, float]]] = {act: [] for act in ACTS}
    for _ in range(count):
        for act in ACTS:
            found[act].append(spent(act, folder))
            if act.endswith("_open"):
                same = (folder / "opened").stat().st_size == mib * _MIB
                assert same, f"{act}: not what was sealed"
            for name in {"copy": ["copy"], "ours_open": ["opened"]}.get(act, []):
                (folder / name).unlink()
        for name in ("clip.capsule", "clip.age", "opened"):
            (folder / name).unlink()
    return found


def figures(found: dict[str, list[dict[str, float]]], size: int) -> dict[str, Any]:
    """Medians of the rounds, in GB (1e9 bytes) a second, and ratios to age round by round."""

    def walls(*acts: str) -> list[float]:
        return [
            sum(each["wall"] for each in turn)
            for turn in zip(*(found[a] for a in acts), strict=True)
        ]

    def rate(*acts: str) -> float:
        return round(size / statistics.median(walls(*acts)) / 1e9, 2)

    def times(theirs: list[float], ours: list[float]) -> float:
        return round(statistics.median(t / o for t, o in zip(theirs, ours, strict=True)), 2)

    def cpu(*acts: str) -> float:
        return sum(min(each["cpu"] for each in found[act]) for act in acts)

    return {
        "cp_gb_s": rate("copy"),
        "seal_gb_s": rate("ours_seal"),
        "seal_best_gb_s": round(size / min(walls("ours_seal")) / 1e9, 2),
        "verify_gb_s": rate("ours_verify"),
        "open_gb_s": rate("ours_open"),
        "age_seal_gb_s": rate("age_seal"),
        "age_seal_fsync_gb_s": rate("age_seal", "age_sync"),
        "age_open_gb_s": rate("age_open"),
        "times_age": times(walls("age_seal"), walls("ours_seal")),
        "times_age_fsync": times(walls("age_seal", "age_sync"), walls("ours_seal")),
        "times_age_open": times(walls("age_open"), walls("ours_open")),
        "times_cp": times(walls("copy"), walls("ours_seal")),
        "cpu_s_per_gb": round(cpu("ours_seal") / size * 1e9, 2),
        "age_cpu_s_per_gb": round(cpu("age_seal") / size * 1e9, 2),
        "peak_mb": round(max(e["peak"] for a in found for e in found[a] if "ours" in a) / 1e6),
        "age_peak_mb": round(max(e["peak"] for a in found for e in found[a] if "age" in a) / 1e6),
    }


def main() -> None:
    """The rounds on a disk, and again in memory, which shows what the code itself can do."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mib", type=int, default=1024)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--disk", type=Path, default=Path(), help="a folder on the disk to test")
    options.add_argument(
        "--memory", type=Path, default=Path("/dev/shm"), help="a tmpfs; skipped if there is none"
    )
    options.add_argument("--act", choices=ACTS, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.act:
        one(given.act, given.folder)
        return
    result: dict[str, Any] = {"bench": "seal", "mib": given.mib, "rounds": given.rounds}
    for kind, place in (("disk", given.disk), ("memory", given.memory)):
        if not place.is_dir():
            continue
        with tempfile.TemporaryDirectory(prefix=".bench-seal-", dir=place) as made:
            figure = figures(rounds(Path(made), given.rounds, given.mib), given.mib * _MIB)
        print(kind, *(f"{name}={value}" for name, value in figure.items()), sep="\n  ")
        result[kind] = figure
        if kind == "disk":
            result.update({name: figure[name] for name in ("seal_gb_s", "times_age", "peak_mb")})
    print(json.dumps(result))


if __name__ == "__main__":
    main()
