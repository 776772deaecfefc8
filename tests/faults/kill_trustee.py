# SPDX-License-Identifier: Apache-2.0
"""A trustee is killed: as it grants and refuses, as it freezes, as it ends one epoch for another.

Then it starts again and is asked the same again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from killing import Child, Fate

from incamera.errors import PolicyError
from incamera.ids import Name
from incamera.ledger.evidence import check_fork, parse_evidence
from incamera.ledger.grant import Grant
from incamera.ledger.request import GrantRequest
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule
from incamera.sealing.keys import OpeningKey
from incamera.trustee import Trustee
from world import DAY, World

CH = "ch"
Lines = dict[str, Connection]


class Scene:
    """A region that can be put back to where it stood before each life."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder / "world", folder / "kept"
        self.folder.mkdir()
        self.world = World(self.folder)
        self.capsules = [self.world.capsule(b"one"), self.world.capsule(b"two")]
        self.good = self.world.request(self.capsules)
        self.bad = self.world.request(self.capsules[:1], reader="ministry")
        for each in self.world.trustees.values():
            each.close()
        at = self.world.logs.log.size
        self.forked = [self.world.note(at, bytes([each]) * 32) for each in (1, 2)]
        self.start = self.world.clock.seconds
        shutil.copytree(self.folder, self.kept)

    def again(self) -> None:
        """Put all files and the clock back."""
        shutil.rmtree(self.folder)
        shutil.copytree(self.kept, self.folder)
        self.world.clock.seconds = self.start

    def trustee(self, line: Connection | None = None) -> Trustee:
        """The trustee, as after a start; a child appends over ``line``."""

        def append(entry: bytes) -> int:
            assert line is not None
            line.send_bytes(entry)
            return int(line.recv_bytes())

        return self.world.trustee(CH, **({"append": append} if line else {}))

    def asked(self, request: tuple[bytes, int], *capsules: Capsule) -> GrantRequest:
        """What the trustee is shown."""
        return self.world.ask(CH, *request, *capsules)

    def append(self, entry: bytes) -> bytes:
        """What the log answers the child."""
        return b"%d" % self.world.append(entry)


def granted_once(scene: Scene, answers: list[bytes]) -> None:
    """Each share that ever left has its entry in the log, and it is one entry, counted once."""
    world, leaf = scene.world, scene.good[0]
    state = world.state()
    entries = [each.index for each in state.grants(leaf_digest(leaf))]
    assert len(entries) == 1
    assert [each.kind for each in state.findings()] == []
    trustee = scene.trustee()
    key = trustee.keys.signing.public
    day = world.clock.now() // DAY
    assert trustee._desk.memory.granted_on(Name("acme"), day) == 2
    trustee.close()
    for each in answers:
        grant = Grant.open(each, key, leaf_digest(leaf))
        assert list(grant.entries) == entries
        assert set(world.shares(grant, leaf)) == {1}  # they open with the leaf's key
    assert len(list(state.refusals(leaf_digest(scene.bad[0])))) == 1


def grants(scene: Scene, fate: Fate) -> list[int] | None:
    """It grants one request and refuses another."""
    good, bad = scene.asked(scene.good, *scene.capsules), scene.asked(scene.bad, scene.capsules[0])

    def decide(trustee: Trustee, say: Callable[[bytes], Any]) -> None:
        say(trustee.decide(good).envelope)
        try:
            trustee.decide(bad)
        except PolicyError:
            say(b"")
        else:
            raise AssertionError("a ministry was granted")

    left: list[bytes] = []

    def seen(share: bytes) -> None:
        """At this very moment its grant stands in the log."""
        left.append(share)
        if share:
            grant = Grant.open(share, key, leaf_digest(scene.good[0]))
            found = scene.world.state().grants(leaf_digest(scene.good[0]))
            assert list(grant.entries) == [each.index for each in found]

    trustee = scene.trustee()
    key = trustee.keys.signing.public
    trustee.close()

    def act(lines: Lines) -> None:
        decide(scene.trustee(lines["append"]), lines["say"].send_bytes)

    child = Child(["append", "say"], act, fate)  # type: ignore[arg-type]
    child.serve({"append": scene.append, "say": seen})
    counts = child.end()
    trustee = scene.trustee()
    decide(trustee, left.append)
    trustee.close()
    granted_once(scene, [each for each in left if each])
    return counts


def freezes(scene: Scene, fate: Fate) -> list[int] | None:
    """It is shown the proof of a fork, and then asked."""
    good = scene.asked(scene.good, *scene.capsules)
    told: list[bytes] = []

    def act(lines: Lines) -> None:
        trustee = scene.trustee(lines["append"])
        trustee.accuse(*scene.forked)
        lines["say"].send_bytes(b"frozen")
        try:
            lines["say"].send_bytes(trustee.decide(good).envelope)
        except PolicyError:
            return

    child = Child(["append", "say"], act, fate)  # type: ignore[arg-type]
    child.serve({"append": scene.append, "say": told.append})
    counts = child.end()
    assert told in ([], [b"frozen"]), "a share left after it froze"
    trustee = scene.trustee()
    assert trustee.frozen or not told, "it said that it froze, and forgot"
    trustee.accuse(*scene.forked)
    trustee.close()
    trustee = scene.trustee()
    assert trustee.frozen
    try:
        trustee.decide(good)
    except PolicyError as error:
        assert getattr(error, "code", "") == "frozen"  # noqa: PT017 # the code is the point
    else:
        raise AssertionError("a frozen trustee granted")
    (kept,) = trustee.evidence
    check_fork(*parse_evidence(kept.read_bytes(), str(kept)), scene.world.logs.policy)
    trustee.close()
    return counts


def tends(scene: Scene, fate: Fate) -> list[int] | None:
    """Its epoch is over, and what was sealed to it must end; the next one begins."""
    world = scene.world
    world.clock.advance(40 * DAY)
    world.logs.log.refresh()

    def act(lines: Lines) -> None:
        scene.trustee(lines["append"]).tend()

    def check() -> None:
        """What the log says of a key is true on disk, at any moment."""
        state = world.state()
        for each in state.epochs(CH):
            path = scene.folder / CH / "epochs" / f"{each.epoch}.key"
            if state.destroyed(CH, each.epoch):
                assert not path.exists(), "the log says that a key is destroyed, and it is here"
            elif each.not_after > state.time:
                assert OpeningKey.load(path).public == each.key, "announced, and not here"

    child = Child(["append"], act, fate)  # type: ignore[arg-type]
    child.serve({"append": scene.append})
    counts = child.end()
    check()
    trustee = scene.trustee()
    trustee.tend()
    trustee.close()
    check()
    state = world.state()
    numbers = [each.epoch for each in state.epochs(CH)]
    assert numbers == [4, 5], "an epoch was announced twice, or not at all"
    assert state.destroyed(CH, 4) is not None
    assert [each.kind for each in state.findings()] == []
    return counts


def run(act: Callable[[Scene, Fate], list[int] | None]) -> Callable[[Path, Fate], Any]:
    """A row of the table: one life of ``act`` in a region put back to its start."""
    scenes: dict[Path, Scene] = {}

    def once(folder: Path, fate: Fate) -> list[int] | None:
        if folder in scenes:
            scenes[folder].again()
        else:
            scenes[folder] = Scene(folder)
        return act(scenes[folder], fate)

    return once
