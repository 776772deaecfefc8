# SPDX-License-Identifier: Apache-2.0
"""How fast a served log takes entries in: real processes, loopback HTTP, 3 witnesses, 2 needed.

Each figure is of entries that are durable, integrated, cosigned by the quorum and published when
they are answered. Entries are real ones, signed, of some 600 bytes, all different.

1. batches: 4 senders, 2,000 entries a call;
2. singles: 50 callers at once, one entry a call, again and again;
3. proofs: 8 callers: an entry in, its inclusion proof fetched and verified; with one witness down.

The last line is one line of JSON: {"bench": "log", "entries_per_s": ..., ...}.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from incamera.clock import SystemClock
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import GrantEntry
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from incamera.tlog import Policy, Proof
from incamera.tlog.keys import generate_cosigner, generate_signer, save

_CLOCK = SystemClock()


class Served:
    """One party's process."""

    def __init__(self, kind: str, config: Path, *more: str) -> None:
        command = [sys.executable, "-m", "incamera", "serve", kind, str(config), "--json", *more]
        with config.with_suffix(".stderr").open("wb") as said:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)

    def url(self) -> str:
        """Where it is, once it can be asked."""
        assert self.process.stdout is not None
        url: str = json.loads(self.process.stdout.readline())["url"]
        return url

    def cpu(self) -> float:
        """CPU seconds it has used."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Bench:
    """A log and three witnesses, each a process."""

    def __init__(self, folder: Path) -> None:
        signer = generate_signer("log.example/bench")
        names = ["w1", "w2", "w3"]
        cosigners = [generate_cosigner(f"witness.example/{name}") for name in names]
        lines = [f"log {signer.vkey}"]
        lines += [f"witness {n} {c.vkey}" for n, c in zip(names, cosigners, strict=True)]
        text = "\n".join(
            [*lines, f"group all-witnesses 2 {' '.join(names)}", "quorum all-witnesses", ""]
        )
        self.policy = Policy.parse(text)
        (folder / "tlog-policy").write_text(text)
        self.witnesses = []
        for name, cosigner in zip(names, cosigners, strict=True):
            save(folder / f"{name}.key", cosigner)
            config = folder / f"{name}.toml"
            config.write_text(
                f'listen = "127.0.0.1:0"\nstate = "{name}"\nkey = "{name}.key"\n'
                f'[[log]]\nvkey = "{signer.vkey}"\n'
            )
            self.witnesses.append(Served("witness", config))
        save(folder / "log.key", signer)
        token = Token(secrets.token_hex(32))
        (folder / "token").write_text(token.secret)
        (folder / "token").chmod(0o600)
        asked = "".join(f'[[witness]]\nurl = "{each.url()}"\n' for each in self.witnesses)
        (folder / "log.toml").write_text(
            'listen = "127.0.0.1:0"\npublic = "public"\nstate = "state"\nkey = "log.key"\n'
            f'policy = "tlog-policy"\ntoken = "token"\n{asked}'
        )
        self.log = Served("log", folder / "log.toml", "--create")
        self.url = self.log.url()
        self.token = token

    def client(self) -> LogClient:
        """A vault's way to the log."""
        return LogClient(self.url, self.token, self.policy)

    def stop(self) -> None:
        """All of them."""
        for each in (self.log, *self.witnesses):
            with contextlib.suppress(ProcessLookupError):
                each.stop()


def make_entries(count: int) -> list[bytes]:
    """Signed grant entries, all different."""
    key, now, run = SigningKey.generate(), _CLOCK.now(), secrets.token_hex(8)

    def made(capsules: Digest) -> bytes:
        entry = GrantEntry(
            region=Region("eu"),
            time=now,
            trustee=Name("trustee-de"),
            request=digest(b"request"),
            capsules=capsules,
            count=1,
        )
        return encode(entry, key)

    return [made(digest(f"{run}{number}".encode())) for number in range(count)]


def in_turns(bench: Bench, callers: int, act: Callable[[LogClient], None]) -> float:
    """Run ``act`` in so many threads, each with a client; wall seconds until all are done."""
    clients = [bench.client() for _ in range(callers)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(act, clients))
    return time.perf_counter() - begin


def share(values: list[float], part: float) -> float:
    """The value that ``part`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def batches(bench: Bench, entries: list[bytes], size: int, senders: int) -> dict[str, float]:
    """Entries a second in calls of ``size`` entries."""
    calls = [entries[at : at + size] for at in range(0, len(entries), size)]
    turn = threading.Lock()
    waiting = iter(calls)

    def send(client: LogClient) -> None:
        while True:
            with turn:
                call = next(waiting, None)
            if call is None:
                return
            client.append(call)

    cpu = bench.log.cpu()
    seconds = in_turns(bench, senders, send)
    used = bench.log.cpu() - cpu
    rate, by_cpu = len(entries) / seconds, len(entries) / used
    print(f"batches of {size}: {rate:,.0f} entries/s, {by_cpu:,.0f} a CPU second of the log")
    return {"entries_per_s": round(rate), "entries_per_log_cpu_s": round(by_cpu)}


def singles(bench: Bench, entries: list[bytes], callers: int, seconds: float) -> dict[str, float]:
    """Latency of single entries, many callers at once."""
    took: list[float] = []
    until = time.perf_counter() + seconds
    waiting: Iterator[bytes] = iter(entries)
    turn = threading.Lock()

    def send(client: LogClient) -> None:
        while time.perf_counter() < until:
            with turn:
                entry = next(waiting, None)
            if entry is None:
                return
            begin = time.perf_counter()
            client.append([entry])
            took.append(time.perf_counter() - begin)

    wall = in_turns(bench, callers, send)
    found = {"p50": statistics.median(took), "p99": share(took, 0.99)}
    print(
        f"{callers} single callers: {len(took) / wall:7,.0f} entries/s, integrated within "
        f"{found['p50'] * 1e3:.0f} ms (p50), {found['p99'] * 1e3:.0f} ms (p99)"
    )
    return {
        "single_callers": callers,
        "single_p50_s": round(found["p50"], 4),
        "single_p99_s": round(found["p99"], 4),
        "single_entries_per_s": round(len(took) / wall),
    }


def proofs(bench: Bench, entries: list[bytes], callers: int) -> dict[str, float]:
    """From the entry being sent to its verified proof, one of the witnesses being down."""
    bench.witnesses[2].stop()
    took: list[float] = []
    waiting = iter(entries)
    turn = threading.Lock()

    def prove(client: LogClient) -> None:
        while True:
            with turn:
                entry = next(waiting, None)
            if entry is None:
                return
            begin = time.perf_counter()
            index = client.append([entry]).first_index
            Proof.parse(client.proven(index)[1]).verify(entry, bench.policy)
            took.append(time.perf_counter() - begin)

    in_turns(bench, callers, prove)
    p50, p99 = statistics.median(took), share(took, 0.99)
    print(
        f"{callers} callers, 2 of 3 witnesses: a verified proof after {p50 * 1e3:.0f} ms (p50), "
        f"{p99 * 1e3:.0f} ms (p99)"
    )
    return {"proof_p50_s": round(p50, 4), "proof_p99_s": round(p99, 4)}


def main() -> None:
    """The three measurements, in turn, of one log."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--entries", type=int, default=60_000)
    options.add_argument("--batch", type=int, default=2_000)
    options.add_argument("--senders", type=int, default=4)
    options.add_argument("--callers", type=int, default=50)
    options.add_argument("--seconds", type=float, default=10.0)
    options.add_argument("--proofs", type=int, default=400)
    options.add_argument(
        "--folder", type=Path, help="on the disk to be measured; default: a temporary one"
    )
    given = options.parse_args()
    entries = make_entries(given.entries + 20_000 + given.proofs)
    size = round(statistics.mean(map(len, entries[:1000])))
    print(f"{len(entries)} entries of {size} bytes signed")
    result: dict[str, object] = {"bench": "log", "entry_bytes": size, "batch": given.batch}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        bench = Bench(Path(folder))
        try:
            first, rest = entries[: given.entries], entries[given.entries :]
            result |= batches(bench, first, given.batch, given.senders)
            result |= singles(bench, rest[given.proofs :], given.callers, given.seconds)
            result |= proofs(bench, rest[: given.proofs], 8)
        finally:
            bench.stop()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
