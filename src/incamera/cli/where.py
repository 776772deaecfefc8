# SPDX-License-Identifier: Apache-2.0
"""Which log a URL leads to: its own address, or that of the vault that stands before it."""

from __future__ import annotations

from pathlib import Path

from incamera.encoding import parse_json
from incamera.errors import InputError, UnavailableError
from incamera.tlog.remote import HttpFetch
from incamera.wire import Client, MissingError

__all__ = ["log_at"]

_SMALL = 1 << 16


def log_at(url: str, *, ca: Path | None = None, seconds: float = 30.0) -> HttpFetch:
    """The log served at ``url``; where a vault is there instead, the log that it names.

    The vault need not be believed: a log counts by its signatures. A party that does not answer
    now is no error here, but when it is read.
    """
    fetch = HttpFetch(url, ca=ca, seconds=seconds)
    try:
        fetch("checkpoint")
    except MissingError:
        fetch.close()
        return HttpFetch(_told(url, ca, seconds), ca=ca, seconds=seconds)
    except UnavailableError:
        pass
    return fetch


def _told(url: str, ca: Path | None, seconds: float) -> str:
    """The log's URL by the vault's word."""
    hint = "name the URL at which the log's checkpoint lies, or that of its vault"
    try:
        with Client(url, ca=ca, seconds=seconds) as client:
            said = parse_json(client.get("region", limit=_SMALL), f"{url}/region")
    except (MissingError, InputError) as error:
        raise InputError(f"{url}: neither a log nor a vault", hint=hint) from error
    log = said.get("log") if isinstance(said, dict) else None
    if not isinstance(log, str):
        raise InputError(f"{url}: its /region names no log", hint=hint)
    return log
