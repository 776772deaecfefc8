# SPDX-License-Identifier: Apache-2.0
"""A trustee of the old set passes its shares on: it splits each for the new set's seats.

Only for a succession that the public could see for the notice period, to a set that is no easier to
open together, and to keys that end no later than those it passes on from: a succession lengthens no
capsule's life.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Digest, digest
from incamera.ledger.dealing import open_paper, write_paper
from incamera.ledger.entries import ReshareEntry, Seat
from incamera.ledger.request import CapsuleEvidence
from incamera.ledger.rows import Succession
from incamera.sealing import dealing
from incamera.sealing.header import Header, open_header
from incamera.sealing.wrap import wrap
from incamera.trustee import rules
from incamera.trustee.desk import Desk
from incamera.trustee.rules import RefusedError
from incamera.trustee.shares import OwnShares
from incamera.trustee.succession import Evidence, Publish, Work, before, checked, say, work

__all__ = ["deal"]


def deal(desk: Desk, number: int, evidence: Evidence, publish: Publish, folder: Path) -> int:
    """Pass our shares on for succession ``number``; how many capsules we dealt.

    :class:`RefusedError` where a rule forbids it, :class:`UnavailableError` where log, vault or
    disk are. Done again, it changes nothing.
    """
    task = work(desk, number)
    rules.still_enrolled(desk.state, desk.name, desk.keys.signing.public)
    notice = desk.region.notice
    if desk.state.time < task.found.time + notice:
        raise RefusedError("notice", f"a succession must be public for {notice} s before we deal")
    path = durable.folder(folder, 0o700) / f"{task.found.leaf}.deal"
    if not path.exists():
        rows = _rows(desk, task, evidence, OwnShares(desk.keys, desk.name, desk.state, desk.held))
        seats = len(task.found.entry.seats)
        facts = (task.found.leaf, desk.name, seats, rows, len(task.capsules))
        write_paper(path, "dealing", *facts)
    name = digest(path.read_bytes())
    paper = open_paper(path, name, str(path))
    publish("dealing", path, name)
    entry = ReshareEntry(
        region=desk.region.region,
        time=desk.clock.now(),
        trustee=desk.name,
        succession=number,
        dealing=name,
    )
    say(desk, entry, desk.state.reshared(number))
    return sum(paper.dealt(place) for place in range(paper.capsules))


def _rows(
    desk: Desk, task: Work, evidence: Evidence, own: OwnShares
) -> Iterator[list[bytes | None]]:
    entry, leaf = task.found.entry, bytes.fromhex(task.found.leaf)
    keys = [_seat_key(desk, seat) for seat in entry.seats]
    for capsule in task.capsules:
        found = _share(desk, task.found, capsule, evidence, own)
        if found is None:
            yield [None] * len(entry.seats)
            continue
        header, index, share = found
        row: list[bytes | None] = []
        parts = dealing.deal(share, entry.threshold, len(entry.seats))
        for seat, (key, part) in enumerate(zip(keys, parts, strict=True), start=1):
            place = (leaf, header.capsule_id, index, seat)
            sealed = wrap(part, key, dealing.part_info(*place))
            row.append(bytes.fromhex(dealing.part_commitment(*place, part)) + sealed)
        yield row


def _seat_key(desk: Desk, seat: Seat) -> bytes:
    key = desk.state.epoch(seat.trustee, seat.epoch)
    if key is None or desk.state.destroyed(seat.trustee, seat.epoch) is not None:
        raise RefusedError("seat", f"{seat.trustee} has no key for epoch {seat.epoch} any more")
    return key.key


def _share(
    desk: Desk, succession: Succession, capsule: Digest, evidence: Evidence, own: OwnShares
) -> tuple[Header, int, bytes] | None:
    """Our share of ``capsule`` and its index; None where there is nothing to pass on."""
    admitted = rules.admitted(desk.state, capsule)
    if desk.state.erased(capsule) is not None:
        return None
    shown = _shown(desk, succession.entry.source, capsule, evidence)
    if shown is None:
        return None
    header = rules.from_an_enrolled_car(desk.state, shown, admitted.index)
    if desk.state.time >= header.expires:
        return None
    _no_weaker(desk, succession, header)
    record = own.find(header, shown)
    return header, shown.index, own.open(header, shown, record, desk.state.time)


def _shown(desk: Desk, source: int, capsule: Digest, evidence: Evidence) -> CapsuleEvidence | None:
    """What a reader would show us of this capsule; None if none of its shares is ours."""
    envelope, wrapped = checked(capsule, evidence)
    if source == 0:
        holders = [share.trustee for share in open_header(envelope, "capsule").shares]
        if desk.name not in holders:
            return None
        index = holders.index(desk.name) + 1
        return CapsuleEvidence(envelope, wrapped[index - 1], index)
    passed = desk.state.succession(source)
    assert passed is not None  # the fold refuses a succession from one that is not there
    seated = [seat.trustee for seat in passed.entry.seats]
    if desk.name not in seated:
        raise InputError(f"{desk.name} holds no share by succession {source}: nothing to pass on")
    return CapsuleEvidence(envelope, b"", seated.index(desk.name) + 1, source)


def _no_weaker(desk: Desk, succession: Succession, header: Header) -> None:
    """The new set takes as many to open, and its keys end no later."""
    entry = succession.entry
    needed, ends = before(desk, entry.source, header)
    if entry.threshold < needed:
        raise RefusedError("weaker", f"{entry.threshold} trustees could open what took {needed}")
    new = [desk.state.epoch(seat.trustee, seat.epoch) for seat in entry.seats]
    closes = _closes([each.not_after for each in new if each], entry.threshold)
    if closes > _closes(ends, needed):
        raise RefusedError(
            "outlives",
            "the new trustees' keys would outlive the capsule's: a succession lengthens no life",
            hint="announce epochs for it that end when the old ones do",
        )


def _closes(ends: Sequence[int], threshold: int) -> int:
    """When fewer than ``threshold`` keys are left."""
    return sorted(ends, reverse=True)[threshold - 1]
