# SPDX-License-Identifier: Apache-2.0
"""Any number of vaults over shared tables and blobs, for tests."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from engines import Engine
from incamera.errors import Error
from incamera.ids import Digest
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry
from incamera.ledger.receipt import check_receipt
from incamera.sealing.capsule import LENGTH, MAGIC, read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import HEADER_TYPE
from incamera.tlog import FolderFetch
from incamera.vault import FileBlobs, Index, Vault
from world import World


def fresh_database(server: Engine) -> str:
    """The URL of a new, empty database."""
    name = f"vault_{secrets.token_hex(6)}"

    async def make() -> None:
        connection = await asyncpg.connect(server.url)
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    asyncio.run(make())
    return f"{server.url.rpartition('/')[0]}/{name}"


class Shared:
    """A world, and what any number of its vaults share: tables and blobs."""

    def __init__(self, world: World, make: Callable[[], Index], stack: contextlib.ExitStack):
        self.world = world
        self.make = make
        self.blobs = FileBlobs(world.home / "shared-blobs")
        self._stack = stack

    def vault(self, name: str = "vault", **more: Any) -> Vault:
        """One vault, with a folder of its own."""
        world = self.world
        more = dict[str, Any](blobs=self.blobs, index=self.make()) | more
        log, fetch = world.logs.reopened(), FolderFetch(world.public)
        opened = Vault(world.home / name, world.vault, log, fetch, world.clock, **more)
        self._stack.callback(opened.close)
        return opened


def logged(world: World) -> list[Digest]:
    """The capsules of all capsule entries, in log order."""
    entries = (decode(each, "log").entry for each in world.entries())
    return [each.capsule for each in entries if isinstance(each, CapsuleEntry)]


def name_of(path: Path) -> Digest:
    """A capsule's digest."""
    return read_capsule(path).digest


def proven(world: World, receipt: bytes | Error, path: Path) -> int:
    """The log index that a receipt proves for the capsule at ``path``."""
    if isinstance(receipt, Error):
        raise receipt
    region = world.state().region
    assert region is not None
    return check_receipt(receipt, name_of(path), region, world.logs.policy).index


def erasure(world: World, *names: Digest) -> bytes:
    """By the owner of all."""
    entry = ErasureEntry(
        **world.facts(), capsules=tuple(sorted(names)), by="owner", name="ada", reason=""
    )
    return encode(entry, world.owner.signing)


def twins(world: World) -> tuple[Path, Path]:
    """Two capsules with one capsule id: the second is the first, said to be of another hour."""
    one, two = world.seal(), world.home / "twin.capsule"
    capsule = read_capsule(one)
    other = replace(capsule.header, hour="2026-11-21T13")
    envelope = seal_envelope(other.serialise(), HEADER_TYPE, world.car)
    tail = one.read_bytes()[len(MAGIC) + LENGTH.size + len(capsule.envelope) :]
    two.write_bytes(MAGIC + LENGTH.pack(len(envelope)) + envelope + tail)
    return one, two
