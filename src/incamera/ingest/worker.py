# SPDX-License-Identifier: Apache-2.0
"""What a worker does with one clip, in a process or on a machine of its own.

It is told public facts only. The recording it reads itself, the car's key it loads itself from the
file that it is named: neither travels. What it cuts lies in a folder of its own below the spool's
``work``; what it leaves is a sealed capsule beside it, under a name that nobody takes for a
capsule that waits. It says what it made; whoever ordered it takes the capsule over, or does not.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from incamera import durable
from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Digest
from incamera.ingest.cut import Cutter
from incamera.ingest.journal import ClipId
from incamera.ingest.stopwatch import Stopwatch
from incamera.ingest.terms import Terms
from incamera.recording import Options, open_recordings
from incamera.recording.clip import measure
from incamera.recording.model import Recording
from incamera.redaction import Redactor
from incamera.sealing import SigningKey, seal
from incamera.trigger import Span

__all__ = ["Made", "Orders", "Piece", "Worker"]

_FAMILIES = {
    kind.kind: kind for kind in (InputError, IntegrityError, PolicyError, UnavailableError)
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What is the same for all clips of one run. No key is in it, and no zone."""

    source: Path
    """Where the recordings are; every worker must see them there, and the spool."""
    options: Options | None
    terms: Terms
    key: Path
    """File of the car's signing key."""
    spool: Path
    zones: Digest
    campaign: Digest | None
    now: int
    """POSIX seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One clip to make. ``nonce`` names this attempt at it."""

    recording: str
    span: Span
    clip: ClipId
    nonce: str

    def folder(self, spool: Path) -> Path:
        """Where the worker cuts it."""
        return spool / "work" / f"{self.clip}-{self.nonce}"

    def sealed(self, spool: Path) -> Path:
        """Where the worker leaves it. A start that finds it there removes it."""
        return spool / f"{self.clip}-{self.nonce}.capsule"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a piece."""

    clip: ClipId
    nonce: str  # of the attempt
    capsule: Digest | None = None
    packed: Digest | None = None
    """SHA-256 of the packed clip: the same whoever cut it. Capsules never are the same."""
    frames: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    stages: dict[str, float] = field(default_factory=dict)
    fault: tuple[str, str, str | None] | None = None
    """Kind, message and hint of the error that it failed with."""

    def error(self) -> Error | None:
        """The error, as one of ours."""
        if self.fault is None:
            return None
        kind, message, hint = self.fault
        return _FAMILIES[kind](message, hint=hint)


class Worker:
    """Makes clips, one after another."""

    def __init__(self, orders: Orders, redactor: Callable[[], Redactor] | None = None) -> None:
        """``redactor`` makes it, here; None: the default one, on one core."""
        os.umask(0o077)
        self._orders = orders
        self._make = redactor or _on_one_core
        self._redactor: Redactor | None = None
        self._shelf = _Shelf(orders)
        self._share = 0.0

    def share(self) -> float:
        """How much of the present piece is done, 0..1; asked from another thread."""
        return self._share

    def process(self) -> int:
        """The process's number."""
        return os.getpid()

    def cut(self, piece: Piece) -> Made:
        """Cut, redact, seal; its folder is gone afterwards, whatever came of it."""
        spool, watch = self._orders.spool, Stopwatch()
        folder = durable.folder(piece.folder(spool), 0o700)
        self._share = 0.0
        try:
            return self._cut(piece, folder, watch)
        except Error as error:
            return Made(piece.clip, piece.nonce, fault=(error.kind, error.message, error.hint))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _cut(self, piece: Piece, folder: Path, watch: Stopwatch) -> Made:
        orders = self._orders
        if self._redactor is None:
            self._redactor = self._make()
        with watch.stage("open"):
            recording = self._shelf.find(piece.recording)
        cutter = Cutter(self._redactor, orders.zones, orders.campaign, watch, orders.now)
        packed, contents, tally = cutter.cut(recording, piece.span, folder, self._tell)
        with watch.stage("seal"):
            _, plain = measure(packed)
            with packed.open("rb") as payload:
                capsule = seal(
                    payload,
                    piece.sealed(orders.spool),
                    facts=orders.terms.facts(contents, orders.now),
                    recipients=orders.terms.recipients,
                    car=SigningKey.load(orders.key),
                )
        return Made(
            clip=piece.clip,
            nonce=piece.nonce,
            capsule=capsule,
            packed=plain,
            frames=tally.frames,
            boxes=tally.boxes,
            stages=dict(watch.seconds),
        )

    def _tell(self, share: float) -> None:
        self._share = share


def _on_one_core() -> Redactor:
    return Redactor(threads=1)


class _Shelf:
    """Recordings by name. They are asked for about in order: few are held."""

    _HELD = 4

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._held: dict[str, Recording] = {}
        self._rest: Iterator[Recording] = iter(())

    def find(self, name: str) -> Recording:
        """:class:`InputError` if there is none of that name (any more)."""
        if name in self._held:
            return self._held[name]
        for rest in (self._rest, open_recordings(self._orders.source, self._orders.options)):
            self._rest = rest
            for recording in rest:
                self._held[recording.name] = recording
                for old in list(self._held)[: -self._HELD]:
                    del self._held[old]
                if recording.name == name:
                    return recording
        raise InputError(
            f"{self._orders.source}: a worker does not find the recording {name} in it",
            hint="each machine must see the recordings, and the car's folder, at the same path",
        )
