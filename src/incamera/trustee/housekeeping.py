# SPDX-License-Identifier: Apache-2.0
"""What a trustee does without being asked: it begins epochs, and ends them.

Time here is witness time alone; a clock of one machine neither ends a key nor keeps it. What is
on disk when, so that a crash anywhere is made good by the next call:

1. destroy what had ended by what we read before: a key that a backup brought back goes first;
2. follow the log, and destroy what has ended since (the key is gone, durably);
3. say in the log that it is destroyed: known from the log alone (announced, over, not on disk, not
   said), so nothing of our own has to be remembered for it;
4. append again what was made for the log and did not arrive; announce the next epoch (key durable,
   then its entry durable, then appended).

A frozen trustee reads the log no more, but its keys end all the same: the witnesses' time on the
checkpoint suffices for that. It says nothing in a log that it does not believe.
"""

from __future__ import annotations

from dataclasses import dataclass

from incamera.errors import Error, InputError, IntegrityError
from incamera.ids import digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import DestroyEntry
from incamera.ledger.queries import DAY
from incamera.ledger.rows import EpochKey
from incamera.ledger.state import leaf_digest
from incamera.trustee import rules
from incamera.trustee.desk import Desk
from incamera.trustee.rules import RefusedError

__all__ = ["Rhythm", "Tended", "tend"]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How epochs follow each other, in seconds of witness time."""

    length: int = 30 * DAY
    overlap: int = DAY
    """Two keys are valid for so long, for cars that have not read the log since."""
    ahead: int = 7 * DAY
    """The next epoch is announced so long before the present one ends."""

    def __post_init__(self) -> None:
        """:class:`InputError` for a rhythm in which cars would stand without a key."""
        if not 0 <= self.overlap <= self.ahead < self.length:
            raise InputError(
                f"epochs of {self.length} s, announced {self.ahead} s before the last ends, "
                f"overlapping by {self.overlap} s, leave gaps",
                hint="overlap <= ahead < length",
            )


@dataclass(frozen=True, slots=True)
class Tended:
    """What one call did; ``said`` tells it to people, and what they must see to."""

    destroyed: tuple[int, ...]
    """Epochs whose keys this call destroyed."""
    logged: tuple[int, ...]
    """Epochs whose destruction this call put into the log."""
    announced: tuple[int, ...]
    said: tuple[str, ...]


def tend(desk: Desk, rhythm: Rhythm | None = None) -> Tended:
    """Do what is due now; nothing, if nothing is. Call under the trustee's lock.

    :class:`UnavailableError` or :class:`IntegrityError` where the log cannot be followed: what
    was known to be over is destroyed even then, and the rest waits for the next call.
    """
    work = _Work(desk, rhythm or Rhythm())
    work.destroy(desk.state.time)
    if desk.follower.frozen:
        work.destroy(_time_of_a_frozen(desk))
        work.said.append("frozen: nothing is announced, and nothing said in the log")
        return work.done()
    desk.follow()
    work.destroy(desk.state.time)
    try:
        rules.still_enrolled(desk.state, desk.name, desk.keys.signing.public)
    except RefusedError as error:
        work.said.append(f"{error.message}: nothing is announced")
        return work.done()
    work.tell_destroyed()
    work.announce()
    return work.done()


def _time_of_a_frozen(desk: Desk) -> int:
    """The witness time of the checkpoint shown now if it is fresh; else the last one we read."""
    try:
        shown = desk.follower.present().time(desk.policy)
        rules.fresh(shown, desk.clock.now())
    except Error:
        return desk.state.time
    return max(shown, desk.state.time)


class _Work:
    """One call of :func:`tend`, step by step."""

    def __init__(self, desk: Desk, rhythm: Rhythm) -> None:
        self._desk, self._rhythm = desk, rhythm
        self._keys, self._state = desk.keys, desk.state
        self._destroyed: list[int] = []
        self._logged: list[int] = []
        self._announced: list[int] = []
        self.said: list[str] = []

    def done(self) -> Tended:
        return Tended(
            tuple(self._destroyed), tuple(self._logged), tuple(self._announced), tuple(self.said)
        )

    def _known(self) -> list[EpochKey]:
        return self._state.epochs(self._desk.name)

    def _over(self, epoch: int, now: int) -> bool:
        return rules.epoch_over(self._state, self._desk.name, epoch, now)

    def destroy(self, now: int) -> None:
        """Every key here whose end the log knows. One that is not announced yet stays."""
        for epoch in self._keys.epochs():
            if self._state.epoch(self._desk.name, epoch) and self._over(epoch, now):
                self._keys.destroy(epoch)
                self._destroyed.append(epoch)
                self.said.append(f"epoch {epoch}: its key is destroyed")

    def tell_destroyed(self) -> None:
        for each in self._known():
            if self._keys.has(each.epoch) or self._state.destroyed(each.trustee, each.epoch):
                continue
            if not self._over(each.epoch, self._state.time):
                self.said.append(
                    f"epoch {each.epoch}: its key is announced and not here: what was sealed to "
                    "it cannot be opened by this trustee"
                )
                continue
            region = self._state.region
            assert region is not None
            entry = DestroyEntry(
                region=region.region,
                time=self._desk.clock.now(),
                trustee=self._desk.name,
                epoch=each.epoch,
                key=digest(each.key),
            )
            index = self._log(encode(entry, self._keys.signing))
            self._logged.append(each.epoch)
            self.said.append(f"epoch {each.epoch}: log entry {index} says that it is destroyed")

    def announce(self) -> None:
        """Finish what was begun; then the next epoch, if the present one nears its end."""
        for epoch in self._keys.epochs():
            if self._state.epoch(self._desk.name, epoch) is None:
                self._announce(epoch, *self._next())
        last = self._last()
        if last is None or last.not_after - self._rhythm.ahead <= self._state.time:
            numbers = [each.epoch for each in self._known()]
            self._announce(1 + max(numbers, default=0), *self._next())

    def _last(self) -> EpochKey | None:
        """The epoch that lasts longest of those not ended and whose key is here."""
        usable = [
            each
            for each in self._known()
            if each.not_after > self._state.time
            and (key := self._keys.epoch(each.epoch)) is not None
            and key.public == each.key
        ]
        return max(usable, key=lambda each: each.not_after, default=None)

    def _next(self) -> tuple[int, int]:
        """From when to when: after the last epoch, or from now if there is none that lasts."""
        last, now = self._last(), self._state.time
        begin = (now if last is None else last.not_after) - self._rhythm.overlap
        return begin, begin + self._rhythm.overlap + self._rhythm.length

    def _announce(self, epoch: int, begin: int, end: int) -> None:
        region, desk = self._state.region, self._desk
        assert region is not None
        entry = self._keys.new_epoch(desk.name, region.region, epoch, begin, end, desk.clock.now())
        index = self._log(entry)
        known = self._state.epoch(desk.name, epoch)
        assert known is not None
        self._announced.append(epoch)
        days = (known.not_after - known.not_before) / DAY
        self.said.append(f"epoch {epoch}: announced by log entry {index}, for {days:.0f} days")

    def _log(self, entry: bytes) -> int:
        """Append ``entry`` unless it is there, and see it there with our own eyes; its index."""
        leaf = leaf_digest(entry)
        if self._state.index_of(leaf) is None:
            self._desk.append([entry])
            self._desk.follow()
        if (index := self._state.index_of(leaf)) is None:
            raise IntegrityError(
                "the log took our entry but does not show it, or not as a valid one",
                hint="audit the log; this call is safe to repeat",
            )
        return index
