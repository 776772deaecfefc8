# SPDX-License-Identifier: Apache-2.0
"""How long an outsider takes to audit a long log with every check: `make bench-audit`.

Makes a real log (capsule entries signed by the vault's key, one in a thousand something else)
and audits it from its folder, in fresh processes. Making it is not timed as auditing. The last
line is one JSON object. `python -m bench.audit --entries 10000000` is the whole claim; fewer
entries are extrapolated, and say so.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from incamera import durable, ed25519
from incamera.clock import SystemClock
from incamera.ids import Region, digest
from incamera.ledger.codec import ENTRY_TYPE, encode
from incamera.ledger.entries import CampaignEntry, CapsuleEntry, RegionEntry
from incamera.sealing.keys import SigningKey
from incamera.tlog import Log, Policy, Signer, Witness
from incamera.tlog.note import Cosigner

ORIGIN = "bench.example/eu"
EU = Region("eu")
START = 1_800_000_000
FULL = 10_000_000
_BATCH = 1 << 16
_OTHER = 1_000  # one entry in that many is no capsule


def _seed(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


OPERATOR, VAULT = SigningKey(_seed("operator")), SigningKey(_seed("vault"))


def said(index: int) -> bytes:
    """Entry ``index``, not 0, of the log."""
    facts: dict[str, Any] = {"region": EU, "time": START + index // 100}
    if index % _OTHER == 0:
        return encode(CampaignEntry(**facts, campaign=digest(b"campaign")), OPERATOR)
    entry = CapsuleEntry(**facts, capsule=digest(b"capsule %d" % index))
    return encode(entry, VAULT) if index < _OTHER else quickly(entry)


def quickly(entry: CapsuleEntry) -> bytes:
    """What ``encode(entry, VAULT)`` gives, without its checks: making is not what is timed."""
    payload = b'{"capsule":"%s","region":"eu","time":%d,"type":"capsule","v":1}' % (
        entry.capsule.encode(),
        entry.time,
    )
    kind = ENTRY_TYPE.encode()
    signed = VAULT.sign(b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload))
    return b'{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}' % (
        base64.b64encode(payload),
        kind,
        VAULT.key_id.encode(),
        base64.b64encode(signed),
    )


def batch(first: int, end: int) -> list[bytes]:
    """A batch of entries; signing is most of it."""
    return [said(index) for index in range(first, end)]


class Writer:
    """The log under ``home``, with three witnesses of which two must cosign."""

    def __init__(self, home: Path, clock: SystemClock) -> None:
        self.public = home / "public"
        signer = Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(_seed("log")))
        keys = [
            Cosigner(f"w{n}.example", Ed25519PrivateKey.from_private_bytes(_seed(f"w{n}")))
            for n in (1, 2, 3)
        ]
        lines = [f"witness w{n} {each.vkey}" for n, each in enumerate(keys, 1)]
        lines = [f"log {signer.vkey}", *lines, "group all 2 w1 w2 w3", "quorum all", ""]
        self.policy = Policy.parse("\n".join(lines))
        logs = {ORIGIN: signer.verifier}
        witnesses = [Witness(home / each.name, each, logs, clock) for each in keys]
        self.log = Log.create(self.public, home / "state", signer, witnesses, self.policy, clock)

    def found(self) -> None:
        """Entry 0, and the text that others name."""
        entry = RegionEntry(
            region=EU,
            time=START,
            operator_key=OPERATOR.public,
            vault_key=VAULT.public,
            log_policy=digest(self.policy.text),
            threshold=2,
            notice=0,
            retention=30,
            quota=1_000,
        )
        self.log.append([encode(entry, OPERATOR)])
        name = digest(b"campaign")
        durable.create(self.public / "campaign" / f"{name}.toml", b"campaign")

    def grow(self, pool: ProcessPoolExecutor, end: int) -> None:
        """Append up to ``end`` entries, signed in all cores, in big batches."""
        firsts = range(self.log.size, end, _BATCH)
        made = [pool.submit(batch, at, min(at + _BATCH, end)) for at in firsts[:4]]
        for number, first in enumerate(firsts):
            entries = made.pop(0).result()
            if number + 4 < len(firsts):
                at = firsts[number + 4]
                made.append(pool.submit(batch, at, min(at + _BATCH, end)))
            self.log.append(entries)
            print(f"\rmade {first + len(entries):,} entries", end="", flush=True)
        print()


AUDIT = """
import json, resource, sys, time
from pathlib import Path
from incamera.audit import audit
from incamera.clock import SystemClock
from incamera.tlog import FolderFetch

def main():
    public = Path(sys.argv[1])
    begin = time.perf_counter()
    text = (public / "tlog-policy").read_bytes()
    report = audit(FolderFetch(public), text, SystemClock(), processes=int(sys.argv[2]))
    wall = time.perf_counter() - begin
    used = [resource.getrusage(each) for each in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(each.ru_utime + each.ru_stime for each in used)
    print(json.dumps({"ok": report.ok, "size": report.size, "counts": report.counts,
                      "errors": [each.what for each in report.findings][:3],
                      "wall": wall, "cpu": cpu, "main_kb": used[0].ru_maxrss}))

if __name__ == "__main__":
    main()
"""


def audited(home: Path, processes: int) -> dict[str, Any]:
    """One audit in a fresh interpreter; its figures and the peak memory of all its processes."""
    script = home / "audit_once.py"
    script.write_text(AUDIT)
    child = subprocess.Popen(
        [sys.executable, str(script), str(home / "public"), str(processes)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with _watched(child.pid) as peak:
        out, _ = child.communicate()
    if child.returncode:
        raise SystemExit(child.returncode)
    figures: dict[str, Any] = json.loads(out)
    figures["peak_kb"] = max([*peak, figures["main_kb"]])
    return figures


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[list[int]]:
    """Samples the proportional memory (KiB) of a process and its children, twice a second."""
    samples: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            with contextlib.suppress(OSError):
                samples.append(sum(_memory(each) for each in [pid, *_children(pid)]))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in tasks.read_text().split()]


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def signature_us() -> float:
    """What one signature costs here and now, in CPU: the floor of any audit that checks each."""
    signature, message = VAULT.sign(bytes(160)), bytes(160)
    begin = time.process_time()
    for _ in range(2_000):
        assert ed25519.quickly(VAULT.public, signature, message)
    return (time.process_time() - begin) / 2_000 * 1e6


def measure(home: Path, entries: int, processes: int) -> dict[str, Any]:
    """Make, audit; all figures."""
    began = time.perf_counter()
    writer = Writer(home, SystemClock())
    writer.found()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context) as pool:
        writer.grow(pool, entries)
    made = time.perf_counter() - began
    floor = signature_us()
    told = audited(home, processes)
    floor = (floor + signature_us()) / 2
    if not told["ok"]:
        raise SystemExit(f"the audit failed: {told['errors']}")
    cpu_each = told["cpu"] / entries * 1e6
    full_s = told["wall"] / entries * FULL
    print(f"{'entries':>12} {'wall s':>8} {'cpu s':>8} {'entries/s':>10} {'cpu us each':>12}")
    rate = entries / told["wall"]
    print(f"{entries:12,} {told['wall']:8.1f} {told['cpu']:8.1f} {rate:10,.0f} {cpu_each:12.1f}")
    print(f"of which a signature alone costs {floor:.1f} us here and now")
    print(f"peak memory of all processes {told['peak_kb'] / 1024:.0f} MiB")
    if entries != FULL:
        print(f"extrapolated, not measured: {FULL:,} entries in {full_s:.0f} s of wall time")
    return {
        "bench": "audit",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "processes": processes,
        "entries": entries,
        "make_s": round(made, 1),
        "wall_s": round(told["wall"], 2),
        "cpu_s": round(told["cpu"], 2),
        "cpu_us_per_entry": round(cpu_each, 2),
        "signature_us": round(floor, 2),
        "entries_per_s": round(rate),
        "peak_mib": round(told["peak_kb"] / 1024),
        "counts": told["counts"],
        "seconds_for_1e7": round(full_s, 1),
        "extrapolated": entries != FULL,
        "cpu_seconds_for_1e7_over_cores": round(cpu_each * FULL / 1e6 / processes, 1),
    }


def main() -> None:
    """Options, figures, one line of JSON."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=500_000)
    options.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    options.add_argument("--folder", type=Path, help="where to make the log (removed afterwards)")
    given = options.parse_args()
    shared = Path("/dev/shm")
    place = given.folder or (shared if shared.is_dir() else Path(tempfile.gettempdir()))
    need = given.entries * 550 + (1 << 28)  # bytes: the entries, their tiles, one batch
    if shutil.disk_usage(place).free < need:
        raise SystemExit(f"{place}: {need / 1e9:.1f} GB are needed there; name another --folder")
    with tempfile.TemporaryDirectory(prefix="bench-audit-", dir=place) as folder:
        result = measure(Path(folder), given.entries, given.processes)
    result["bench_peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps(result))


if __name__ == "__main__":
    main()
