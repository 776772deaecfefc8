# SPDX-License-Identifier: Apache-2.0
"""Each party's ``serve.toml``: what ``incamera serve`` reads (:mod:`incamera.service.settings`)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from incamera import durable
from incamera.cli.layout import Layout
from incamera.ids import Name
from incamera.tlog.policy import Policy

__all__ = [
    "SERVE",
    "home_urls",
    "serve_home",
    "write_log",
    "write_token",
    "write_trustee",
    "write_vault",
    "write_witness",
]

SERVE = "serve.toml"
FIRST_PORT = 7400
"""Of a home's parties, on loopback: log, vault, then witnesses and trustees."""

_BESIDE = "../log/token"  # in a home, where vault and log are neighbours

Value = str | int
Table = Mapping[str, Value]


def _write(folder: Path, top: Table, *tables: tuple[str, Table]) -> Path:
    """A TOML file of plain keys and tables; strings are written as JSON has them."""
    lines = ["# written by `incamera init`; docs/operating/parties.md explains each key"]
    for head, table in (("", top), *tables):
        lines += ["", head] if head else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path = folder / SERVE
    durable.write(path, ("\n".join(lines) + "\n").encode(), mode=0o600)
    return path


def write_witness(folder: Path, listen: str, vkey: str, log: str) -> Path:
    """A witness of the log with this ``vkey``, served at the URL ``log``."""
    top: Table = {"listen": listen, "state": "state", "key": "note.key"}
    return _write(folder, top, ("[[log]]", {"vkey": vkey, "url": log}))


def write_log(
    folder: Path, listen: str, witnesses: Sequence[str], *, public: str, policy: str, state: str
) -> Path:
    """A log whose witnesses answer at these URLs; paths are relative to ``folder``."""
    top: Table = {
        "listen": listen,
        "public": public,
        "state": state,
        "key": "note.key",
        "policy": policy,
        "token": "token",
    }
    return _write(folder, top, *(("[[witness]]", {"url": url}) for url in witnesses))


def write_vault(
    folder: Path, listen: str, log: str, trustees: Mapping[str, str], *, policy: str, token: str
) -> Path:
    """A vault that writes to the log at ``log``, and tells readers where trustees are."""
    top: Table = {"listen": listen, "home": ".", "key": "signing.key", "policy": policy}
    return _write(folder, top, ("[log]", {"url": log, "token": token}), ("[trustees]", trustees))


def write_trustee(
    folder: Path,
    listen: str,
    name: Name,
    *,
    log: str,
    vault: str,
    witnesses: Mapping[str, str],
    policy: str,
) -> Path:
    """A trustee that follows the log, and asks the witnesses past it; URLs, witnesses' by name."""
    top: Table = {"listen": listen, "home": ".", "name": name, "policy": policy}
    peers: list[tuple[str, Table]] = [("[log]", {"url": log}), ("[vault]", {"url": vault})]
    peers += [("[[witness]]", {"name": each, "url": url}) for each, url in witnesses.items()]
    return _write(folder, top, *peers)


def write_token(path: Path, token: str | None = None) -> None:
    """The secret that opens the log to its vault: given, or a new one where there is none."""
    if token is not None or not path.exists():
        durable.write(path, f"{token or secrets.token_hex(32)}\n".encode(), mode=0o600)


def home_urls(witnesses: int, trustees: Sequence[Name]) -> dict[Name, str]:
    """Where each party of a home is served: on loopback, each with a port of its own."""
    seats = [Name(f"witness-{number}") for number in range(1, witnesses + 1)]
    names = [Name("log"), Name("vault"), *seats, *trustees]
    return {each: f"http://127.0.0.1:{port}" for port, each in enumerate(names, FIRST_PORT)}


def serve_home(home: Layout, policy: Policy, trustees: Sequence[Name]) -> None:
    """``serve.toml`` for each party of a home."""
    urls_here = home_urls(len(policy.witnesses), trustees).values()
    listen = [url.removeprefix("http://") for url in urls_here]
    log, vault, *others = listen
    seats, sat = others[: len(policy.witnesses)], others[len(policy.witnesses) :]
    public = "../public"
    write_token(home.log / "token")
    write_log(
        home.log,
        log,
        [f"http://{each}" for each in seats],
        public=public,
        policy=f"{public}/tlog-policy",
        state=".",
    )
    urls = {str(name): f"http://{each}" for name, each in zip(trustees, sat, strict=True)}
    pinned = f"{public}/tlog-policy"
    write_vault(home.vault, vault, f"http://{log}", urls, policy=pinned, token=_BESIDE)
    for number, each in enumerate(seats, start=1):
        write_witness(home.witness(number), each, policy.logs[0].vkey, f"http://{log}")
    seen = {name: f"http://{each}" for name, each in zip(policy.witnesses, seats, strict=True)}
    for name, each in zip(trustees, sat, strict=True):
        write_trustee(
            home.trustee(name),
            each,
            name,
            log=f"http://{log}",
            vault=f"http://{vault}",
            witnesses=seen,
            policy="../../public/tlog-policy",
        )
