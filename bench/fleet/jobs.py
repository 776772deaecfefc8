# SPDX-License-Identifier: Apache-2.0
"""What is sent: good capsules, links that fail them, and the one in a hundred that lies.

Each job knows the answer it must get. ``tests/unit/bench/test_bench_fleet.py`` keeps the table
against a real vault.
"""

from __future__ import annotations

import random
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from bench.fleet.capsules import DAY, Head, Maker, hour_of
from bench.fleet.crowd import Crowd
from incamera.ids import Digest, Name, Region, digest
from incamera.sealing.capsule import LENGTH, MAGIC
from incamera.sealing.header import open_header

__all__ = ["CRIMES", "Job", "Mix", "Road"]

Road = Literal["plain", "cut", "resumed", "deaf", "twice", "slow"]
"""How a good capsule travels. ``cut``: the link breaks at half, then all is sent again;
``resumed``: only the rest (tus). ``deaf``: the answer is not heard, then sent again. ``twice``: two
at once. ``slow``: in pieces over two seconds."""

MIX: dict[Road, float] = {
    "plain": 0.94,
    "cut": 0.01,
    "resumed": 0.01,
    "deaf": 0.01,
    "twice": 0.02,
    "slow": 0.01,
}


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery."""

    kind: str
    digest: Digest
    head: bytes
    body: int
    road: Road = "plain"
    #: HTTP statuses that are right, and the code in the problem document ("" for any).
    status: tuple[int, ...] = (201,)
    code: str = ""
    #: Done to the bytes: (offset from the end, XOR) or a new length; None: nothing.
    flip: int | None = None
    cut_to: int | None = None
    more: bytes = b""
    #: What the car signs its calls with, where it has to.
    seed: bytes = b""

    def spent(self) -> Job:
        """Without its bytes, for the judge; there may be many."""
        return replace(self, head=b"", more=b"")

    @property
    def good(self) -> bool:
        """True if it must be admitted."""
        return self.status == (201,)


class Mix:
    """An endless crowd of jobs, the same for the same seed but for keys and ids."""

    def __init__(
        self,
        maker: Maker,
        crowd: Crowd,
        *,
        malicious: float = 0.01,
        seed: int = 7,
        apart: int = 500,
        remember: float = 0.02,
    ) -> None:
        """``apart``: jobs between a capsule and who sends it, or its id, again.

        ``remember``: the share of capsules that may be.
        """
        self._maker, self._crowd = maker, crowd
        self._malicious, self._apart, self._remember = malicious, apart, remember
        self._dice = random.Random(seed)
        self._made = 0
        self._sent: deque[tuple[int, Job]] = deque(maxlen=2_000)
        self._hours = [hour_of(maker.now - 3600 * n) for n in range(12)]

    def jobs(self, count: int) -> list[Job]:
        """So many, a little out of order within a car's own."""
        found = list(self._some(count))
        for at in range(0, len(found) - 16, 16):  # reordered on the way
            part = found[at : at + 16]
            if self._dice.random() < 0.1:
                self._dice.shuffle(part)
                found[at : at + 16] = part
        return found

    def _some(self, count: int) -> Iterator[Job]:
        for _ in range(count):
            if self._dice.random() < self._malicious:
                yield CRIMES[self._dice.choice(list(CRIMES))](self)
            else:
                yield self.good()

    def good(self, road: Road | None = None) -> Job:
        """One that must be admitted; some cars' clocks are wrong, within what is allowed."""
        dice = self._dice
        hour = dice.choice(self._hours)
        if dice.random() < 0.02:
            off = dice.choice((-200, -30, 2, 20))
            hour = hour_of(self._maker.now + 3600 * off)
        car = dice.choice(self._crowd.cars)
        head = self._maker.head(car, hour=hour)
        chosen = road or dice.choices(list(MIX), list(MIX.values()))[0]
        job = Job("good", head.digest, head.data, head.body, chosen)
        if chosen == "resumed":
            job = replace(job, seed=car.seed)
        self._made += 1
        if dice.random() < self._remember:
            self._sent.append((self._made, job))
        return job

    def _earlier(self) -> Job | None:
        """A good one that was due long enough ago to be admitted by now."""
        if not self._sent or self._sent[0][0] > self._made - self._apart:
            return None
        return self._dice.choice([job for at, job in self._sent if at <= self._made - self._apart])

    def forget(self, unsent: Collection[Digest]) -> None:
        """Made, but never sent."""
        kept = [each for each in self._sent if each[1].digest not in unsent]
        self._sent = deque(kept, self._sent.maxlen)

    # What must be refused, or change nothing

    def crime(self, kind: str) -> Job:
        """One of a kind."""
        return CRIMES[kind](self)

    def _any(self) -> Head:
        return self._maker.head(self._dice.choice(self._crowd.cars))

    def _job(self, kind: str, head: Head, status: int, code: str = "", **more: object) -> Job:
        job = Job(kind, head.digest, head.data, head.body, "plain", (status,), code)
        return replace(job, **more)  # type: ignore[arg-type]

    def _odd(self, kind: str, code: str, **change: object) -> Job:
        head = self._maker.odd(self._dice.choice(self._crowd.cars), **change)
        return self._job(kind, head, 403, code)

    def bad_signature(self) -> Job:
        """Another car's key signed."""
        one, other = self._dice.sample(self._crowd.cars, 2)
        payload = self._maker.filled(0, one, self._hours[0])
        return self._job("bad-signature", Maker.sealed(payload, other.key, 0), 422)

    def altered(self) -> Job:
        """A bit of the ciphertext is another one."""
        job = self._job("altered", self._any(), 422)
        length = self._maker.bodies[job.body].header.payload.length
        return replace(job, flip=self._dice.randrange(1, length))

    def altered_share(self) -> Job:
        """A bit of a wrapped key is another one."""
        head = self._any()
        at = len(self._maker.bodies[head.body].tail) - self._dice.randrange(4 * 1168)
        return replace(self._job("altered-share", head, 422), flip=at)

    def truncated(self) -> Job:
        """The body ends early, and says so in its length."""
        head = self._any()
        tail = len(self._maker.bodies[head.body].tail)
        return replace(
            self._job("truncated", head, 400), cut_to=len(head.data) + self._dice.randrange(tail)
        )

    def longer(self) -> Job:
        """Something behind its end."""
        return replace(self._job("longer", self._any(), 413), more=b"x" * 100)

    def junk(self) -> Job:
        """No capsule at all."""
        data = secrets.token_bytes(4096)
        return Job("junk", digest(data), data, 0, "plain", (400,))

    def replay(self) -> Job:
        """One that was admitted: the same receipt's place again, and nothing new."""
        if (earlier := self._earlier()) is None:
            return self.good()
        return replace(earlier, kind="replay", road="plain", seed=b"")

    def flood(self) -> Job:
        """One car that sends and sends: what is within its limits is taken, the rest is not."""
        job = self._job("flood", self._maker.head(self._crowd.greedy), 201)
        return replace(job, status=(201, 429))

    def stranger(self) -> Job:
        """A car nobody enrolled."""
        head = self._maker.head(self._dice.choice(self._crowd.strangers))
        return self._job("stranger", head, 403, "unenrolled")

    def revoked(self) -> Job:
        """A car that was sold."""
        head = self._maker.head(self._dice.choice(self._crowd.revoked))
        return self._job("revoked", head, 403, "unenrolled|revoked")

    def foreign(self) -> Job:
        """Another region's capsule."""
        return self._odd("foreign", "wrong-region", region=Region("cn"))

    def tomorrow(self) -> Job:
        """Recorded more than a day from now."""
        hour = hour_of(self._maker.now + 2 * DAY)
        head = self._maker.head(self._dice.choice(self._crowd.cars), hour=hour)
        return self._job("tomorrow", head, 403, "future")

    def long_ago(self) -> Job:
        """Its time is over."""
        return self._odd("long-ago", "expired", expires=self._maker.now - DAY)

    def for_ever(self) -> Job:
        """To be kept longer than the region allows."""
        return self._odd("for-ever", "retention", expires=self._maker.now + 3_650 * DAY)

    def no_consent(self) -> Job:
        """Nobody consented."""
        return self._odd("no-consent", "consent-missing", consent="")

    def own_policy(self) -> Job:
        """Under a policy nobody published."""
        return self._odd("own-policy", "unknown-policy", policy=digest(b"permit all"))

    def own_trustee(self) -> Job:
        """Sealed to a trustee nobody knows."""
        was = self._maker.bodies[0].header.shares
        mine = replace(was[0], trustee=Name("puppet"))
        return self._odd("own-trustee", "unknown-trustee", shares=(mine, *was[1:]))

    def same_id(self) -> Job:
        """The capsule id of one that is kept."""
        if (earlier := self._earlier()) is None:
            return self.good()
        header = open_header(earlier.head[len(MAGIC) + LENGTH.size :], "head")
        return self._odd("same-id", "duplicate", capsule_id=header.capsule_id)


CRIMES: dict[str, Callable[[Mix], Job]] = {
    "bad-signature": Mix.bad_signature,
    "altered": Mix.altered,
    "altered-share": Mix.altered_share,
    "truncated": Mix.truncated,
    "longer": Mix.longer,
    "junk": Mix.junk,
    "replay": Mix.replay,
    "flood": Mix.flood,
    "stranger": Mix.stranger,
    "revoked": Mix.revoked,
    "foreign": Mix.foreign,
    "tomorrow": Mix.tomorrow,
    "long-ago": Mix.long_ago,
    "for-ever": Mix.for_ever,
    "no-consent": Mix.no_consent,
    "own-policy": Mix.own_policy,
    "own-trustee": Mix.own_trustee,
    "same-id": Mix.same_id,
}
