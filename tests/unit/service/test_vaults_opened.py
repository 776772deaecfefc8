# SPDX-License-Identifier: Apache-2.0
"""The vault of a server as it is opened: what goes wrong with that, and whose it is."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from incamera.cli.serve import command as serve
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Name
from incamera.ledger import addresses
from incamera.ledger.entries import Address, AddressesEntry
from incamera.service.journal import Journal
from incamera.service.logclient import LogClient
from incamera.service.opening import vault_of
from incamera.service.settings import Listen, Peer, VaultSettings
from incamera.service.settings_database import DatabaseSettings
from incamera.service.vault import open_vault
from incamera.service.vaults import Vaults
from incamera.tlog import FolderFetch, Policy
from incamera.vault import Vault
from incamera.wire import egress
from incamera.wire.egress import ForeignError
from serving import CLOCK, Region
from world import World


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (InputError("no such bucket"), UnavailableError),
        (ForeignError("not an address of this region"), UnavailableError),
        (UnavailableError("the log does not answer"), UnavailableError),
        (IntegrityError("the log was forked"), IntegrityError),
    ],
)
def test_a_vault_that_is_set_up_wrong_is_away_to_callers(
    wrong: InputError, told: type[Exception]
) -> None:
    """A car that is told of bad input, or refused, would take it for its own; 503 it waits for."""

    def opened() -> Vault:
        raise wrong

    vaults = Vaults(opened)
    for _ in range(2):  # the second time without a try
        with pytest.raises(told, match=wrong.message):
            vaults.follow()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (InputError("no such bucket"), InputError),
        (ForeignError("not an address of this region"), ForeignError),
        (UnavailableError("the log does not answer"), None),
        (IntegrityError("the log was forked"), None),
    ],
)
def test_who_starts_a_vault_is_told_what_is_set_up_wrong(
    wrong: Error, told: type[Error] | None
) -> None:
    """As it is, with its exit code; an engine that is not there yet is waited for."""

    def opened() -> Vault:
        raise wrong

    with contextlib.nullcontext() if told is None else pytest.raises(told, match=wrong.message):
        Vaults(opened).begin(5.0)


def test_a_start_waits_no_longer_than_it_is_told() -> None:
    """What takes its time goes on behind."""
    never = threading.Event()

    def opened() -> Vault:
        never.wait()
        raise UnavailableError("at last")

    Vaults(opened).begin(0.05)
    never.set()


@pytest.fixture(scope="module")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Region:
    """A region as files: no server runs."""
    return Region(tmp_path_factory.mktemp("region"))


def test_a_vault_that_is_set_up_wrong_is_not_served(founded: Region) -> None:
    """A catalogue of a newer program: ``serve`` ends with 3, though its log does not answer yet.

    Without that, the log is waited for.
    """
    config = founded.parties["vault"].config
    opened = open_vault(VaultSettings.load(config), CLOCK, Journal("vault", CLOCK))
    assert opened.routes
    with contextlib.closing(sqlite3.connect(founded.home.vault / "index.db")) as file:
        file.execute("PRAGMA user_version = 99")
        file.commit()
    done = CliRunner().invoke(serve, ["vault", str(config)])
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == 3
    assert "newer" in done.exception.message


def test_the_chores_come_round_the_whole_store(tmp_path: Path) -> None:
    """What a killed vault left in any of the folders is removed, a folder a round."""
    world = World(tmp_path)
    opened = Vault(
        tmp_path / "vault", world.vault, world.logs.reopened(), FolderFetch(world.public), CLOCK
    )
    vaults, stores = Vaults(lambda: opened), tmp_path / "vault" / "blobs"
    for name in ("00", "7f", "ff"):
        left = stores / name / ".x.0011aabb.tmp"
        left.parent.mkdir()
        left.write_bytes(b"half")
        os.utime(left, (1, 1))
    for _ in range(256):
        vaults.tidy()
    assert not list(stores.rglob("*.tmp"))
    vaults.close()


# Addresses


@pytest.fixture
def held() -> Iterator[None]:
    """Whatever a test declares ends with it."""
    yield
    egress.guard(None)


class Near:
    """A log in this process, as a vault has it."""

    def __init__(self, world: World) -> None:
        self.log = world.logs.reopened()
        self.policy: Policy = self.log.policy
        self.append, self.refresh = self.log.append, self.log.refresh
        self.fetch: Any = FolderFetch(world.public)


def listed(world: World, port: int) -> AddressesEntry:
    """A list with this port of loopback on it."""
    allowed = (Address(Name("database"), "", "127.0.0.1/32", port),)
    return AddressesEntry(**world.facts(), allowed=allowed)


@pytest.fixture
def engine() -> Iterator[tuple[int, list[int]]]:
    """A port of loopback that hangs up on each caller, and the ports they called from."""
    callers: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, address = server.accept()
                    callers.append(address[1])
                    sock.close()

        threading.Thread(target=hang_up, daemon=True).start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)


def settings_of(folder: Path, database: str) -> VaultSettings:
    """Of a vault with a database."""
    return VaultSettings(
        listen=Listen("127.0.0.1", 0, None, None, 8),
        home=folder / "vault",
        key=folder / "signing.key",
        policy=folder / "tlog-policy",
        largest=1 << 20,
        log=Peer("http://127.0.0.1:9", None),
        log_public="http://127.0.0.1:9",
        token=folder / "token",
        trustees={},
        database=DatabaseSettings(database, 2),
    )


def test_a_vault_reads_where_its_database_is_before_it_connects(
    tmp_path: Path, held: None, engine: tuple[int, list[int]]
) -> None:
    """Its reading of the log is lost, and the list of its founding is older than its database.

    ==============================  ==========================================
    the log                         the vault
    ==============================  ==========================================
    does not answer                 connects to nobody
    declares another address        refuses, and connects to nobody
    declares the database's         connects to it
    ==============================  ==========================================
    """
    world, (port, callers) = World(tmp_path), engine
    settings = settings_of(tmp_path, f"postgresql://vault@127.0.0.1:{port}/eu")
    settings.home.mkdir()
    world.vault.save(settings.key)
    addresses.found_under(settings.home, listed(world, 9))
    addresses.hold(settings.home)

    def opened(near: Near) -> Error:
        with pytest.raises(Error) as caught:
            vault_of(settings, cast(LogClient, near), world.clock)
        return caught.value

    def silent(path: str) -> bytes:
        raise UnavailableError(f"{path} cannot be fetched")

    away = Near(world)
    away.fetch = silent
    assert "cannot be fetched" in opened(away).message
    world.say(listed(world, 10), world.operator)
    assert isinstance(opened(Near(world)), ForeignError)
    assert callers == []
    world.say(listed(world, port), world.operator)
    error = opened(Near(world))
    assert isinstance(error, UnavailableError), error  # what listens there is no PostgreSQL
    assert callers
