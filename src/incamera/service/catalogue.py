# SPDX-License-Identifier: Apache-2.0
"""What the vault shows of its capsules, and to whom (:mod:`incamera.service.rights` decides).

=================  =============================================================
caller             sees
=================  =============================================================
operator           every row and capsule
reader, trustee    every row and capsule, but not whose they are
owner              the own ones
car                none: it gets receipts
=================  =============================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.datastructures import Headers

from incamera.encoding import base64_text, decimal, exact_keys, parse_json
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, digest, parse_digest
from incamera.ledger.request import MAX_BATCH
from incamera.sealing.capsule import LENGTH, MAGIC
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.wrap import WRAPPED_BYTES
from incamera.service import rights
from incamera.service.answers import NothingError
from incamera.service.callers import Caller
from incamera.service.download import Blob, wanted
from incamera.service.upload import header_of
from incamera.service.vaults import Vaults
from incamera.vault import Row

__all__ = ["PARAMETERS", "Catalogue"]

_PAGE = 1_000
_LAST = 1 << 53  # and what comes after still fits what the machine counts in
_FILTERS = frozenset(("status", "since", "until", "owner", "camera", "tag", "purpose"))
_HEAD = len(MAGIC) + LENGTH.size + MAX_ENVELOPE + 256 * WRAPPED_BYTES
_STATUSES = ("pending", "kept", "lost", "erased")


def _parameter(name: str, means: str, **schema: Any) -> dict[str, Any]:
    shape = schema or {"type": "string"}
    return {"name": name, "in": "query", "required": False, "description": means, "schema": shape}


PARAMETERS: list[dict[str, Any]] = [
    _parameter("status", "With this status.", type="string", enum=list(_STATUSES)),
    _parameter("since", "From this hour on, such as 2026-11-21T14."),
    _parameter("until", "Up to and with this hour."),
    _parameter("camera", "With this camera."),
    _parameter("tag", "With this tag."),
    _parameter("purpose", "That its owner allows for this purpose."),
    _parameter("owner", "Of this owner; for the operator."),
    _parameter("start", "Rows before the first.", type="integer", minimum=0, maximum=_LAST),
    _parameter("after", "Rows after this one: its `hour`, a dot, its `digest`."),
    _parameter("count", "Rows at most.", type="integer", minimum=1, maximum=_PAGE),
]
"""Of the query, for the OpenAPI."""


class Catalogue:
    """Rows, evidence and bytes, as the caller may see them. All calls block."""

    def __init__(self, vaults: Vaults) -> None:
        self._vaults = vaults

    def page(self, caller: Caller, asked: Mapping[str, str]) -> dict[str, Any]:
        """``{"v": 1, "capsules": [rows], "more": bool}`` for a query's parameters."""
        rights.check(caller, "list-capsules")
        if unknown := sorted(asked.keys() - _FILTERS - {"start", "count", "after"}):
            raise InputError(f"unknown parameter {unknown[0]!r:.80}")
        having = {key: value for key, value in asked.items() if key in _FILTERS}
        if having.get("status", "kept") not in _STATUSES:
            raise InputError(f"status is one of {', '.join(_STATUSES)}")
        if caller.role == "owner":
            having["owner"] = caller.name
        elif caller.role != "operator" and "owner" in having:
            raise InputError("the parameter 'owner' is for the operator")
        start = decimal(asked.get("start", "0"), "start")
        count = decimal(asked.get("count", str(_PAGE)), "count")
        if not 1 <= count <= _PAGE:
            raise InputError(f"count: 1 to {_PAGE}")
        if start > _LAST:
            raise InputError(f"start: at most {_LAST}")
        rows = self._vaults.rows(start, count + 1, after=asked.get("after", ""), **having)
        shown = [_plain(row, caller) for row in rows[:count]]
        return {"v": 1, "capsules": shown, "more": len(rows) > count}

    def look(self, caller: Caller, name: Digest) -> Row:
        """The row of a capsule that the caller may fetch; :class:`NothingError` of any other."""
        if caller.role != "owner":
            rights.check(caller, "fetch-capsule")
        row = self._vaults.row(name)
        if row is None or row.status == "pending" or not self._sees(caller, row):
            raise NothingError(f"there is no capsule {name}")
        return row

    def blob(self, caller: Caller, name: Digest, headers: Headers) -> Blob:
        """What ``headers`` ask for of the capsule's bytes."""
        self.look(caller, name)
        size = self._vaults.size(name)
        start, end = wanted(headers, name, size)
        return Blob(name, size, self._vaults.pieces(name, start, end), start, end)

    def small(self, caller: Caller, name: Digest, limit: int) -> bytes:
        """The capsule's bytes; none if they are more than ``limit``."""
        if self.look(caller, name).bytes > limit or self._vaults.size(name) > limit:
            return b""
        return b"".join(self._vaults.pieces(name))

    def evidence(self, caller: Caller, body: bytes) -> dict[str, Any]:
        """Envelopes and wrapped shares of the capsules named in ``body``, in that order."""
        asked = exact_keys(parse_json(body, "evidence"), ("capsules",), "evidence")["capsules"]
        if not isinstance(asked, list) or not 1 <= len(asked) <= MAX_BATCH:
            raise InputError(f"evidence: 1 to {MAX_BATCH} capsules at a time")
        names = [parse_digest(each, "evidence: capsules") for each in asked]
        return {"v": 1, "capsules": [self._shown(caller, name) for name in names]}

    def _shown(self, caller: Caller, name: Digest) -> dict[str, Any]:
        """Of the capsule's first bytes only: a bucket need not give the rest."""
        self.look(caller, name)
        data = b"".join(self._vaults.pieces(name, 0, _HEAD))
        found = header_of(bytearray(data))
        if found is None:
            raise IntegrityError(f"capsule {name[:16]}... is damaged here")
        begin = len(MAGIC) + LENGTH.size
        (length,) = LENGTH.unpack(data[len(MAGIC) : begin])
        envelope, at = data[begin : begin + length], begin + length
        if digest(envelope) != name:
            raise IntegrityError(f"capsule {name[:16]}... is damaged here")
        places = range(at, at + len(found[0].shares) * WRAPPED_BYTES, WRAPPED_BYTES)
        return {
            "capsule": name,
            "envelope": base64_text(envelope),
            "wrapped": [base64_text(data[each : each + WRAPPED_BYTES]) for each in places],
        }

    def _sees(self, caller: Caller, row: Row) -> bool:
        """Another owner's capsule is as one that is not there."""
        own = caller.role == "owner" and row.owner == caller.name
        return rights.permits(caller.role, caller.by, "fetch-capsule", own=own)


def _plain(row: Row, caller: Caller) -> dict[str, Any]:
    value = asdict(row)
    if caller.role not in ("operator", "owner"):
        value["owner"] = ""
    return value
