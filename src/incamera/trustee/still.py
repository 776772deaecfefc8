# SPDX-License-Identifier: Apache-2.0
"""A state between two readings of the log: what was looked up once stands until the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from incamera.ids import Digest
from incamera.ledger.entries import RegionEntry, Role
from incamera.ledger.queries import Queries
from incamera.ledger.rows import Frozen, Party
from incamera.ledger.state import State

__all__ = ["Still"]


class Still(Queries):
    """The same answers as the state's, each asked of the disk once.

    INVARIANT: whoever holds one holds the trustee's lock, and makes a new one after following the
    log; so the state does not move under it.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state._database)
        self._found: dict[tuple[str, ...], Any] = {}

    def _once(self, key: tuple[str, ...], look: Callable[[], Any]) -> Any:
        if key not in self._found:
            self._found[key] = look()
        return self._found[key]

    @property
    def time(self) -> int:
        """The latest witness time seen."""
        found: int = self._once(("time",), lambda: super(Still, self).time)
        return found

    @property
    def region(self) -> RegionEntry | None:
        """Entry 0."""
        found: RegionEntry | None = self._once(("region",), lambda: super(Still, self).region)
        return found

    def party(self, role: Role, name: str) -> Party | None:
        """The party as now enrolled."""
        look = super().party
        found: Party | None = self._once(("party", role, name), lambda: look(role, name))
        return found

    def enrolments(self, key: bytes) -> list[Party]:
        """Of a signing key: most capsules of a request come from few cars."""
        look = super().enrolments
        found: list[Party] = self._once(("enrolments", key.hex()), lambda: look(key))
        return found

    def published(self, kind: Literal["policy", "campaign", "zones"], digest: str) -> int | None:
        """The index of the entry that names this document."""
        look = super().published
        found: int | None = self._once(("published", kind, digest), lambda: look(kind, digest))
        return found

    def withdrawn(self, consent: Digest, owner_key: Digest) -> int | None:
        """The entry that took back a consent: most capsules of a request share one."""
        look = super().withdrawn
        key = ("withdrawn", consent, owner_key)
        found: int | None = self._once(key, lambda: look(consent, owner_key))
        return found

    def freezes(self) -> Iterator[Frozen]:
        """Freeze entries."""
        look = super().freezes
        found: list[Frozen] = self._once(("freezes",), lambda: list(look()))
        return iter(found)
