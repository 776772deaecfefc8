# SPDX-License-Identifier: Apache-2.0
"""What a capsule costs as the store grows: the same load over ever more rows and log entries.

The store is filled in bulk: signed entries into the log, as the vault would have put them there,
and the rows they make into PostgreSQL. Blobs are not made for these (a million are 70 GB): a
capsule's blob is a name in one of 256 folders or a key in a bucket, whatever lies beside it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no types

from bench.fleet.crowd import EU
from bench.fleet.drive import Driver
from bench.fleet.fleet import Ready
from bench.fleet.stored import stored
from incamera.errors import UnavailableError
from incamera.ids import Digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import CapsuleEntry
from incamera.sealing.keys import SigningKey
from incamera.service.auth import Token
from incamera.service.logclient import LogClient
from incamera.wire import Client

__all__ = ["grow"]

_AT_ONCE = 5_000
_PATIENCE = 900.0
_COLUMNS = (
    *("digest", "capsule_id", "status", "at", "owner", "vehicle", "hour", "duration"),
    *("expires", "bytes", "cameras", "tags", "purposes"),
)


_CARS = 64
"""At once, each as soon as it has its answer: so batches are as large at every size."""


def grow(driver: Driver, sizes: Sequence[int], count: int) -> dict[str, Any]:
    """CPU and latency of ``count`` capsules at each size; the last compared with the first."""
    found: list[dict[str, Any]] = []
    for size in sizes:
        began = time.process_time()
        rows = asyncio.run(_fill(driver.ready, size))
        print(f"{rows} rows; filled in {time.process_time() - began:.0f} s CPU", flush=True)
        driver.run(f"warm at {size}", count=10 * _CARS, at_once=_CARS)
        phase = driver.run(f"{size} rows", count=count, at_once=_CARS)
        costs = phase.costs()
        served = sum(used for name, used in costs.items() if name != "cars")
        room = stored(driver.ready)
        found.append(
            {"rows": rows, "bytes": room, "served_ms": round(served, 3), **phase.figures()}
        )
        print(f"{size} rows: {served:.2f} ms CPU, {phase.latency()} {costs} {room}", flush=True)
    ratio = found[-1]["served_ms"] / found[0]["served_ms"]
    return {"sizes": found, "ratio": round(ratio, 3)}


async def _fill(ready: Ready, size: int) -> int:
    """Rows and log entries up to ``size``, while the vaults are stopped; how many there are."""
    for each in ready.vaults:
        each.stop()
    connection = await asyncpg.connect(ready.engines["postgres"].url)
    region = ready.region
    key = SigningKey.load(region.home.vault / "signing.key")
    urls = [party.url for party in region.parties.values() if party.kind == "log"]
    log = LogClient(urls, Token.load(region.folder / "token"), region.policy)
    try:
        there = int(await connection.fetchval("SELECT count(*) FROM capsules"))
        while there < size:
            names = [secrets.token_bytes(32) for _ in range(min(_AT_ONCE, size - there))]
            now = ready.maker.now
            entries = [
                encode(CapsuleEntry(region=EU, time=now, capsule=Digest(name.hex())), key)
                for name in names
            ]
            first = log.append(entries).first_index
            records = [_row(ready, name, first + at) for at, name in enumerate(names)]
            await connection.copy_records_to_table("capsules", records=records, columns=_COLUMNS)
            there += len(names)
            await connection.execute(
                "UPDATE marks SET value = $1 WHERE name = 'read'", first + len(names)
            )
        await connection.execute("ANALYZE")
    finally:
        log.close()
        await connection.close()
    for each in ready.vaults:
        each.start()
        _until_ready(each.url)
    return there


def _until_ready(url: str) -> None:
    """It reads what was put into the log first: a million entries take it a minute or two."""
    began = time.monotonic()
    with Client(url, seconds=60.0, attempts=1) as vault:
        while True:
            try:
                vault.get("readyz", limit=1 << 16)
            except UnavailableError:
                if time.monotonic() - began > _PATIENCE:
                    raise
                time.sleep(0.5)
            else:
                print(f"  the vault was ready after {time.monotonic() - began:.0f} s", flush=True)
                return


def _row(ready: Ready, name: bytes, at: int) -> tuple[Any, ...]:
    car = secrets.choice(ready.crowd.cars)
    facts = ready.maker.facts
    lists = (json.dumps(list(each)) for each in (facts.cameras, facts.tags, facts.purposes))
    owner = f"owner-{at % len(ready.crowd.owners)}"
    hour = f"2026-{1 + at % 12:02}-{1 + at % 28:02}T{at % 24:02}"
    what = (name, secrets.token_bytes(32), "kept", at, owner, car.name, hour, 30)
    return (*what, facts.expires, 73_000, *lists)
