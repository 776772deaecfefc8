# SPDX-License-Identifier: Apache-2.0
"""What admitting a capsule costs a vault, by stage, and what it costs as the catalogue grows.

The vault is in this process, without a server in front; log and three witnesses are real processes,
the catalogue is a real PostgreSQL or an SQLite file, the blobs are files. Capsules of 64 KiB under
real headers, of 256 cars, in batches (``--batch``). Rows of other capsules are filled in by the
engine itself, into the catalogue and into the vault's own state.

CPU of this process alone, all its threads; ``database_ms`` is PostgreSQL's own, on top of it.
The last line is one line of JSON: {"bench": "admit", "postgres": {...}, "sqlite": {...}}.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bench.fleet  # noqa: F401 - puts the tests' region on the path
from bench.fleet.capsules import PAYLOAD, Maker
from bench.fleet.crowd import Car
from engines import Engine, postgres
from incamera.errors import Error
from incamera.ids import Name
from incamera.ids import Region as LegalRegion
from incamera.ledger.codec import encode
from incamera.ledger.entries import PartyEntry
from incamera.sealing.keys import OpeningKey, SigningKey, key_id
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from incamera.vault import Index, Vault, admit
from incamera.vault.postgres import PostgresIndex
from incamera.vault.sqlite import SqliteIndex
from serving import CLOCK, WITNESSES, Region

CARS = 256
_LISTS = "'[\"front\"]', '[\"hard-brake\"]', '[\"driver-assistance\"]'"


class Stages:
    """CPU of the calls that were wrapped, by name."""

    def __init__(self) -> None:
        self.spent = defaultdict[str, float](float)

    def wrap(self, owner: Any, method: str, name: str) -> None:
        """Count ``owner.method`` under ``name``; what it makes is made within it."""
        real = getattr(owner, method)

        def counted(*args: Any, **more: Any) -> Any:
            began = time.process_time()
            try:
                found = real(*args, **more)
                return list(found) if isinstance(found, Iterator) else found
            finally:
                self.spent[name] += time.process_time() - began

        setattr(owner, method, counted)

    def wrap_entering(self, owner: Any, method: str, name: str) -> None:
        """The same of a context manager's beginning and end."""
        real = getattr(owner, method)

        @contextlib.contextmanager
        def counted(*args: Any, **more: Any) -> Iterator[Any]:
            began = time.process_time()
            with real(*args, **more) as found:
                self.spent[name] += time.process_time() - began
                yield found
                began = time.process_time()
            self.spent[name] += time.process_time() - began

        setattr(owner, method, counted)


class Bench:
    """A region with a log that runs, and a vault of it in this process."""

    def __init__(self, folder: Path) -> None:
        self.region = Region(folder)
        self.region.start(["log", *WITNESSES])
        self.key = SigningKey.load(self.region.home.vault / "signing.key")
        self.token = Token.load(folder / "token")
        self.cars: list[Car] = []
        self.owner = OpeningKey.load(self.region.home.owner / "opening.key").public

    def vault(self, index: Index, home: Path) -> Vault:
        """Opened over ``index``."""
        log = LogClient(self.region.urls["log"], self.token, self.region.policy)
        return Vault(home, self.key, log, log.fetch, CLOCK, index=index)

    def enrol(self, vault: Vault) -> None:
        """The cars that send."""
        operator = SigningKey.load(self.region.home.operator)
        entries = []
        for number in range(CARS):
            key, name = SigningKey.generate(), Name(f"bench-{number}")
            self.cars.append(Car(name=name, seed=b"", key=key, owner=key_id(self.owner)))
            facts: dict[str, Any] = {"region": LegalRegion("eu"), "time": CLOCK.now()}
            party = PartyEntry(
                **facts,
                role="car",
                name=name,
                kind=Name("private"),
                country="DE",
                key=key.public,
                opening=b"",
            )
            entries.append(encode(party, operator))
        failed = [each for each in vault.submit_all(entries) if isinstance(each, Error)]
        assert not failed, failed[0]

    def batches(self, maker: Maker, folder: Path, count: int, size: int) -> Iterator[list[Path]]:
        """Capsule files, ``size`` at a time."""
        for number in range(count):
            paths = []
            for at in range(size):
                head = maker.head(self.cars[(number * size + at) % CARS])
                path = folder / f"{at}.capsule"
                path.write_bytes(head.data + maker.bodies[head.body].tail)
                paths.append(path)
            yield paths


def fill_postgres(url: str) -> Callable[[int], None]:
    """Adds rows of other capsules."""
    import asyncio

    import asyncpg  # type: ignore[import-untyped]

    async def fill(count: int) -> None:
        connection = await asyncpg.connect(url)
        sql = "SELECT indexdef FROM pg_indexes WHERE tablename = 'capsules' AND indexname <> $1"
        others = [row[0] for row in await connection.fetch(sql, "capsules_pkey")]
        for each in others:  # made again at the end: ten times as quick
            await connection.execute(f"DROP INDEX {each.split()[2]}")
        await connection.execute("ALTER TABLE capsules DROP CONSTRAINT capsules_pkey")
        await connection.execute("SET maintenance_work_mem = '256MB'")
        await connection.execute(
            f"""INSERT INTO capsules SELECT sha256(('a' || random() || i)::bytea),
            sha256(('b' || random() || i)::bytea), 'kept', i, 'owner-' || i % 200000,
            'car-' || i % 200000, '2026-11-' || lpad((1 + i % 28)::text, 2, '0') || 'T12', 30,
            1900000000, 70000, {_LISTS} FROM generate_series(1, {count}) AS i"""
        )
        await connection.execute("ALTER TABLE capsules ADD PRIMARY KEY (digest)")
        for each in others:
            await connection.execute(each)
        await connection.execute("ANALYZE capsules")
        await connection.execute("CHECKPOINT")
        await connection.close()

    return lambda count: asyncio.run(fill(count))


def fill_sqlite(path: Path) -> Callable[[int], None]:
    """The same for a file."""

    def fill(count: int) -> None:
        with contextlib.closing(sqlite3.connect(path)) as file:
            sql = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE ?"
            others = file.execute(sql, ("%ON capsules%",)).fetchall()
            for each, _ in others:  # made again at the end: ten times as quick
                file.execute(f"DROP INDEX {each}")
            file.execute(
                f"""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n
                WHERE i < {count}) INSERT INTO capsules SELECT randomblob(32), randomblob(32),
                'kept', i, 'owner-' || (i % 200000), 'car-' || (i % 200000),
                '2026-11-' || (10 + i % 18) || 'T12', 30, 1900000000, 70000, {_LISTS} FROM n
                ORDER BY 1"""
            )
            for _, made in others:
                file.execute(made)
            file.commit()

    return fill


def fill_state(path: Path, count: int) -> None:
    """The vault's own reading of the log, as if it had read so many capsules."""
    with contextlib.closing(sqlite3.connect(path)) as file:
        file.execute(
            f"""WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
            INSERT INTO capsules SELECT randomblob(32), i, 1800000000 FROM n ORDER BY 1"""
        )
        file.commit()


def spent_by(engine: Engine | None) -> float:
    """CPU seconds of a server's processes, those that ended included."""
    if engine is None or engine.process is None:
        return 0.0
    ticks, parent = 0, str(engine.process.pid)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(") ")[2].split()
            if fields[1] == parent:
                ticks += int(fields[11]) + int(fields[12])
            elif stat.parent.name == parent:
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    bench: Bench, vault: Vault, maker: Maker, folder: Path, engine: Engine | None, args: Any
) -> dict[str, Any]:
    """CPU ms a capsule, by stage, over some batches."""
    for paths in bench.batches(maker, folder, args.warm, args.batch):  # connections, folders, pages
        assert not any(isinstance(each, Error) for each in vault.admit_all(paths))
    stages = Stages()
    with contextlib.ExitStack() as undo:
        for module, name in ((admit, "receipts"), (admit, "encode")):
            undo.callback(setattr, module, name, getattr(module, name))
        stages.wrap(admit, "receipts", "receipts")
        stages.wrap(admit, "encode", "entry")
        for owner, method, name in (
            (vault._admitting, "_read_all", "read"),
            (vault._admitting, "_judge", "rules"),
            (vault._reading, "follow", "follow"),
            (vault._account, "catch_up", "rows kept"),
            (vault._blobs, "put_all", "blobs"),
            (vault._admitting, "append", "append"),
        ):
            stages.wrap(owner, method, name)
            undo.callback(delattr if method != "append" else _put_back, owner, method)
        stages.wrap_entering(vault._index, "begin", "rows begun")
        undo.callback(delattr, vault._index, "begin")
        total, wall, before = 0.0, 0.0, spent_by(engine)
        for paths in bench.batches(maker, folder, args.batches, args.batch):
            began, at = time.process_time(), time.perf_counter()
            answers = vault.admit_all(paths)
            total += time.process_time() - began
            wall += time.perf_counter() - at
            failed = [each for each in answers if isinstance(each, Error)]
            assert not failed, failed[0]
    count = args.batches * args.batch
    database = round((spent_by(engine) - before) / count * 1e3, 3)
    stages.spent["rows kept"] -= stages.spent["follow"]
    found = {name: round(spent / count * 1e3, 3) for name, spent in stages.spent.items()}
    found["other"] = round(total / count * 1e3 - sum(found.values()), 3)
    cpu, waited = round(total / count * 1e3, 3), round(wall / count * 1e3, 3)
    return {"cpu_ms": cpu, "database_ms": database, "wall_ms": waited, **found}


def _put_back(owner: Any, method: str) -> None:
    setattr(owner, method, owner.first)


def run(name: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One engine: an empty catalogue, then the sizes asked for."""
    with contextlib.ExitStack() as stack:
        bench = Bench(folder)
        stack.callback(bench.region.stop)
        home = bench.region.home.vault
        index: Index
        engine: Engine | None = None
        if name == "postgres":
            engine = stack.enter_context(postgres())
            index, fill = PostgresIndex(engine.url), fill_postgres(engine.url)
        else:
            index, fill = SqliteIndex(home / "index.db"), fill_sqlite(home / "index.db")
        vault = bench.vault(index, home)
        stack.callback(vault.close)
        vault._admitting.first = vault._admitting.append  # type: ignore[attr-defined]
        bench.enrol(vault)
        maker = Maker(bench.region, 8, bench.owner, PAYLOAD)
        found, have = dict[str, Any](), 0
        for rows in sorted(args.rows):
            fill(rows - have)
            fill_state(home / "state.db", rows - have)
            have = rows
            found[str(rows)] = measure(bench, vault, maker, folder, engine, args)
            print(f"{name:9} {rows:>9,} rows  {found[str(rows)]}", flush=True)
        return found


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--batch", type=int, default=48, help="capsules at a time")
    parser.add_argument("--batches", type=int, default=20)
    parser.add_argument("--warm", type=int, default=10, help="batches before it is measured")
    parser.add_argument("--rows", type=int, nargs="*", default=[10_000, 1_000_000])
    parser.add_argument("--engine", choices=["postgres", "sqlite"], action="append")
    args = parser.parse_args()
    found: dict[str, Any] = {"bench": "admit", "batch": args.batch}
    for name in args.engine or ["postgres", "sqlite"]:
        with tempfile.TemporaryDirectory(prefix="incamera-admit-") as folder:
            found[name] = run(name, Path(folder), args)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
