# SPDX-License-Identifier: Apache-2.0
"""The region of a car, over HTTP: :class:`incamera.car.link.Link`."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path

from incamera.cli.agent_settings import CarFile
from incamera.cli.join import POLICY
from incamera.clock import Clock
from incamera.errors import InputError
from incamera.ledger.follower import Follower
from incamera.ledger.sparse import SparseFollower, SparseState
from incamera.ledger.state import State
from incamera.sealing.keys import SigningKey
from incamera.service.clients import VaultClient
from incamera.tlog.policy import Policy
from incamera.tlog.reader import LogReader
from incamera.tlog.remote import HttpFetch

__all__ = ["HttpLink", "pinned_policy"]


def pinned_policy(file: CarFile) -> Policy:
    """Whom the car believes about the log; :class:`InputError` if it joined no region yet."""
    home = file.settings.places.home
    pinned = home / POLICY
    if not pinned.is_file():
        raise InputError(
            f"{home}: no tlog-policy is pinned here, so no log can be believed",
            hint=f"incamera init {home} --join region.json",
        )
    return Policy.parse(pinned.read_bytes(), str(pinned))


class HttpLink:
    """The vault and log that the car's settings name. Nobody is asked before it is needed."""

    def __init__(self, file: CarFile, key: SigningKey, clock: Clock) -> None:
        """:class:`InputError` if no tlog-policy is pinned in the car's folder."""
        self._file, self._clock = file, clock
        self.policy = pinned_policy(file)
        path = file.settings.places.state
        self.state = State(path) if file.reads == "log" else SparseState(path)
        self._vault = VaultClient(file.vault, key, clock, ca=file.ca)

    @cached_property
    def fetch(self) -> HttpFetch:
        """The log's public files; where it is, the vault says, if the settings do not."""
        return HttpFetch(self._file.log or self._vault.region().log, ca=self._file.ca)

    def follow(self) -> int:
        """Read the log, or what of it concerns this car, to its checkpoint; its witness time."""
        return self._follower().follow().time(self.policy)

    def _follower(self) -> Follower:
        reader, told = LogReader(self.fetch, self.policy), self._file.settings
        if not isinstance(self.state, SparseState):
            return Follower(reader, self.state, self._clock)
        ask = partial(self._vault.extract, told.vehicle, told.owner)
        return SparseFollower(
            *(reader, self.state, self._clock, ask), car=told.vehicle, owner=told.owner
        )

    def admit(self, path: Path) -> bytes:
        """Deliver a capsule, going on where an earlier attempt stopped."""
        return self._vault.send(path)
