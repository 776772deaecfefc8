# SPDX-License-Identifier: Apache-2.0
"""The owner's tokens in a folder, and which of them holds now. Without one it is off.

A token is a file of that folder, as ``incamera car consent`` writes it. What is damaged, expired,
early, for another car, of an owner that is none any more, or withdrawn in the log, allows nothing,
and is named with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from incamera.errors import Error
from incamera.ids import Digest, Name, digest
from incamera.ledger.consent import ConsentError, Token, check_consent, open_consent
from incamera.ledger.queries import Queries

__all__ = ["Consents", "Found"]

_MAX_BYTES = 1 << 14
_MOST = 64
"""Files that are looked at: an owner has some."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look into the folder gave."""

    token: Token | None
    refused: tuple[str, ...]  # one sentence each

    @property
    def digest(self) -> str:
        """The consent's id; empty where there is none."""
        return "" if self.token is None else self.token.digest

    @property
    def parked(self) -> bool:
        """Whether it is also for what is recorded while the car is parked."""
        return self.token is not None and self.token.consent.parked


class Consents:
    """One car's."""

    def __init__(self, folder: Path, owner: Name, car: Digest) -> None:
        self._folder, self._owner, self._car = folder, owner, car

    def look(self, state: Queries, now: int) -> Found:
        """The token that holds at ``now`` by ``state``; of several the one given last."""
        good, refused = [], []
        for path in self._files():
            try:
                good.append(self._check(path, state, now))
            except Error as error:
                refused.append(error.message)
            except OSError as error:
                refused.append(f"{path.name}: cannot read: {error.strerror}")
        good.sort(key=lambda each: (each.consent.not_before, each.digest))
        return Found(good[-1] if good else None, tuple(refused))

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        found = sorted(path for path in self._folder.iterdir() if not path.name.startswith("."))
        return [path for path in found if path.is_file()][:_MOST]

    def _check(self, path: Path, state: Queries, now: int) -> Token:
        with path.open("rb") as file:
            token = open_consent(file.read(_MAX_BYTES + 1), path.name)
        check_consent(token, state, owner=self._owner, car=self._car, now=now)
        owner = state.party("owner", self._owner)
        opening = b"" if owner is None else owner.opening
        if state.withdrawn(token.digest, digest(opening)) is not None:
            raise ConsentError("withdrawn", f"{path.name}: its owner took it back, by the log")
        return token
