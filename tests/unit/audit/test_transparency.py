# SPDX-License-Identifier: Apache-2.0
"""The transparency report of a region where everything happened once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from incamera.audit.transparency import Transparency, gather, markdown, page
from incamera.errors import PolicyError
from incamera.ids import Name, digest
from incamera.ledger.entries import (
    DatasetEntry,
    DemandEntry,
    DestroyEntry,
    ErasureEntry,
    FreezeEntry,
    WithdrawEntry,
)
from incamera.ledger.state import leaf_digest
from incamera.sealing.keys import SigningKey
from world import DAY, World, quick_folder

EVIL = "<script>alert(1)</script> | [x](http://x) `&"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Reads, refusals, demands, erasures, a destroyed key, a void entry and a freeze."""
    with quick_folder() as folder:
        world = World(folder)
        capsules = [world.capsule(bytes([i])) for i in range(3)]
        leaf, index = world.request(capsules[:2])
        for name in ("ch", "uy"):
            world.decide(name, leaf, index, *capsules[:2])
        said: dict[str, Any] = {"reader": Name("acme"), "request": leaf_digest(leaf)}
        told = DatasetEntry(**world.facts(), **said, manifest=digest(b"m"))
        world.say(told, world.readers["acme"].signing)
        denied, at = world.request(capsules[:1], reader="ministry")
        for name in ("ch", "is", "uy"):
            with pytest.raises(PolicyError):
                world.decide(name, denied, at, capsules[0])
        world.request(capsules[2:])  # nobody decides on this one
        for outcome in ("pending", "refused"):
            world.say(demand(world, outcome), world.operator)
        world.erase(capsules[1])
        taken_back = WithdrawEntry(
            **world.facts(), owner=Name("ada"), consents=(digest(b"c"),), cars=()
        )
        world.say(taken_back, world.owner.signing)
        expired: dict[str, Any] = {"capsules": (capsules[0].digest,), "by": "vault", "name": ""}
        world.say(ErasureEntry(**world.facts(), **expired, reason="expired"), world.vault)
        key = world.state().epoch("is", 4)
        assert key is not None
        gone = DestroyEntry(**world.facts(), trustee=Name("is"), epoch=4, key=digest(key.key))
        world.say(gone, world.trustees["is"].keys.signing)
        world.append(b"rubbish")
        freeze = FreezeEntry(**world.facts(), trustee=Name("uy"), evidence=digest(b"proof"))
        world.say(freeze, world.trustees["uy"].keys.signing)
        yield world


def demand(world: World, outcome: Any) -> DemandEntry:
    """One demand whose authority has a name that no page may run."""
    return DemandEntry(
        **world.facts(),
        reference=Name("de-7"),
        authority=EVIL,
        country="DE",
        date="2026-11-02",
        scope=digest(b"letter"),
        outcome=outcome,
    )


@pytest.fixture(scope="module")
def report(world: World) -> Transparency:
    """The report."""
    state, policy = world.state(), world.logs.policy
    return gather(state, policy, [policy.check(state.note or b"")], now=world.clock.now())


def test_reads_are_counted_by_reader_and_purpose(report: Transparency) -> None:
    """What was asked, what became readable, what is open."""
    acme, ministry = report.reads
    assert (acme.reader, acme.kind, acme.purpose) == ("acme", "company", "perception")
    assert (acme.requests, acme.granted, acme.refused, acme.open) == (2, 1, 0, 1)
    assert (acme.asked, acme.readable, acme.datasets) == (3, 2, 1)
    assert (ministry.requests, ministry.granted, ministry.refused) == (1, 0, 1)


def test_what_was_refused_stays_refused_when_trustees_are_enrolled() -> None:
    """Puppets do not turn a refused government into one that waits."""
    with quick_folder() as folder:
        world = World(folder)
        capsule = world.capsule()
        leaf, index = world.request([capsule], reader="ministry")
        for name in ("ch", "is"):
            with pytest.raises(PolicyError):
                world.decide(name, leaf, index, capsule)
        for name in ("puppet", "other"):
            key = SigningKey.generate().public
            world.append(world.party("trustee", name, "notary", "AT", key))
        state, policy = world.state(), world.logs.policy
        seen = [policy.check(state.note or b"")]
        (asked,) = gather(state, policy, seen, now=world.clock.now()).requests
        assert asked.fate == "refused"


def test_refusals_are_counted_with_their_words(report: Transparency) -> None:
    """One line for each trustee and reason."""
    assert {(each.trustee, each.code, each.count) for each in report.refusals} == {
        (name, "forbidden", 1) for name in ("ch", "is", "uy")
    }
    assert all("ministry" in each.example for each in report.refusals)


def test_a_demand_is_told_with_its_history(report: Transparency) -> None:
    """One case, two steps, the last one its outcome."""
    (case,) = report.demands
    assert (case.reference, case.country, case.outcome) == ("de-7", "DE", "refused")
    assert [outcome for _, _, outcome in case.history] == ["pending", "refused"]


def test_erasures_and_keys_that_ended_are_told(report: Transparency) -> None:
    """Three admitted, one erased by its owner; is destroyed epoch 4; uy froze."""
    assert (report.erasures.admitted, report.erasures.by_owners) == (3, 1)
    assert report.erasures.by_operator == 0
    assert (report.erasures.by_vault, report.erasures.consents, report.erasures.cars) == (1, 1, 0)
    trustees = {each.name: each for each in report.trustees}
    assert trustees["is"].destroyed == (4,)
    assert (trustees["is"].epoch, trustees["ch"].epoch) == (None, 4)
    assert trustees["is"].late == ("has no key that cars may seal to now",)
    assert [name for name, each in trustees.items() if each.frozen] == ["uy"]
    assert trustees["ch"].grants == 1


def test_the_log_is_told_with_what_is_wrong_in_it(report: Transparency) -> None:
    """Who cosigned, the void entry, the proof of the fork."""
    assert len(report.health.cosigned) == 3
    assert report.health.missing == ()
    assert report.health.void == 1
    assert report.health.forks == (digest(b"proof"),)


def test_a_trustee_that_owes_something_is_late(world: World) -> None:
    """An answer that is overdue, a key that ran out, a destruction that is not told."""
    state, policy = world.state(), world.logs.policy
    note = policy.check(state.note or b"")

    def late(days: int) -> dict[str, str]:
        root = state.frontier.root()
        later = world.note(state.size, root, time=world.clock.now() + days * DAY)
        state.accept(later, root, policy.check(later).time(policy))
        found = gather(state, policy, [note], now=0)
        return {each.name: "; ".join(each.late) for each in found.trustees}

    assert "has no key" in late(2)["ch"]
    soon = late(9)  # the request expires after ten days
    assert "not answered 1 requests" in soon["is"]
    assert "destroyed, due" not in soon["ch"]
    much_later = late(60)
    assert "epoch 4 is destroyed, due" in much_later["ch"]
    assert "epoch 4 is destroyed, due" not in much_later["is"]


def test_words_of_others_stay_words(report: Transparency) -> None:
    """An authority's name can be neither script nor link nor table cell."""
    text = page(report)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    said = markdown(report)
    row = next(line for line in said.split("\n") if "alert" in line)
    assert r"\<script\>" in row
    assert r"\[x\](http\://x)" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 7


def test_the_page_fetches_nothing(report: Transparency) -> None:
    """No address of anything, but the SVG stands in it."""
    text = page(report)
    assert not re.search(r"\b(src|href)=|url\(|@import", text)
    assert "<svg" in text
    assert text.count("<rect class=granted") == 1


def test_the_json_report_says_the_same(report: Transparency) -> None:
    """Plain values, with a version."""
    said = json.loads(json.dumps(report.to_json()))
    assert said["v"] == 1
    assert said["reads"][0]["reader"] == "acme"
    assert said["demands"][0]["outcome"] == "refused"
