# SPDX-License-Identifier: Apache-2.0
"""``incamera serve``: one party of a region as a server of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incamera import durable
from incamera.cli import terminal
from incamera.clock import SystemClock

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from incamera.service.journal import Journal
    from incamera.service.settings import (
        LogSettings,
        TrusteeSettings,
        VaultSettings,
        WitnessSettings,
    )

    Settings = WitnessSettings | LogSettings | VaultSettings | TrusteeSettings

__all__ = ["command"]

PARTIES = ("witness", "log", "vault", "trustee")


def _load(party: str, config: Path) -> Settings:
    from incamera.service import settings

    load: dict[str, Callable[[Path], Settings]] = {
        "witness": settings.WitnessSettings.load,
        "log": settings.LogSettings.load,
        "vault": settings.VaultSettings.load,
        "trustee": settings.TrusteeSettings.load,
    }
    return load[party](config)


def _open(told: Settings, journal: Journal, create: bool) -> ASGIApp:
    """The app of the party whose settings these are."""
    from incamera import service
    from incamera.service import residency, settings

    clock = SystemClock()
    residency.hold_to_region(told)  # before anybody is asked anything
    if isinstance(told, settings.WitnessSettings):
        return service.open_witness(told, clock, journal)
    if isinstance(told, settings.LogSettings):
        return service.open_log(told, clock, journal, create=create)
    if isinstance(told, settings.VaultSettings):
        return residency.Inside(service.open_vault(told, clock, journal), told.residency)
    return service.open_trustee(told, clock, journal)


@contextlib.contextmanager
def _alone(folder: Path, make: bool) -> Iterator[None]:
    """One server at a time works in ``folder``; the kernel ends this with the process."""
    if make:
        durable.folder(folder, 0o700)
    if not folder.is_dir():  # what is missing is said by who needs it
        yield
        return
    with durable.lock(folder / "serve.lock"):
        yield


def _ready(party: str, as_json: bool) -> Callable[[str], None]:
    def told(url: str) -> None:
        document = {"party": party, "url": url, "pid": os.getpid()}
        terminal.result(document, [f"{party} {url}"], as_json)

    return told


@click.command("serve")
@click.argument("party", type=click.Choice(PARTIES))
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--listen", "address", help="host:port instead of the configuration's; port 0: any.")
@click.option("--create", is_flag=True, help="With log: make the empty log if there is none.")
@terminal.json_option
def command(party: str, config: Path, address: str | None, create: bool, as_json: bool) -> None:
    """Serve one PARTY of a region, as its CONFIG (TOML) says, until SIGTERM.

    Each party is a process of its own, with its own folder and keys. When it can be asked, its
    address is printed on stdout; from then on each call that changes or fails is one line of JSON
    on stderr, which names nobody. It may be killed and started again at any moment. The keys of
    the configurations are explained in docs/operating/parties.md.

    Example: incamera serve witness witness.toml --listen 127.0.0.1:8101
    """
    if create and party != "log":
        raise click.UsageError("--create goes with: incamera serve log")
    from incamera.service import serve
    from incamera.service.journal import Journal
    from incamera.service.settings import VaultSettings, parse_listen

    journal = Journal(party, SystemClock())
    told = _load(party, config)
    listen = told.listen
    if address is not None:
        host, port = parse_listen(address, "--listen")
        listen = replace(listen, host=host, port=port)
    with _alone(told.folder, make=party != "log" or create):
        desk = told.operator.desk if isinstance(told, VaultSettings) else None
        serve(_open(told, journal, create), listen, journal, _ready(party, as_json), desk)
