# SPDX-License-Identifier: Apache-2.0
"""Makes extracts of the log for cars: :mod:`incamera.ledger.extract`.

Public entries only, so anybody may ask. Most of what one car needs is what all of them need: tiles
that are full, and entries, are read from the log once.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from incamera.clock import monotonic
from incamera.encoding import decimal, exact_keys
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import parse_name
from incamera.ledger.extract import MOST, Extract, Proven, Statement
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.service.api import told
from incamera.service.guard import Pool
from incamera.service.schemas import ExtractSaid
from incamera.tlog import LogReader, Policy, Witnessed, tile
from incamera.tlog.fetch import Fetch

__all__ = ["Extracts", "add_extract"]

_RECENT = 2.0
_TILES = 512  # of 8 KiB
_ENTRIES = 20_000  # of half a KiB


class Extracts:
    """From the vault's own reading of the log. For any number of threads."""

    def __init__(
        self,
        state: Path,
        fetch: Fetch,
        policy: Policy,
        key: SigningKey,
        *,
        recent: float = _RECENT,
    ) -> None:
        """``state``: the vault's ``state.db``; ``key`` signs the statements.

        ``recent``: seconds for which one checkpoint serves.
        """
        self._state = State(state)
        self._fetch, self._policy, self._key = fetch, policy, key
        self._recent = recent
        #: Guards all below: what a connection may be asked by one thread at a time, and caches.
        self._turn = threading.Lock()
        self._tiles: dict[str, bytes] = {}
        self._entries: dict[int, bytes] = {}
        #: Entries that found the region, and of how many that was found out.
        self._founding = 0, 0
        #: The checkpoint that is served under, and since when.
        self._under: tuple[Witnessed | None, float] = None, 0.0

    def make(self, car: str, owner: str, since: int) -> bytes:
        """What concerns ``car`` of ``owner`` from entry ``since`` on. Blocks.

        :class:`InputError` for what is no name; :class:`UnavailableError` if this vault has not
        read as far as ``since``.
        """
        named, of = parse_name(car, "car"), parse_name(owner, "owner")
        with self._turn, self._sound():
            witnessed, region = self._witnessed(since), self._state.region
            if region is None:
                raise UnavailableError("the log of this region is not founded yet")
            checkpoint = witnessed.checkpoint
            found = self._state.concerning(
                *(named, of, since, checkpoint.size), founded=self._founded(), count=MOST + 1
            )
            if len(found) > MOST:
                raise UnavailableError(
                    f"more than {MOST} entries concern this car",
                    hint="deliver it with a state.db, or let it read the log",
                )
            reader = LogReader(self._cached, self._policy)
            reader.trust(checkpoint)
            proven = tuple(self._proven(reader, at, checkpoint.size) for at in found)
            goes_on = tuple(reader.consistency(since, checkpoint.size)) if since else ()
        statement = Statement(
            *(region.region, named, of, since, checkpoint.size, checkpoint.root, tuple(found))
        )
        return Extract(witnessed.note, statement.seal(self._key), proven, goes_on).format()

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """What made a proof fail is read again by the next call."""
        try:
            yield
        except Error:
            self._tiles.clear()
            self._under = None, 0.0
            raise

    def _founded(self) -> int:
        """As :meth:`Queries.founded`, which looks at every party there is; once it is final."""
        found, of = self._founding
        if found == of:
            self._founding = self._state.founded(), self._state.size
        return self._founding[0]

    def _witnessed(self, since: int) -> Witnessed:
        """A checkpoint that the vault stands under, some seconds old at most: one serves many."""
        under, at = self._under
        if under is None or under.checkpoint.size < since or monotonic() - at >= self._recent:
            under = self._stood(since)
            self._under = under, monotonic()
            for path in [path for path in self._tiles if ".p/" in path]:
                del self._tiles[path]  # partial ones are others with each batch
        return under

    def _stood(self, since: int) -> Witnessed:
        """Where the vault stands now; of the same tree, the checkpoint just published."""
        size = self._state.size
        known = self._state.checkpoint(size)
        if known is None or since > size:
            raise UnavailableError(
                "this vault has not read the log that far", hint="ask again in a minute"
            )
        published = self._policy.check(self._fetch("checkpoint"))
        if published.checkpoint.size == size and published.checkpoint.root == known[0]:
            return published  # a quiet log's witness time moves on, what was read of it does not
        return self._policy.check(known[1], "the checkpoint that this vault stands under")

    def _proven(self, reader: LogReader, index: int, size: int) -> Proven:
        if index not in self._entries:
            if len(self._entries) >= _ENTRIES:
                self._entries.clear()
            (self._entries[index],) = reader.entries(index, index + 1, size)
        return Proven(self._entries[index], reader.inclusion(index, size))

    def _cached(self, path: str) -> bytes:
        """A file of the log; hash tiles once."""
        if path not in self._tiles:
            data = self._fetch(path)
            if (name := tile.parse_path(path)) is None or name.level == tile.ENTRIES:
                return data
            if len(self._tiles) >= _TILES:
                self._tiles.clear()
            self._tiles[path] = data
        return self._tiles[path]

    def close(self) -> None:
        """Let go of the database."""
        with self._turn:
            self._state.close()


def _parameter(name: str, means: str, **schema: Any) -> dict[str, Any]:
    shape = schema or {"type": "string"}
    return {"name": name, "in": "query", "required": True, "description": means, "schema": shape}


_PARAMETERS = [
    _parameter("car", "The vehicle's name in the log."),
    _parameter("owner", "Its owner's."),
    _parameter("since", "Entries that the car has dealt with.", type="integer", minimum=0),
]


def add_extract(app: FastAPI, extracts: Extracts) -> None:
    """``GET /extract``."""
    looks = Pool(threads=4, waiting=60)

    async def extract(request: Request) -> Response:
        """Show what of the log concerns one car, with proofs.

        Trustees, their keys, policies, campaigns, zones, addresses, the car and its owner.
        """
        given = request.query_params.multi_items()
        asked: Mapping[str, str] = exact_keys(dict(given), ("car", "owner", "since"), "extract")
        if len(given) != len(asked):
            raise InputError("a parameter stands twice")
        since = decimal(asked["since"], "since")
        data = await looks.run(extracts.make, asked["car"], asked["owner"], since)
        return Response(data, media_type="application/json")

    said = told(
        "region",
        {200: ("Entries in the order of the log.", ExtractSaid)},
        parameters=_PARAMETERS,
    )
    app.add_api_route("/extract", extract, methods=["GET"], **said)
