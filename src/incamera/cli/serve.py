# SPDX-License-Identifier: Apache-2.0
"""``incamera serve``: one party of a region as a server of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from incamera.cli import terminal
from incamera.clock import SystemClock

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from incamera.service.journal import Journal
    from incamera.service.settings import Listen

__all__ = ["command"]

PARTIES = ("witness", "log", "vault", "trustee")


def _open(party: str, config: Path, journal: Journal, create: bool) -> tuple[Starlette, Listen]:
    """The app of a party, and where it is to listen."""
    from incamera import service
    from incamera.service import settings

    clock = SystemClock()
    if party == "witness":
        of_witness = settings.WitnessSettings.load(config)
        return service.open_witness(of_witness, clock), of_witness.listen
    if party == "log":
        of_log = settings.LogSettings.load(config)
        return service.open_log(of_log, clock, journal, create=create), of_log.listen
    if party == "vault":
        of_vault = settings.VaultSettings.load(config)
        return service.open_vault(of_vault, clock, journal), of_vault.listen
    of_trustee = settings.TrusteeSettings.load(config)
    return service.open_trustee(of_trustee, clock, journal), of_trustee.listen


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
    from incamera.service.settings import parse_listen

    journal = Journal(party, SystemClock())
    app, listen = _open(party, config, journal, create)
    if address is not None:
        host, port = parse_listen(address, "--listen")
        listen = replace(listen, host=host, port=port)
    serve(app, listen, journal, _ready(party, as_json))
