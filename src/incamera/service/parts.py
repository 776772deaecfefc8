# SPDX-License-Identifier: Apache-2.0
"""Capsules that come in parts, on disk: what has come of each, until it is whole and admitted.

Two files for each, in a folder by car: what was announced (``.json``), and what came (``.part``),
whose length is the offset. Nothing else is remembered, so a process that is killed and started
again, or another one over the same folder, goes on where it was.

=====================================  ==========================================================
dies, after                            what is there, and what happens next
=====================================  ==========================================================
1. the announcement has its name       offset 0; announced again, it has the same name
2. some bytes came, nobody was told    the file's length is the offset; its sender asks for it
3. the bytes of a call were synced     the offset that was answered
4. all came                            whole: the next round of chores, or its sender, admits it
5. it was admitted                     admitted again: the same receipt; then the files go
=====================================  ==========================================================

A power cut can leave zeros at the end of what was not answered yet. They are found by the
capsule's digest, and the upload begins again.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.clock import Clock
from incamera.encoding import canonical, exact_keys, parse_canonical
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, digest, parse_digest
from incamera.ledger.codec import parse_int
from incamera.sealing.capsule import LENGTH, MAGIC
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.sealing.header import Header
from incamera.sealing.keys import key_id
from incamera.service.answers import NothingError, TooManyError
from incamera.service.settings_limits import LimitSettings
from incamera.service.upload import header_of

__all__ = ["Part", "Parts"]

_NAME = re.compile(r"([0-9a-f]{16})-[0-9a-f]{40}", re.ASCII)
_SPARE = 1 << 30
"""Bytes that stay free on the disk, whatever is announced."""
_DAY = 86_400
_HEAD = len(MAGIC) + LENGTH.size + MAX_ENVELOPE


@dataclass(frozen=True, slots=True)
class Part:
    """One upload."""

    name: str
    """Whoever knows it may go on with the upload: it cannot be guessed."""
    folder: Path
    car: Digest
    """The car's key, as its SHA-256."""
    capsule: Digest
    length: int  # bytes of the whole

    @property
    def told(self) -> Path:
        """The announcement."""
        return self.folder / f"{self.name}.json"

    @property
    def data(self) -> Path:
        """What came."""
        return self.folder / f"{self.name}.part"

    @property
    def offset(self) -> int:
        """How much came."""
        try:
            return self.data.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def touched(self) -> float:
        """When something came last, POSIX seconds."""
        with contextlib.suppress(FileNotFoundError):
            return self.data.stat().st_mtime
        with contextlib.suppress(FileNotFoundError):
            return self.told.stat().st_mtime
        return 0.0

    def header(self) -> Header | None:
        """The capsule's header, if it came; an error of ours unless it is what was announced."""
        with self.data.open("rb") as file:
            held = bytearray(file.read(_HEAD))
        found = header_of(held)
        if found is None:
            return None
        header, length = found
        (size,) = LENGTH.unpack(held[len(MAGIC) :][: LENGTH.size])
        begin = len(MAGIC) + LENGTH.size
        if digest(bytes(held[begin : begin + size])) != self.capsule:
            raise InputError("this is not the capsule that was announced")
        if key_id(header.car_key) != self.car:
            raise InputError("this capsule is another car's than the upload")
        if length != self.length:
            raise InputError(f"the capsule has {length} bytes, not {self.length}")
        return header

    def append(self, data: bytes) -> int:
        """Add what came; how much it was. Not synced: :meth:`sync`."""
        try:
            with self.data.open("ab") as file:
                file.write(data)
        except OSError as error:
            raise UnavailableError(f"cannot keep the upload: {error.strerror}") from error
        return len(data)

    def sync(self) -> None:
        """What came is on disk when this returns, so that its offset can be told."""
        with durable.together(self.data):
            pass

    def end(self) -> None:
        """Forget it: admitted, refused, given up or expired."""
        durable.remove(self.data)
        durable.remove(self.told)
        self.lock.unlink(missing_ok=True)

    @property
    def lock(self) -> Path:
        """Held by who writes, in whatever process."""
        return self.folder / f"{self.name}.lock"


class Parts:
    """All that are under way. Any number of processes may share the folder. All calls block."""

    def __init__(self, folder: Path, limits: LimitSettings, clock: Clock) -> None:
        self._folder = durable.folder(folder, 0o700)
        self._limits = limits
        self._clock = clock
        self._secret = self._load_secret()
        self._turn = threading.Lock()
        #: Bytes announced and not ended, as of the last round of chores and since.
        self._announced = 0
        self._tally()

    @property
    def announced(self) -> int:
        """Bytes of all that is under way."""
        return self._announced

    def _load_secret(self) -> bytes:
        """What names are made with, so that the same capsule has the same one after a restart."""
        path = self._folder / "secret"
        with durable.lock(self._folder / "lock", wait=True):
            if not path.exists():
                durable.write(path, secrets.token_bytes(32), mode=0o600)
            return path.read_bytes()

    def begin(self, key: bytes, capsule: Digest, length: int) -> tuple[Part, bool]:
        """The upload of ``capsule`` by the car with ``key``, and True if it was not there yet.

        :class:`TooManyError` if the car has too many, :class:`UnavailableError` if the disk has
        no room for all of it.
        """
        car = key_id(key)
        mac = hmac.digest(self._secret, f"{car} {capsule}".encode("ascii"), "sha256").hex()
        part = Part(f"{car[:16]}-{mac[:40]}", self._folder / car[:16], car, capsule, length)
        with self._turn:
            there = self._read(part.told)
            if there is not None:
                if there.length != length:
                    raise InputError(f"this upload was begun with a length of {there.length}")
                return there, False
            self._check_room(part)
            said = {"v": 1, "car": car, "capsule": capsule, "length": length}
            durable.folder(part.folder, 0o700)
            durable.write(part.told, canonical(said), mode=0o600)
            self._announced += length
        return part, True

    def _check_room(self, part: Part) -> None:
        if len(list(part.folder.glob("*.json"))) >= self._limits.uploads:
            raise TooManyError(
                f"this car has {self._limits.uploads} uploads under way",
                600,
                hint="end one of them, or give it up (DELETE)",
            )
        free = shutil.disk_usage(self._folder).free
        room = min(self._limits.upload_space, free - _SPARE)
        if self._announced + part.length > room:
            raise UnavailableError("there is no room for this upload now", hint="ask again later")

    def find(self, name: str) -> Part:
        """The upload ``name``; :class:`NothingError` if there is none, or none any more."""
        match = _NAME.fullmatch(name)
        part = match and self._read(self._folder / match.group(1) / f"{name}.json")
        if not part or self.expires(part) <= self._clock.now():
            raise NothingError("there is no such upload, or it has expired")
        return part

    def expires(self, part: Part) -> int:
        """When it is given up, POSIX seconds, unless something comes before."""
        return int(part.touched) + self._limits.upload_days * _DAY

    def end(self, part: Part) -> None:
        """As :meth:`Part.end`."""
        part.end()
        with self._turn:
            self._announced = max(0, self._announced - part.length)
        with contextlib.suppress(OSError):  # another upload of this car
            part.folder.rmdir()

    def sweep(self) -> Iterator[Part]:
        """Give up what has expired; of the others, those that are whole, to be admitted."""
        now = self._clock.now()
        for part in list(self._all()):
            try:
                with durable.lock(part.lock):
                    if self.expires(part) <= now:
                        self.end(part)
                    elif part.offset == part.length:
                        yield part
            except UnavailableError:
                continue  # somebody sends it at this moment
        self._tally()

    def _tally(self) -> None:
        announced = sum(part.length for part in self._all())
        with self._turn:
            self._announced = announced

    def _all(self) -> Iterator[Part]:
        for told in sorted(self._folder.glob("*/*.json")):
            part = self._read(told)
            if part is not None:
                yield part
        for data in self._folder.glob("*/*.part"):  # whose announcement is gone
            if not data.with_suffix(".json").exists():
                data.unlink(missing_ok=True)

    def _read(self, told: Path) -> Part | None:
        try:
            value = parse_canonical(told.read_bytes(), "upload")
            said = exact_keys(value, ("v", "car", "capsule", "length"), "upload")
        except FileNotFoundError:
            return None
        except (OSError, Error) as error:
            raise UnavailableError(f"{told.name}: cannot be read") from error
        return Part(
            told.stem,
            told.parent,
            parse_digest(said["car"], "upload: car"),
            parse_digest(said["capsule"], "upload: capsule"),
            parse_int(said["length"], "upload: length"),
        )
