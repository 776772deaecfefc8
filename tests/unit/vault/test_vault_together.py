# SPDX-License-Identifier: Apache-2.0
"""Capsules admitted together, at one vault or at several that share tables, over both engines."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Digest
from incamera.vault import RefusedError, Source, Vault, Wanted
from vaults import Shared, erasure, logged, name_of, proven, twins


def hook(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Callable[[], object]) -> None:
    """Do ``act`` once, right after ``owner.name`` has done its work for the first time."""
    real, done = getattr(owner, name), list[bool]()

    def hooked(*args: Any, **more: Any) -> Any:
        found = real(*args, **more)
        if not done:
            done.append(True)
            act()
        return found

    monkeypatch.setattr(owner, name, hooked)


def at_once(*acts: Callable[[], Sequence[bytes | Error]]) -> list[Sequence[bytes | Error]]:
    """All in threads of their own."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result(60) for each in [pool.submit(act) for act in acts]]


def test_a_batch_gets_a_receipt_each_and_one_entry_each(shared: Shared) -> None:
    """In the order they came, by one append, and stored byte for byte."""
    world, vault = shared.world, shared.vault()
    paths = [world.seal(os.urandom(1000)) for _ in range(7)]
    answers = vault.admit_all(paths)
    places = [proven(world, answer, path) for answer, path in zip(answers, paths, strict=True)]
    assert places == list(range(places[0], places[0] + 7))
    assert sorted(logged(world)) == sorted(map(name_of, paths))
    assert [row.status for row in vault.find()] == ["kept"] * 7
    assert all(vault.path(name_of(each)).read_bytes() == each.read_bytes() for each in paths)
    assert vault.admit_all([]) == []


def test_each_of_a_batch_has_its_own_answer(shared: Shared) -> None:
    """Refused, damaged, rubbish, twice, admitted before, a twin: none holds up another."""
    world, vault = shared.world, shared.vault()
    before, good, wrong = world.seal(), world.seal(), world.seal(consent="")
    vault.admit(before)
    damaged, rubbish = world.seal(os.urandom(9000)), world.home / "rubbish"
    sealed = damaged.read_bytes()
    damaged.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    rubbish.write_bytes(b"not a capsule")
    one, two = twins(world)
    paths = [wrong, good, damaged, rubbish, good, before, one, two, world.home / "missing"]
    answers = vault.admit_all(paths)
    expected = [RefusedError, bytes, IntegrityError, InputError, bytes, bytes]
    assert [type(each) for each in answers[:6]] == expected
    assert sorted(type(each).__name__ for each in answers[6:8]) == ["RefusedError", "bytes"]
    assert isinstance(answers[8], InputError)
    assert answers[1] == answers[4]
    assert len(logged(world)) == 3
    assert [row.status for row in vault.find()] == ["kept"] * 3
    assert vault.sweep() == []
    assert vault.orphans() == []


def test_what_was_answered_is_held_no_longer(shared: Shared) -> None:
    """Not until garbage is collected either: a refused one would keep its batch until then."""
    world, vault = shared.world, shared.vault()
    paths = [world.seal(), world.seal(consent=""), world.seal(), world.home / "rubbish"]
    paths[3].write_bytes(b"not a capsule")
    bodies = [each.read_bytes() for each in paths]
    before = [*map(sys.getrefcount, bodies)]
    gc.disable()
    try:
        answers = vault.admit_sources([*map(Source, paths, bodies)])
        assert [*map(sys.getrefcount, bodies)] == before
    finally:
        gc.enable()
    assert [type(each) for each in answers] == [bytes, RefusedError, bytes, InputError]


def test_the_same_capsules_at_two_vaults_at_once_are_logged_once(shared: Shared) -> None:
    """Each sender has a receipt, for the same entry."""
    world = shared.world
    vaults = [shared.vault("one"), shared.vault("two")]
    paths = [world.seal() for _ in range(6)]
    for _ in range(2):
        one, two = at_once(
            lambda: vaults[0].admit_all(paths), lambda: vaults[1].admit_all(paths[::-1])
        )
        for path, a, b in zip(paths, one, two[::-1], strict=True):
            assert proven(world, a, path) == proven(world, b, path)
    assert sorted(logged(world)) == sorted(map(name_of, paths))


def test_twins_at_two_vaults_at_once_are_one_capsule(shared: Shared) -> None:
    """One of the two has the id; the other is a duplicate, at once and later."""
    world = shared.world
    vaults = [shared.vault("one"), shared.vault("two")]
    one, two = twins(world)
    a, b = at_once(lambda: vaults[0].admit_all([one]), lambda: vaults[1].admit_all([two]))
    errors = [each for each in (*a, *b) if isinstance(each, Error)]
    assert [each.code for each in errors if isinstance(each, RefusedError)] == ["duplicate"]
    again = [vaults[1].admit_all([each])[0] for each in (one, two)]
    assert sum(isinstance(each, RefusedError) for each in again) == 1
    assert len(logged(world)) == 1
    assert len(list(vaults[0].find())) == 1


@pytest.mark.parametrize("when", ["blob", "append"])
def test_what_is_erased_while_it_is_admitted_elsewhere_is_gone(
    shared: Shared, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The erasure is logged, and obeyed by another vault, between two steps of the admission."""
    world, first = shared.world, shared.vault("one")
    other = shared.vault("two")
    path = world.seal()
    name = name_of(path)

    def erase() -> None:
        world.append(erasure(world, name))
        other.follow()

    owner, method = (first._blobs, "put_all") if when == "blob" else (first._admitting, "append")
    hook(monkeypatch, owner, method, erase)
    (answer,) = first.admit_all([path])
    assert isinstance(answer, RefusedError)
    assert answer.code == "erased"
    assert not shared.blobs.has(name)
    for vault in (first, other):
        assert {row.status for row in vault.find()} <= {"erased"}
        with pytest.raises(RefusedError, match="erased"):
            vault.admit(path)


def test_what_is_mended_while_it_is_erased_elsewhere_stays_erased(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new copy comes after the destruction, and is destroyed too."""
    world, first, other = shared.world, shared.vault("one"), shared.vault("two")
    path = world.seal()
    first.admit(path)
    name = name_of(path)
    shared.blobs.remove(name)
    real = first._blobs.put

    def put(name: Digest, pieces: Any) -> None:
        other.erase(erasure(world, name))
        real(name, pieces)

    # The embedded engine has one writer at a time: there the erasure comes after.
    if "Postgres" in type(first._index).__name__:
        monkeypatch.setattr(first._blobs, "put", put)
        with pytest.raises(RefusedError, match="erased"):
            first.admit(path)
    else:
        first.admit(path)
        other.erase(erasure(world, name))
    assert not shared.blobs.has(name)
    assert [row.status for row in first.find()] == ["erased"]
    assert first.sweep() == []


def test_an_entry_is_written_down_once_for_all_vaults(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes second finds the rows done, and reads no blob."""
    world, first, second = shared.world, shared.vault("one"), shared.vault("two")
    paths = [world.seal() for _ in range(3)]
    first.admit_all(paths)
    rows = list(first.find())

    def nobody(*_: object) -> None:
        raise AssertionError("done twice")

    monkeypatch.setattr(second._account, "_step", nobody)
    monkeypatch.setattr(second._account, "stored", nobody)
    second.follow()
    assert list(second.find()) == rows
    proven(world, second.receipt(name_of(paths[0])), paths[0])


def test_what_a_vault_left_is_finished_by_another(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its append failed: the entry that it made is the one that another vault logs."""
    world, first = shared.world, shared.vault("one")
    path = world.seal()
    seen: list[bytes] = []

    def fails(entries: Sequence[bytes]) -> None:
        seen.extend(entries)
        raise UnavailableError("the log is gone")

    monkeypatch.setattr(first._admitting, "append", fails)
    with pytest.raises(UnavailableError, match="gone"):
        first.admit(path)
    assert [row.status for row in first.find(status="pending")] == ["pending"]
    world.clock.advance(50)
    second = shared.vault("two")
    at = proven(world, second.admit(path), path)
    assert world.entries()[at] == seen[0]
    assert [row.status for row in first.find()] == ["kept"]


def test_a_log_that_took_a_batch_and_did_not_answer_takes_no_part_of_it_again(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent again in other company, each capsule still has one entry."""
    world, vault = shared.world, shared.vault()
    paths = [world.seal() for _ in range(4)]
    witnesses = world.logs.witnesses
    vault.admit(world.seal())
    for each in witnesses:
        each.down = True
    assert all(isinstance(each, UnavailableError) for each in vault.admit_all(paths))
    for each in witnesses:
        each.down = False
    for part in (paths[2:3], [world.seal(), paths[0]], paths):
        for path, answer in zip(part, vault.admit_all(part), strict=True):
            proven(world, answer, path)
    found = logged(world)
    assert len(found) == len(set(found)) == 6


def vaults_on_postgres(shared: Shared) -> tuple[Vault, Vault]:
    """Two that share one database."""
    return shared.vault("one"), shared.vault("two")


def test_sweeping_does_not_touch_what_another_vault_is_admitting(
    on_postgres: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its blob and its entry; afterwards it has its receipt, and nothing is left."""
    first, second = vaults_on_postgres(on_postgres)
    path = on_postgres.world.seal()
    swept: list[Digest] = []
    hook(monkeypatch, first._blobs, "put_all", lambda: swept.extend(second.sweep()))
    proven(on_postgres.world, first.admit(path), path)
    assert swept == []
    assert on_postgres.blobs.has(name_of(path))
    assert second.sweep() == []


def test_what_nobody_finishes_is_swept_when_it_is_old(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blob and row; not before its time; then it can be admitted anew."""
    world, vault = shared.world, shared.vault()
    path = world.seal()

    def fails(entries: Sequence[bytes]) -> None:
        raise UnavailableError(f"{len(entries)} not logged")

    with monkeypatch.context() as patch:
        patch.setattr(vault._admitting, "append", fails)
        with pytest.raises(UnavailableError):
            vault.admit(path)
    world.clock.advance(100)
    assert vault.sweep(older_than=3600) == []
    world.clock.advance(3600)
    assert vault.sweep(older_than=3600) == [name_of(path)]
    assert not shared.blobs.has(name_of(path))
    assert list(vault.find()) == []
    proven(world, vault.admit(path), path)


def test_lists_go_on_where_they_stopped(shared: Shared) -> None:
    """Page by page as at once, also where rows come or go between two pages."""
    world, vault = shared.world, shared.vault()
    hours = [f"2026-11-21T{hour:02}" for hour in (3, 3, 3, 5, 9, 9, 14)]
    vault.admit_all([world.seal(hour=hour) for hour in hours])
    rows = list(vault.find())
    assert [row.hour for row in rows] == hours
    for count in (1, 2, 3, 7, 8):
        found, after = [], ""
        while page := vault.page(Wanted(), count, after=after):
            found += page
            after = page[-1].cursor
        assert found == rows
    assert vault.page(Wanted(), 2, skip=4) == rows[4:6]
    assert (
        vault.page(Wanted(owner="ada", until="2026-11-21T05"), 9, after=rows[1].cursor)
        == (rows[2:4])
    )
    page = vault.page(Wanted(), 3)
    vault.erase(erasure(world, page[-1].digest))
    assert vault.page(Wanted(), 9, after=page[-1].cursor) == rows[3:]
    assert [row.digest for row in vault.page(Wanted(status="erased"), 9)] == [page[-1].digest]
    for bad in ("x", "2026-11-21T03.12", "." + "0" * 63, "x." + "0" * 64, "." + "0 " * 32 + "0"):
        with pytest.raises(InputError):
            vault.page(Wanted(), 1, after=bad)


@pytest.mark.parametrize(
    "odd",
    [
        {"since": "x"},
        {"until": "2026-11-21"},
        {"since": "2026-13-01T00"},
        {"since": "2026-11-21T14", "until": "2026-11-21T13"},
        {"tag": "Hard brake"},
        {"camera": ""},
        {"purpose": "\0"},
        {"owner": "ada*"},
    ],
)
def test_a_question_that_no_row_could_answer_is_refused(odd: dict[str, Any]) -> None:
    """An empty list would say that there is nothing of the kind."""
    with pytest.raises(InputError, match=next(reversed(odd))):
        Wanted(**odd)


def test_reading_through_goes_round_and_over_restarts(shared: Shared) -> None:
    """A few at a time; what is damaged is lost until it comes again."""
    world, vault = shared.world, shared.vault()
    paths = [world.seal() for _ in range(5)]
    vault.admit_all(paths)
    names = [row.digest for row in vault.find()]
    vault.path(names[3]).write_bytes(b"rot")
    assert vault.read_through(2) == []
    again = shared.vault()
    assert again.read_through(2) == [names[3]]
    assert [row.digest for row in again.find(status="lost")] == [names[3]]
    assert again.read_through(2) == []
    shared.blobs.remove(names[0])
    assert again.read_through(2) == [names[0]]
    for path, answer in zip(paths, again.admit_all(paths), strict=True):
        proven(world, answer, path)
    assert [row.status for row in again.find()] == ["kept"] * 5
    assert len(logged(world)) == 5


def test_whatever_comes_at_once_each_capsule_is_logged_once_and_no_erased_one_stays(
    on_postgres: Shared,
) -> None:
    """Three vaults, overlapping batches, erasures and sweeps in between, all at the same time."""
    world = on_postgres.world
    vaults = [on_postgres.vault(f"vault-{number}") for number in range(3)]
    paths = [world.seal() for _ in range(24)]
    erased = paths[::4]
    chance = random.Random(5)
    rounds = [[chance.sample(paths, 8) for _ in range(4)] for _ in vaults]

    def send(number: int) -> list[bytes | Error]:
        return [each for paths in rounds[number] for each in vaults[number].admit_all(paths)]

    def erase() -> list[bytes | Error]:
        for path in erased:
            vaults[0].admit(path)
            vaults[1].submit(erasure(world, name_of(path)))
            vaults[2].sweep()
        return []

    answers = at_once(erase, *(partial(send, number) for number in range(3)))
    refused = [each for some in answers for each in some if isinstance(each, Error)]
    others = [e for e in refused if not isinstance(e, RefusedError) or e.code != "erased"]
    assert others == []
    vaults[0].admit_all(paths)
    assert sorted(logged(world)) == sorted(map(name_of, paths))
    rows = {row.digest: row.status for row in vaults[1].find()}
    for path in paths:
        gone = path in erased
        assert rows[name_of(path)] == ("erased" if gone else "kept")
        assert on_postgres.blobs.has(name_of(path)) != gone
    assert vaults[2].sweep() == []
    assert set(on_postgres.blobs.names()) == {name_of(each) for each in paths if each not in erased}
