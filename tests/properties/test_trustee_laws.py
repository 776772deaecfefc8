# SPDX-License-Identifier: Apache-2.0
"""Whatever happens in a region, in whatever order: a trustee grants what the rules allow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incamera.errors import IntegrityError, PolicyError
from incamera.ledger.grant import Grant
from incamera.sealing.capsule import Capsule
from world import World, quick_folder

NOTICE, QUOTA = 20, 4
READERS = ("acme", "acme", "acme", "acme", "ministry", "pixel")


@dataclass
class Asked:
    """A request, as the model remembers it."""

    leaf: bytes
    index: int
    reader: str
    names: set[int]
    expires: int
    read: int | None = None  # witness time at which the trustee first read it
    granted: set[int] = field(default_factory=set)


class Model:
    """The rules in a few lines, beside the real thing."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.capsules: list[Capsule] = [world.capsule(b"first")]
        self.asked: list[Asked] = []
        self.erased: set[int] = set()
        self.revoked: set[str] = set()
        self.spent: dict[tuple[str, int], int] = {}

    def capsule(self, _number: int, _other: int) -> None:
        """A car uploads."""
        self.capsules.append(self.world.capsule(b"clip %d" % len(self.capsules)))

    def request(self, number: int, other: int) -> None:
        """A reader asks for one or two capsules."""
        names = {number % len(self.capsules), other % len(self.capsules)}
        reader = READERS[number % 6]
        expires = self.world.clock.now() + (150 if other % 3 == 0 else 10**6)
        wanted = [self.capsules[each] for each in names]
        leaf, index = self.world.request(wanted, reader=reader, expires=expires)
        self.asked.append(Asked(leaf, index, reader, names, expires))

    def replay(self, number: int, _other: int) -> None:
        """Somebody logs an old request again."""
        if self.asked:
            self.world.append(self.asked[number % len(self.asked)].leaf)

    def erase(self, number: int, _other: int) -> None:
        """The owner erases."""
        self.erased.add(number % len(self.capsules))
        self.world.erase(self.capsules[number % len(self.capsules)])

    def revoke(self, number: int, _other: int) -> None:
        """The operator revokes a reader, now and then."""
        if number % 6 == 0 and "acme" not in self.revoked:
            self.revoked.add("acme")
            self.world.revoke("reader", "acme")

    def advance(self, number: int, other: int) -> None:
        """Time goes by, with or without the log's witnesses."""
        self.world.clock.advance((10, 30, 30, 60, 60, 200, 3_700)[number % 7])
        if other % 4:
            self.world.logs.log.refresh()

    def ask(self, number: int, other: int) -> None:
        """Ask the trustee, and compare with the rules."""
        if not self.asked:
            return
        asked = self.asked[number % len(self.asked)]
        wanted = {other % len(self.capsules)} if other % 3 == 0 else asked.names
        expected = self.allowed(asked, wanted)
        capsules = [self.capsules[each] for each in wanted]
        try:
            grant = self.world.decide("ch", asked.leaf, asked.index, *capsules)
        except (PolicyError, IntegrityError):
            assert not expected
            return
        assert expected
        assert {each.capsule for each in grant.shares} == {each.digest for each in capsules}
        asked.granted |= wanted

    def together(self, number: int, other: int) -> None:
        """Ask for several at once, some twice: as if they were asked one after the other."""
        if not self.asked:
            return
        picked = [self.asked[(number + i * other) % len(self.asked)] for i in range(2 + other % 4)]
        requests, expected = [], []
        for place, asked in enumerate(picked):
            wanted = {(other + place) % len(self.capsules)} if place % 3 == 2 else asked.names
            capsules = [self.capsules[each] for each in wanted]
            requests.append(self.world.ask("ch", asked.leaf, asked.index, *capsules))
            expected.append(self.allowed(asked, wanted))
            asked.granted |= wanted if expected[-1] else set()
        answers = self.world.trustees["ch"].decide_many(requests)
        assert [isinstance(each, Grant) for each in answers] == expected

    def allowed(self, asked: Asked, wanted: set[int]) -> bool:
        """What the trustee should say; and what it remembers of having been asked."""
        world = self.world
        witnessed = world.logs.log.checkpoint().time(world.logs.policy)
        if world.clock.now() - witnessed > 3_600:
            return False
        for each in self.asked:
            each.read = witnessed if each.read is None else each.read
        assert asked.read is not None
        key, new = (asked.reader, witnessed // 86_400), len(wanted - asked.granted)
        good = (
            asked.reader == "acme"
            and asked.reader not in self.revoked
            and wanted <= asked.names
            and not wanted & self.erased
            and witnessed < asked.expires
            and witnessed >= asked.read + NOTICE
            and (not new or self.spent.get(key, 0) + new <= QUOTA)
        )
        if good:
            self.spent[key] = self.spent.get(key, 0) + new
        return good


OPS = st.sampled_from(
    ["capsule", "request", "request", "replay", "erase", "revoke", "advance", "advance"]
    + ["ask"] * 4
    + ["together"] * 3
)
STEPS: Any = st.lists(
    st.tuples(OPS, st.integers(0, 59), st.integers(0, 59)), min_size=5, max_size=30
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_a_trustee_grants_exactly_what_the_rules_allow(steps: list[tuple[str, int, int]]) -> None:
    """After any history, each answer is the model's; and the log shows what was granted."""
    with quick_folder() as folder:
        model = Model(World(folder, notice=NOTICE, quota=QUOTA))
        for name, number, other in (("request", 0, 1), ("ask", 0, 1), ("advance", 1, 1)):
            getattr(model, name)(number, other)
        for name, number, other in steps:
            getattr(model, name)(number, other)
        state = model.world.state()
        granted = sum(len(each.granted) for each in model.asked)
        assert sum(each.count for each in state.grants()) == granted
        bad = [each for each in state.findings() if each.kind == "bad"]
        assert all("no reader acme" in each.text for each in bad)  # it asked after its revocation
