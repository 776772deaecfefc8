# SPDX-License-Identifier: Apache-2.0
"""Requests decided together: each as if it came alone, and one reading of the log for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from incamera.errors import (
    Error,
    InputError,
    IntegrityError,
    PolicyError,
    UnavailableError,
)
from incamera.ids import Name, digest
from incamera.ledger.codec import capsule_list
from incamera.ledger.database import Database
from incamera.ledger.entries import CapsuleEntry
from incamera.ledger.grant import Grant
from incamera.ledger.request import GrantRequest
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import HEADER_TYPE
from incamera.tlog import FolderFetch
from incamera.trustee import RefusedError, Trustee
from world import World, fetch_with, quick_folder


class Appending:
    """A way into the log that counts its calls; ``before`` is called first, each time."""

    def __init__(self, world: World, before: Callable[[], object] | None = None) -> None:
        self.world, self.before = world, before
        self.calls: list[int] = []

    def __call__(self, entries: Sequence[bytes]) -> None:
        """Log ``entries`` as one batch."""
        if self.before:
            self.before()
        self.calls.append(len(entries))
        self.world.append(*entries)


def trustee(
    world: World, name: str = "ch", *, append: Callable[[Sequence[bytes]], object], **change: Any
) -> Trustee:
    """A trustee that hands all its entries to the log at once."""
    return Trustee(
        world.home / name,
        Name(name),
        change.get("fetch", FolderFetch(world.public)),
        world.logs.policy,
        world.clock,
        world.append_one,
        append_many=append,
    )


def wishes(world: World, count: int) -> list[tuple[Capsule, bytes, int]]:
    """Capsules, each with a logged request of its own."""
    capsules = [world.capsule(b"clip %d" % number) for number in range(count)]
    return [(each, *world.request([each])) for each in capsules]


def asks(world: World, made: Sequence[tuple[Capsule, bytes, int]]) -> list[GrantRequest]:
    """What ``ch`` is shown of each."""
    return [world.ask("ch", leaf, index, capsule) for capsule, leaf, index in made]


def granted(answers: Sequence[Grant | Error]) -> list[Grant]:
    """The grants among the answers."""
    return [each for each in answers if isinstance(each, Grant)]


def test_a_batch_is_one_append_and_gives_each_its_own_grant(world: World) -> None:
    """Entries go to the log together; each grant opens for its own request."""
    made, append = wishes(world, 5), Appending(world)
    answers = trustee(world, append=append).decide_many(asks(world, made))
    assert append.calls == [5]
    assert len(granted(answers)) == 5
    assert len({each.entries for each in granted(answers)}) == 5
    for grant, (capsule, leaf, _) in zip(granted(answers), made, strict=True):
        assert [each.capsule for each in grant.shares] == [capsule.digest]
        assert world.shares(grant, leaf)
    assert [each.count for each in world.state().grants()] == [1] * 5


def test_nothing_asked_is_nothing_answered(world: World) -> None:
    """No request, no answer, and no step is made."""
    assert trustee(world, append=Appending(world)).decide_many([]) == []


def test_entries_go_one_by_one_where_the_way_into_the_log_takes_one(world: World) -> None:
    """The plain form of ``append`` serves batches as well."""
    answers = world.trustees["ch"].decide_many(asks(world, wishes(world, 3)))
    assert len(granted(answers)) == 3


def bad_ones(world: World) -> list[tuple[GrantRequest, type[Error], str]]:
    """One request for each way to fail, with the error it has coming."""
    capsule = world.capsule(b"of no avail")
    leaf, index = world.request([capsule])
    good = world.ask("ch", leaf, index, capsule)
    cases: list[tuple[GrantRequest, type[Error], str]] = [
        (replace(good, leaf=b"rubbish"), InputError, "request"),
        (replace(good, proof=(bytes(32),) * 64), InputError, "63 hashes"),
        (replace(good, proof=good.proof[:-1]), IntegrityError, "proof"),
        (replace(good, index=good.index + 1), IntegrityError, "proof"),
        (replace(good, note=good.note[:-9] + b"AAAAAAA=\n"), IntegrityError, "hold|base64"),
    ]
    shut, shut_index = world.request([capsule], reader="ministry")
    cases.append((world.ask("ch", shut, shut_index, capsule), PolicyError, "does not let"))
    late, late_index = world.request([capsule], expires=world.clock.now())
    cases.append((world.ask("ch", late, late_index, capsule), PolicyError, "expired"))
    gone = world.capsule(b"gone")
    leaf, index = world.request([gone])
    world.erase(gone)
    cases.append((world.ask("ch", leaf, index, gone), PolicyError, "erased"))
    other = world.capsule(b"not asked for")
    cases.append((world.ask("ch", shut, shut_index, other), PolicyError, "does not name"))
    evidence = good.capsules[0]
    cut = replace(evidence, wrapped=bytes(1168))
    cases.append((replace(good, capsules=(cut,)), IntegrityError, "wrapped share"))
    return cases


def test_bad_requests_change_nothing_for_the_others(world: World) -> None:
    """Each has the error that it has alone, in its place; the good ones are granted."""
    good = asks(world, wishes(world, 2))
    bad = bad_ones(world)
    mixed = [good[0], *(each for each, _, _ in bad), good[1]]
    append = Appending(world)
    answers = trustee(world, append=append).decide_many(mixed)
    assert isinstance(answers[0], Grant)
    assert isinstance(answers[-1], Grant)
    for answer, (asked, kind, text) in zip(answers[1:-1], bad, strict=True):
        with pytest.raises(kind, match=text):
            raise answer if isinstance(answer, Error) else AssertionError(answer)
        with pytest.raises(kind, match=text):
            world.trustees["ch"].decide(asked)
    refused = [str(each.code) for each in world.state().refusals() if each.trustee == "ch"]
    assert refused == ["forbidden", "expired", "erased"]
    assert append.calls == [2, 3]  # refusals go last: a grant does not wait for them
    assert len(list(world.state().grants())) == 2


def test_one_leaf_twice_in_a_batch_is_one_entry_counted_once(world: World) -> None:
    """Overlapping wishes under one leaf share the first one's entry; only the rest is new."""
    capsules = [world.capsule(b"clip %d" % number) for number in range(3)]
    leaf, index = world.request(capsules)
    ask = world.ask("ch", leaf, index, *capsules[:2])
    more = world.ask("ch", leaf, index, *capsules[1:])
    answers = granted(trustee(world, append=Appending(world)).decide_many([ask, ask, more]))
    assert answers[0].entries == answers[1].entries
    assert len(answers[2].entries) == 2
    assert set(answers[0].entries) < set(answers[2].entries)
    assert [each.count for each in world.state().grants()] == [2, 1]
    assert world.shares(answers[0], leaf) == world.shares(answers[1], leaf)


def test_a_quota_that_is_reached_within_a_batch_holds() -> None:
    """Those that come first have it; those after are refused, as if they had come later."""
    with quick_folder() as folder:
        world = World(folder, quota=3)
        made = wishes(world, 5)
        first = trustee(world, append=Appending(world))
        answers = first.decide_many(asks(world, made))
        assert [isinstance(each, Grant) for each in answers] == [True] * 3 + [False] * 2
        assert all(isinstance(e, RefusedError) and e.code == "quota" for e in answers[3:])
        assert len(list(world.state().refusals())) == 2
        again = first.decide_many(asks(world, made))
        assert [isinstance(each, Grant) for each in again] == [True] * 3 + [False] * 2
        assert sum(each.count for each in world.state().grants()) == 3


def falsely_committed(world: World) -> Capsule:
    """A capsule in the log whose car committed to another share than it sealed for ``ch``."""
    made = read_capsule(world.seal())
    shares = [
        replace(each, commitment=digest(b"another share")) if each.trustee == "ch" else each
        for each in made.header.shares
    ]
    header = replace(made.header, shares=tuple(shares)).serialise()
    lied = seal_envelope(header, HEADER_TYPE, world.car)
    world.say(CapsuleEntry(**world.facts(), capsule=digest(lied)), world.vault)
    return replace(made, envelope=lied, digest=digest(lied))


def test_who_fails_last_takes_nothing_from_the_quota() -> None:
    """A share that turns out to be false leaves its place to the request after it."""
    with quick_folder() as folder:
        world = World(folder, quota=1)
        false, good = falsely_committed(world), world.capsule(b"good")
        ready = asks(world, [(each, *world.request([each])) for each in (false, good)])
        answers = trustee(world, append=Appending(world)).decide_many(ready)
        assert isinstance(answers[0], IntegrityError)
        assert "the car" in answers[0].message
        assert isinstance(answers[1], Grant)


def test_an_erasure_that_overtakes_the_batch_keeps_its_own_share_in(world: World) -> None:
    """What came into the log before the grant entries counts before the grants, for each."""
    made = wishes(world, 3)
    append = Appending(world, before=None)
    slow = trustee(world, append=append)
    ready = asks(world, made)
    append.before = lambda: world.erase(made[1][0]) if not append.calls else None
    answers = slow.decide_many(ready)
    assert [isinstance(each, Grant) for each in answers] == [True, False, True]
    assert isinstance(answers[1], RefusedError)
    assert answers[1].code == "erased"
    assert [str(each.code) for each in world.state().refusals()] == ["erased"]


def test_a_revocation_that_overtakes_the_batch_keeps_all_of_the_readers_shares_in(
    world: World,
) -> None:
    """The reader is looked up again after the entries were seen."""
    append = Appending(world)
    slow, ready = trustee(world, append=append), asks(world, wishes(world, 2))
    append.before = lambda: world.revoke("reader", "acme") if not append.calls else None
    answers = slow.decide_many(ready)
    assert all(isinstance(e, RefusedError) and e.code == "requester" for e in answers)


def test_a_fork_shown_by_one_request_refuses_all(world: World) -> None:
    """P10: nobody in the batch is granted, before or after the one who brought the proof."""
    ready = asks(world, wishes(world, 3))
    tree = world.logs.log.checkpoint().checkpoint
    forked = replace(ready[1], note=world.note(tree.size, bytes(32)))
    first = trustee(world, append=Appending(world))
    answers = first.decide_many([ready[0], forked, ready[2]])
    assert isinstance(answers[1], IntegrityError)
    for each in (answers[0], answers[2]):
        assert isinstance(each, RefusedError)
        assert each.code == "frozen"
    assert first.frozen
    state = world.state()
    assert list(state.grants()) == []
    assert list(state.refusals()) == []
    assert [each.trustee for each in state.freezes()] == ["ch"]
    later = first.decide_many(ready)
    assert all(isinstance(e, RefusedError) and e.code == "frozen" for e in later)


def test_a_fork_found_after_the_entries_were_logged_lets_nothing_out(world: World) -> None:
    """Also what was granted before stays in: after the freeze nothing is released."""
    made = wishes(world, 2)
    inner, forged = FolderFetch(world.public), list[bytes]()
    fetch = fetch_with(inner, "checkpoint", lambda: forged[0] if forged else inner("checkpoint"))

    def fork() -> None:
        if append.calls:
            tree = first.follower.present().checkpoint
            forged.append(world.note(tree.size, bytes(32)))

    append = Appending(world, before=fork)
    first = trustee(world, append=append, fetch=fetch)
    assert len(granted(first.decide_many(asks(world, made[:1])))) == 1
    answers = first.decide_many(asks(world, made))
    assert first.frozen
    assert all(isinstance(each, (IntegrityError, RefusedError)) for each in answers)


def test_a_note_whose_entries_are_withheld_is_one_requests_trouble(world: World) -> None:
    """A checkpoint ahead of the served one, which cannot be read, stops only who shows it."""
    made = wishes(world, 2)
    ready = asks(world, made)
    hidden = world.fork([*world.entries(), b"an entry nobody else can read"])
    tree = hidden.log.checkpoint()
    ahead = replace(ready[0], note=tree.note)
    answers = trustee(world, append=Appending(world)).decide_many([ahead, ready[1]])
    assert isinstance(answers[0], (UnavailableError, IntegrityError))
    assert isinstance(answers[1], Grant)


def test_a_log_that_cannot_be_read_is_everybodys_trouble(world: World) -> None:
    """But for a request that cannot even be parsed: that one is told so."""
    ready = asks(world, wishes(world, 2))
    inner = FolderFetch(world.public)

    def away() -> bytes:
        raise UnavailableError("the log does not answer")

    cut = trustee(world, append=Appending(world), fetch=fetch_with(inner, "checkpoint", away))
    answers = cut.decide_many([*ready, replace(ready[0], leaf=b"rubbish")])
    assert [type(each) for each in answers] == [UnavailableError, UnavailableError, InputError]


@pytest.mark.parametrize("persisted", [False, True])
def test_a_log_that_takes_nothing_stops_only_what_waits_for_it(
    world: World, persisted: bool
) -> None:
    """What was granted before is granted again; the rest is granted when asked again, once."""
    made = wishes(world, 3)
    trustee(world, append=Appending(world)).decide_many(asks(world, made[:1]))

    def broken(entries: Sequence[bytes]) -> None:
        if persisted:
            world.append(*entries)
        raise UnavailableError("the line went dead")

    answers = trustee(world, append=broken).decide_many(asks(world, made))
    assert [isinstance(each, Grant) for each in answers] == [True, False, False]
    assert all(isinstance(each, UnavailableError) for each in answers[1:])
    assert len(list(world.state().grants())) == (3 if persisted else 1)
    again = trustee(world, append=Appending(world)).decide_many(asks(world, made))
    assert len(granted(again)) == 3
    assert [each.count for each in world.state().grants()] == [1, 1, 1]
    assert list(world.state().findings()) == []


def test_a_log_that_refuses_a_grant_entry_is_not_the_readers_fault(world: World) -> None:
    """Whatever the way into the log says, the reader is told to ask again, not to mend."""

    def refusing(_entries: Sequence[bytes]) -> None:
        raise PolicyError("this entry would have no effect")

    (answer,) = trustee(world, append=refusing).decide_many(asks(world, wishes(world, 1)))
    assert isinstance(answer, UnavailableError)
    assert "would have no effect" in answer.message


def test_a_batch_that_the_witnesses_delayed_counts_once(world: World) -> None:
    """The log took it and could not publish it; retried otherwise, an entry has effect once."""
    made = wishes(world, 3)
    first = trustee(world, append=Appending(world))
    ready = asks(world, made)
    for each in world.logs.witnesses:
        each.down = True
    assert all(isinstance(each, UnavailableError) for each in first.decide_many(ready))
    for each in world.logs.witnesses:
        each.down = False
    for one in ready:
        assert isinstance(first.decide(one), Grant)
    assert sorted(each.count for each in world.state().grants()) == [1, 1, 1]
    assert {each.kind for each in world.state().findings()} <= {"repeat"}
    day = world.clock.now() // 86_400
    assert world.state().granted_on("ch", "acme", day) == 3


def test_a_log_that_swallows_a_batch_gets_no_share_out(world: World) -> None:
    """It says it took the entries and does not show them."""
    answers = trustee(world, append=lambda _: None).decide_many(asks(world, wishes(world, 2)))
    for each in answers:
        assert isinstance(each, IntegrityError)
        assert "does not show it" in each.message


class FullDisk(Database):
    """A file on a disk without room for what a trustee means to do."""

    def run(self, sql: str, *values: Any) -> int:
        """Fails for the second intent."""
        if sql.startswith("INSERT INTO granted"):
            self.left -= 1
            if self.left < 0:
                raise UnavailableError("no room")
        return super().run(sql, *values)

    left = 1


def test_a_disk_that_is_full_half_way_through_the_intents_decides_none(world: World) -> None:
    """All intents of a batch are committed or none; nothing is appended before."""
    made, append = wishes(world, 3), Appending(world)
    first = trustee(world, append=append)
    first._desk.memory._database.__class__ = FullDisk
    answers = first.decide_many(asks(world, made))
    assert all(isinstance(each, UnavailableError) for each in answers)
    assert append.calls == []
    assert first._desk.memory.granted_on(Name("acme"), world.clock.now() // 86_400) == 0
    assert len(granted(trustee(world, append=append).decide_many(asks(world, made)))) == 3


def test_a_list_file_is_read_once_for_all_calls(world: World) -> None:
    """The cost of a call does not grow with the list it belongs to."""
    capsules = [world.capsule(bytes([i])) for i in range(4)]
    data, named = capsule_list([each.digest for each in capsules])
    world.beside(f"list/{named.digest}", data)
    leaf, index = world.request(named)
    asked: list[str] = []

    def fetch(path: str) -> bytes:
        asked.append(path)
        return FolderFetch(world.public)(path)

    first = trustee(world, append=Appending(world), fetch=fetch)
    for each in capsules:
        assert first.decide(world.ask("ch", leaf, index, each)).shares
    assert asked.count(f"list/{named.digest}") == 1
    others = [capsule_list([each.digest, digest(b"x")])[1] for each in capsules]
    for one in others:  # lists that are named and not there are fetched, and kept by nobody
        other, at = world.request(one)
        with pytest.raises(UnavailableError):
            first.decide(world.ask("ch", other, at, capsules[0]))
    assert len(first._desk._lists) == 1
