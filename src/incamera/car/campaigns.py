# SPDX-License-Identifier: Apache-2.0
"""Which campaign the car runs: one that the public log names, in exactly the text that it names.

What to look for comes from the operator by way of the vault's log, and could be whispered to some
cars alone. So a car runs a campaign only if the entry that announces it is among those it has read
and checked under a witnessed root, and only the text with that very digest.
"""

from __future__ import annotations

from pathlib import Path

from incamera import durable
from incamera.car.withheld import WithheldError
from incamera.errors import Error
from incamera.ids import Digest, digest
from incamera.ledger.queries import Queries
from incamera.tlog.fetch import Fetch
from incamera.trigger import Campaign

__all__ = ["campaign_of"]

_HINT = "nothing is looked at: have the operator publish the campaign, and audit the log"


def campaign_of(
    state: Queries, fetch: Fetch, kept: Path, wanted: Digest | None, now: int
) -> Campaign:
    """The campaign ``wanted``, or the newest of the log; its text is kept in the folder ``kept``.

    :class:`WithheldError` (``campaign``) for one that is not in the log, is handed out in another
    text, is none, or is over.
    """
    logged = state.documents("campaign")
    if not logged:
        raise WithheldError("campaign", "the log names no campaign", hint=_HINT)
    name = wanted or logged[-1]
    if state.published("campaign", name) is None:
        raise WithheldError("campaign", f"campaign {name[:16]}... is not in the log", hint=_HINT)
    where = f"campaign/{name}.toml"
    text = _kept(kept / f"{name}.toml", name)
    if text is None:
        text = _fetched(fetch, where, name)
        durable.folder(kept, 0o700)
        durable.write(kept / f"{name}.toml", text)
    try:
        found = Campaign.parse(text, where)
    except Error as error:
        raise WithheldError("campaign", error.message, hint=_HINT) from error
    if found.expires is not None and now >= found.expires:
        raise WithheldError("campaign", f"{where}: its time is over", hint=_HINT)
    return found


def _kept(path: Path, name: Digest) -> bytes | None:
    """The text as it was fetched before; None if it was not, or is damaged."""
    try:
        text = path.read_bytes()
    except OSError:
        return None
    return text if digest(text) == name else None


def _fetched(fetch: Fetch, where: str, name: Digest) -> bytes:
    try:
        text = fetch(where)
    except Error as error:
        message = f"{where} cannot be had: {error.message}"
        raise WithheldError("campaign", message, hint="let the car go online") from error
    if digest(text) != name:
        raise WithheldError(
            "campaign", f"{where}: not the text that the log names: it was altered", hint=_HINT
        )
    return text
