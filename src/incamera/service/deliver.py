# SPDX-License-Identifier: Apache-2.0
"""A capsule on its way from a car to its vault: whole if it is short; else it goes on where it was.

A long one is a resumable upload (tus 1.0.0, https://tus.io). Where it goes on is the vault's to
say: nothing about it is kept here, so a car that lost its memory goes on all the same. What the
vault answers is not believed: the receipt is the caller's to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import stamina

from incamera.encoding import base64_text, decimal
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, digest
from incamera.sealing.capsule import LENGTH, MAGIC
from incamera.sealing.envelope import MAX_ENVELOPE
from incamera.wire import BusyError, Client, MissingError

__all__ = ["ATTEMPTS", "TUS", "Progress", "deliver"]

TUS = "1.0.0"
"""The protocol's version, in each call."""

Progress = Callable[[int, int], None]
"""Told bytes that the vault was sent, and of how many."""

_WHOLE = 1 << 20
_READ = 1 << 18
_RECEIPT = 1 << 18
_SLOWEST = 1 << 14  # bytes a second that an upload is given time for
_PATIENCE = 30
ATTEMPTS = 8
_PART = "application/offset+octet-stream"


def deliver(
    client: Client, path: Path, progress: Progress | None = None, attempts: int = ATTEMPTS
) -> bytes:
    """The capsule at ``path`` to the vault of ``client``, which signs for the car; the receipt.

    Repeated while the vault gets further, and ``attempts`` times while it does not, over some
    30 s: :class:`UnavailableError` then. A vault that wants more than 30 s to be waited is left
    at once (:class:`incamera.wire.BusyError` says how long). :class:`InputError` if ``path`` is
    no capsule; what the vault refuses is raised as it says.
    """
    size = _size(path)
    sent = _Delivery(client, path, _name(path), size, progress or _nobody)
    act = sent.whole if size <= _WHOLE else sent.go_on
    while True:
        begun = sent.reached
        try:
            for attempt in _retries(attempts):
                with attempt:
                    return act()
        except UnavailableError as error:
            if sent.reached <= begun or not _again(error):
                raise


def _nobody(done: int, size: int) -> None:
    """Nobody wants to know."""


def _retries(attempts: int) -> Iterator[stamina.Attempt]:
    return iter(
        stamina.retry_context(
            on=_again, attempts=attempts, timeout=None, wait_initial=0.2, wait_max=10.0
        )
    )


def _again(error: Exception) -> bool:
    """True for what may be gone in some seconds."""
    if isinstance(error, BusyError) and error.after > _PATIENCE:
        return False
    return isinstance(error, UnavailableError)


@dataclass
class _Delivery:
    """One capsule; what the vault said of it so far."""

    client: Client
    path: Path
    name: Digest
    size: int
    progress: Progress
    place: str = ""
    """The upload's path at the vault, once it was begun."""
    offset: int = 0
    reached: int = 0
    """The furthest that the vault ever said it was."""

    def whole(self) -> bytes:
        """In one call."""
        headers = {"Content-Length": str(self.size)}
        with self.client.stream(
            "POST", "capsules", self._pieces(), headers=headers, seconds=self._seconds(self.size)
        ) as answer:
            return answer.whole(_RECEIPT).body

    def go_on(self) -> bytes:
        """From where the vault is; the last answer of several."""
        try:
            done = not self.place or not self._ask()
            if done and self._begin():
                return self._receipt()
            self._part()
        except MissingError:  # expired, or swept away: it is begun again
            self.place = ""
            raise
        return self._receipt()

    def _begin(self) -> bool:
        """Ask for a place to send to; True if the vault has all, and logged it."""
        named = base64_text(self.name.encode("ascii"))
        headers = {
            "Tus-Resumable": TUS,
            "Upload-Length": str(self.size),
            "Upload-Metadata": f"capsule {named}",
        }
        path = f"uploads?capsule={self.name}&length={self.size}"
        with self.client.stream("POST", path, headers=headers) as answer:
            answer.whole(_RECEIPT)
            if "upload-receipt" in answer.headers:
                return True
            self._at(answer.headers)
            self.place = _path(answer.headers.get("location", ""))
        return False

    def _ask(self) -> bool:
        """Where the vault is; False if it knows nothing of this upload."""
        try:
            with self.client.stream("HEAD", self.place, headers={"Tus-Resumable": TUS}) as answer:
                self._at(answer.headers)
        except MissingError:
            return False
        return True

    def _part(self) -> None:
        """All the rest, in one call. An empty rest asks the vault to finish."""
        headers = {
            "Tus-Resumable": TUS,
            "Upload-Offset": str(self.offset),
            "Content-Type": _PART,
            "Content-Length": str(self.size - self.offset),
        }
        seconds = self._seconds(self.size - self.offset)
        body = self._pieces(self.offset)
        with self.client.stream(
            "PATCH", self.place, body, headers=headers, seconds=seconds
        ) as answer:
            answer.whole(_RECEIPT)

    def _receipt(self) -> bytes:
        return self.client.get(f"capsules/{self.name}/receipt", limit=_RECEIPT)

    def _at(self, headers: Mapping[str, str]) -> None:
        try:
            self.offset = decimal(headers.get("upload-offset", ""), "Upload-Offset")
        except InputError as error:
            raise UnavailableError(f"{self.client.where}: {error.message}") from error
        if self.offset > self.size:
            raise UnavailableError(f"{self.client.where}: has more of the capsule than there is")
        self.reached = max(self.reached, self.offset)

    def _pieces(self, start: int = 0) -> Iterator[bytes]:
        """The file's bytes from ``start`` on."""
        done = start
        with self.path.open("rb") as file:
            file.seek(start)
            while piece := file.read(_READ):
                yield piece
                done += len(piece)
                self.progress(min(done, self.size), self.size)

    def _seconds(self, size: int) -> float:
        return 60.0 + size / _SLOWEST


def _path(location: str) -> str:
    """Of an upload, below the vault's URL, whatever address the vault takes for its own."""
    _, found, name = location.rpartition("uploads/")
    if not found or not name.replace("-", "").replace(".", "").isalnum():
        raise UnavailableError(f"not the place of an upload: {location!r:.100}")
    return f"uploads/{name}"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _name(path: Path) -> Digest:
    """The capsule's digest: of its envelope, whatever that says."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise InputError(f"{path}: not a capsule, or of a version unknown here")
        (length,) = LENGTH.unpack(file.read(LENGTH.size).ljust(LENGTH.size, b"\0"))
        return digest(file.read(min(length, MAX_ENVELOPE)))
