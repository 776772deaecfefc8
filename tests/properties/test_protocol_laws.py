# SPDX-License-Identifier: Apache-2.0
"""Log, witnesses and a trustee under any history of crashes, restored disks, forks and replays.

The code itself, in one process, on a disk in memory; a death is an exception at a write, a
rename or a statement of SQLite that unwinds everything. What must hold is what ``models/`` claims:

- no two trees of one size are ever signed by this log, cosigned by one honest witness, or
  published; whatever was published extends what was published before;
- what was acknowledged stays, in its place;
- a share that left was granted by an entry in the log, to the one key in its leaf, and neither
  after the trustee froze nor after the capsule was erased in the log it had read.

``INCAMERA_PROTOCOL=1000`` runs so many histories (30 in the suite).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dying import COUNTDOWN, Death, copy_disk, counted, put_back
from incamera.errors import IntegrityError, PolicyError, UnavailableError
from incamera.ledger import evidence
from incamera.ledger.state import leaf_digest
from incamera.sealing.capsule import Capsule
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import sign, split_note
from incamera.trustee import Trustee, decide
from incamera.trustee.memory import Memory
from world import World
from world_tlog import START, log_world

CH = "ch"
FORGED = b"\1" * 32


@functools.cache
def made_world() -> World:
    """A region, made once: its keys take longer than many histories."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="incamera-protocol-", dir=place))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    world = World(folder / "world")
    for each in world.trustees.values():
        each.close()
    shutil.copytree(world.home, folder / "made")
    return world


def fresh_world() -> World:
    """That region as it was made, with nobody running."""
    world = made_world()
    shutil.rmtree(world.home)
    shutil.copytree(world.home.parent / "made", world.home)
    world.clock.seconds = START
    world.logs = log_world(world.home / "log", clock=world.clock)
    return world


class Protocol(RuleBasedStateMachine):
    """A region, and somebody who does his worst."""

    def __init__(self) -> None:
        super().__init__()
        self.context = contextlib.ExitStack()
        self.context.enter_context(counted())
        COUNTDOWN.left = None
        self.world = fresh_world()
        self.folder = self.world.home.parent
        self.trustee: Trustee | None = None
        self.capsules: list[Capsule] = [self.world.capsule(b"first")]
        self.requests: list[tuple[bytes, int, int]] = []  # leaf, index, capsule
        self.acked: dict[int, bytes] = dict(enumerate(self.world.entries()))
        self.signed: dict[int, set[bytes]] = {}
        self.cosigned: list[dict[int, set[bytes]]] = [{} for _ in self.world.logs.witnesses]
        self.published: dict[int, bytes] = {}
        self.bodies: list[bytes] = []  # all that was ever said to a witness
        self.backups: dict[str, Path] = {}
        self.frozen = False
        self.restored: set[str] = set()  # who came back from a backup
        self._watch()
        self._published()
        self.request(0)

    def teardown(self) -> None:
        """Let go of the disk."""
        self._close()
        COUNTDOWN.left = None
        self.context.close()

    # The parties, and what is seen of them

    def _watch(self) -> None:
        """See all that passes between the log and each witness."""
        for number, each in enumerate(self.world.logs.witnesses):
            inner = each.inner.add_checkpoint

            def ask(body: bytes, number: int = number, inner: Any = inner) -> tuple[int, bytes]:
                self.bodies.append(body)
                text, _ = split_note(body.partition(b"\n\n")[2])
                tree = Checkpoint.parse(text)
                if tree.root != FORGED:  # not this log's doing
                    self.signed.setdefault(tree.size, set()).add(tree.root)
                status, answer = inner(body)
                if status == 200:
                    self.cosigned[number].setdefault(tree.size, set()).add(tree.root)
                return status, answer

            each.inner.add_checkpoint = ask  # type: ignore[method-assign]

    def _open(self) -> Trustee:
        if self.trustee is None:
            self.trustee = self.world.trustee(CH)
        return self.trustee

    def _close(self) -> None:
        if self.trustee is not None:
            self.trustee.close()
            self.trustee = None

    def _restart_log(self) -> None:
        COUNTDOWN.left = None
        self.world.logs.log = self.world.logs.reopened()

    def _published(self) -> None:
        """What everybody can see now extends all that was ever seen."""
        self.world.logs.reader().checkpoint()
        tree = self.world.logs.log.checkpoint().checkpoint
        assert self.published.setdefault(tree.size, tree.root) == tree.root
        hashes = [merkle.leaf_hash(each) for each in self.world.entries()]
        for size, root in self.published.items():
            if size <= tree.size:
                assert merkle.root(hashes[:size]) == root, "what was published is not extended"

    def _append(self, entry: bytes) -> int | None:
        """Append, whatever comes; the index if it was acknowledged."""
        try:
            at = self.world.append(entry)
        except Death:
            self._restart_log()
            return None
        except UnavailableError:
            return None
        assert self.acked.setdefault(at, entry) == entry
        self._published()
        return at

    # What people do

    @rule()
    def capsule(self) -> None:
        """A car uploads a capsule."""
        if len(self.capsules) < 4:
            with contextlib.suppress(UnavailableError):
                self.capsules.append(self.world.capsule(b"%d" % len(self.capsules)))
                self._note_log()

    @rule(number=st.integers(0, 3))
    def request(self, number: int) -> None:
        """A reader asks for a capsule."""
        at = number % len(self.capsules)
        leaf = self.world.leaf([self.capsules[at]])
        if (index := self._append(leaf)) is not None:
            self.requests.append((leaf, index, at))

    @precondition(lambda self: self.requests)
    @rule(number=st.integers(0, 9))
    def replay(self, number: int) -> None:
        """Somebody logs an old request again."""
        self._append(self.requests[number % len(self.requests)][0])

    @rule(number=st.integers(0, 9))
    def erase(self, number: int) -> None:
        """The owner erases a capsule, now and then."""
        if number == 0:
            with contextlib.suppress(UnavailableError):
                self.world.erase(self.capsules[-1])
                self._note_log()

    @rule(seconds=st.integers(1, 1_800))
    def time_passes(self, seconds: int) -> None:
        """And the log has its tree cosigned again, if it can."""
        self.world.clock.advance(seconds)
        with contextlib.suppress(UnavailableError):
            self.world.logs.log.refresh()
            self._note_log()

    @precondition(lambda self: self.requests)
    @rule(number=st.integers(0, 9), deaths=st.integers(0, 30), after=st.booleans())
    def ask_one_that_dies(self, number: int, deaths: int, after: bool) -> None:
        """A reader asks the trustee, which dies at some step; then it is asked again."""
        self._ask(number, deaths, after)

    @precondition(lambda self: self.requests)
    @rule(number=st.integers(0, 9))
    def ask(self, number: int) -> None:
        """A reader asks the trustee."""
        self._ask(number, None, False)

    def _ask(self, number: int, deaths: int | None, after: bool) -> None:
        leaf, index, at = self.requests[number % len(self.requests)]
        capsule = self.capsules[at]
        for left in (deaths, None):
            self.world.clock.advance(1)
            try:
                asked = self.world.ask(CH, leaf, index, capsule)
                trustee = self._open()
                COUNTDOWN.left, COUNTDOWN.after = left, after
                grant = trustee.decide(asked)
            except Death:
                self._close()
                self._restart_log()  # it may have been the log that died under it
                continue
            except (PolicyError, IntegrityError, UnavailableError):
                continue
            finally:
                COUNTDOWN.left = None
                self._note_log()
            self._left(leaf, capsule, grant)

    def _left(self, leaf: bytes, capsule: Capsule, grant: Any) -> None:
        """A share left: it was right to."""
        assert not self.frozen, "a share after the freeze"
        state = self.world.state()
        entries = {each.index: each for each in state.grants(leaf_digest(leaf))}
        assert set(grant.entries) <= set(entries), "a share without its grant entry"
        assert all(entries[each].trustee == CH for each in grant.entries)
        assert state.request(leaf_digest(leaf)) is not None
        if (erased := state.erased(capsule.digest)) is not None:
            assert max(grant.entries) < erased.index, "erased, then granted"
        assert set(self.world.shares(grant, leaf)) == {1}, "not for the key in the leaf"
        if not self.restored & {"own"}:
            assert len(entries) == 1, "granted twice"

    # What breaks

    @rule(deaths=st.integers(0, 12), after=st.booleans(), number=st.integers(0, 3))
    def log_dies(self, deaths: int, after: bool, number: int) -> None:
        """The log, or a witness under it, dies while it appends; the caller asks again."""
        leaf = self.world.leaf([self.capsules[number % len(self.capsules)]])
        COUNTDOWN.left, COUNTDOWN.after = deaths, after
        at = self._append(leaf)
        COUNTDOWN.left = None
        if at is None:
            at = self._append(leaf)
        if at is not None:
            self.requests.append((leaf, at, number % len(self.capsules)))

    @rule(down=st.sets(st.integers(0, 2), max_size=2))
    def witnesses_go(self, down: set[int]) -> None:
        """Some witnesses go away, and others come back."""
        for number, each in enumerate(self.world.logs.witnesses):
            each.down = number in down

    @precondition(lambda self: self.bodies)
    @rule(number=st.integers(0, 10**6), witness=st.integers(0, 2))
    def message_comes_again(self, number: int, witness: int) -> None:
        """The network delivers an old message, to any witness."""
        body = self.bodies[number % len(self.bodies)]
        self.world.logs.witnesses[witness].inner.add_checkpoint(body)

    @rule(witness=st.integers(0, 2), back=st.integers(0, 3))
    def forged_tree(self, witness: int, back: int) -> None:
        """Somebody with the log's key asks a witness to cosign another tree: it never does."""
        size = max(self.published) - back
        text = Checkpoint(self.world.logs.signer.name, size, FORGED).text
        body = b"old %d\n\n" % size + sign(text, [self.world.logs.signer])
        status, _ = self.world.logs.witnesses[witness].inner.add_checkpoint(body)
        assert status in (409, 422)

    @rule(who=st.sampled_from(["log", "witness", "state", "own"]))
    def back_up(self, who: str) -> None:
        """Somebody copies a disk."""
        self._close()
        self.backups[who] = copy_disk(self._disk(who), self.folder / f"backup-{who}")

    @rule(who=st.sampled_from(["witness", "state", "own"]))
    def restore(self, who: str) -> None:
        """And puts it back: one witness's, or one of the trustee's two files."""
        if who in self.backups:
            self._close()
            put_back(self._disk(who), self.backups[who])
            self.restored.add(who)

    @rule(tiles=st.booleans())
    def restore_the_log(self, tiles: bool) -> None:
        """The log's state is put back, or all of it: it notices, unless nothing was appended since.

        Not with a witness that was put back too, nor over a tree that was signed and not yet
        published: the limits that docs/proof.md tells.
        """
        unpublished = max(self.signed, default=0) > max(self.published)
        if "log" not in self.backups or "witness" in self.restored or unpublished:
            return
        disk = self._disk("log")
        newest, size = copy_disk(disk, self.folder / "newest"), max(self.published)
        put_back(disk[: 2 if tiles else 1], self.backups["log"])
        try:
            self.world.logs.log = self.world.logs.reopened()
            first = self.world.append(self.world.leaf(self.capsules))
        except (IntegrityError, UnavailableError):
            put_back(disk, newest)  # the operator does what the message says
            self.world.logs.log = self.world.logs.reopened()
        else:
            assert first == size, "a log put back went on from its old tree"
            self._note_log()

    def _disk(self, who: str) -> list[Path]:
        logs, home = self.world.logs, self.world.home / CH
        return {
            "log": [logs.state, logs.public],
            "witness": [logs.home / "w1"],
            "state": [home / f"state.db{end}" for end in ("", "-wal", "-shm")],
            "own": [home / f"own.db{end}" for end in ("", "-wal", "-shm")],
        }[who]

    def _note_log(self) -> None:
        """What was appended by others is acknowledged, too."""
        self.acked |= dict(enumerate(self.world.entries()))
        self._published()

    @rule(number=st.integers(0, 4))
    def accuse(self, number: int) -> None:
        """Somebody shows the trustee two notes: of a fork, or of none."""
        size, one = max(self.published), number > 0
        notes = [self.world.note(size, bytes([each]) * 32) for each in (1, 1 if one else 2)]
        try:
            self._open().accuse(*notes)
        except IntegrityError:
            assert one
        else:
            assert not one
            self.frozen = True
        self._note_log()

    # What holds

    @invariant()
    def one_tree_for_each_size(self) -> None:
        """Nobody honest ever put his name under two."""
        for seen in (self.signed, *self.cosigned):
            assert all(len(roots) == 1 for roots in seen.values())

    @invariant()
    def what_was_acknowledged_stays(self) -> None:
        """Each entry in its place, read by an outsider."""
        entries = self.world.entries()
        assert all(entries[at] == entry for at, entry in self.acked.items())

    @invariant()
    def frozen_stays_frozen(self) -> None:
        """Across every restart."""
        if self.frozen:
            self._close()
            assert self._open().frozen


def run_histories(count: int, **more: Any) -> None:
    """So many histories, of forty steps each."""
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=count,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            **more,
        ),
    )


@pytest.mark.timeout(3_600)
def test_any_history_keeps_what_was_promised() -> None:
    """Every invariant above, after every step."""
    run_histories(int(os.environ.get("INCAMERA_PROTOCOL", "30")))


PLANTED: dict[str, tuple[Any, str, Any]] = {
    "the proof of a fork is not kept": (evidence, "keep", lambda *_: None),
    "a trustee's decisions are in memory": (decide, "Memory", lambda _: Memory(Path(":memory:"))),
    "a witness compares nothing": (merkle, "verify_consistency", lambda *_: None),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str) -> None:
    """Else the histories above would show nothing."""
    owner, name, planted = PLANTED[fault]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, planted)
        with pytest.raises((AssertionError, IntegrityError, FlakyFailure)):
            run_histories(100, phases=[Phase.generate], database=None, report_multiple_bugs=False)
