# SPDX-License-Identifier: Apache-2.0
"""A trustee of the new set combines what was dealt to it into shares of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from incamera import durable
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest
from incamera.ledger.dealing import COMMITMENT, Paper, open_paper, write_paper
from incamera.ledger.entries import AcceptEntry
from incamera.ledger.request import CapsuleEvidence
from incamera.ledger.rows import Reshared, Succession
from incamera.sealing import dealing
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey
from incamera.sealing.wrap import unwrap, wrap
from incamera.trustee import rules
from incamera.trustee.desk import Desk
from incamera.trustee.inherited import NewShare
from incamera.trustee.rules import RefusedError
from incamera.trustee.succession import Evidence, Publish, Work, before, checked, say, work

__all__ = ["take_over"]


def take_over(desk: Desk, number: int, evidence: Evidence, publish: Publish, folder: Path) -> int:
    """Combine what was dealt to us for succession ``number``; how many capsules we hold by it.

    :class:`UnavailableError` until enough trustees have dealt, :class:`IntegrityError` naming a
    dealer whose parts are not those it committed to. Done again, it changes nothing.
    """
    task = work(desk, number)
    entry, leaf = task.found.entry, task.found.leaf
    seats = [seat.trustee for seat in entry.seats]
    if desk.name not in seats:
        raise InputError(f"{desk.name} has no seat in succession {number}")
    seat = seats.index(desk.name) + 1
    key = desk.keys.epoch(entry.seats[seat - 1].epoch)
    if key is None:
        raise RefusedError("epoch-ended", "our key for this succession is destroyed")
    if not desk.state.reshared(number):
        raise UnavailableError(
            f"nobody has dealt for succession {number} yet",
            hint="take over when enough of the present trustees have dealt",
        )
    papers = [_fetch(desk, each, task, folder) for each in desk.state.reshared(number)]
    shares = []
    for place, capsule in enumerate(task.capsules):
        dealt = [paper for paper in papers if paper.dealt(place)]
        header = _header(desk, capsule, evidence) if dealt else None
        if header is not None:
            shares.append(_combine(desk, task.found, (place, capsule), header, dealt, seat, key))
    desk.held.keep(shares)
    kept = [desk.held.get(capsule, number) for capsule in task.capsules]
    rows = [[bytes.fromhex(each.commitment) if each else None] for each in kept]
    path = folder / f"{leaf}.commitments"
    name = write_paper(path, "commitments", leaf, desk.name, 1, rows, len(rows))
    publish("commitments", path, name)
    said = AcceptEntry(
        region=desk.region.region,
        time=desk.clock.now(),
        trustee=desk.name,
        succession=number,
        commitments=name,
    )
    say(desk, said, desk.state.accepted(number))
    return sum(each is not None for each in kept)


def _fetch(desk: Desk, dealt: Reshared, task: Work, folder: Path) -> Paper:
    """A dealer's file, checked; it stays in ``folder`` while we need it."""
    where = f"dealing of {dealt.trustee}"
    path = durable.folder(folder, 0o700) / f"{dealt.file}.dealt"
    durable.write(path, desk.fetch(f"dealing/{dealt.file}"))
    paper = open_paper(path, dealt.file, where)
    facts = (paper.kind, paper.succession, paper.trustee, paper.seats, paper.capsules)
    seats, capsules = len(task.found.entry.seats), len(task.capsules)
    if facts != ("dealing", task.found.leaf, dealt.trustee, seats, capsules):
        raise IntegrityError(f"{where}: is for another succession")
    return paper


def _header(desk: Desk, capsule: Digest, evidence: Evidence) -> Header:
    envelope, _ = checked(capsule, evidence)
    shown = CapsuleEvidence(envelope, b"", 1)
    return rules.from_an_enrolled_car(desk.state, shown, rules.admitted(desk.state, capsule).index)


def _combine(
    desk: Desk,
    succession: Succession,
    which: tuple[int, Digest],
    header: Header,
    dealt: Sequence[Paper],
    seat: int,
    key: OpeningKey,
) -> NewShare:
    """Our new share of one capsule, from the first k that dealt: the same k for every seat."""
    place, capsule = which
    leaf = bytes.fromhex(succession.leaf)
    needed, _ = before(desk, succession.entry.source, header)
    if len(dealt) < needed:
        raise UnavailableError(
            f"{len(dealt)} of {needed} trustees dealt for capsule {capsule[:16]}...",
            hint="take over when the others have dealt",
        )
    parts = {}
    for paper in dealt[:needed]:
        index = _dealer(desk, succession, header, paper)
        record = paper.record(place, seat) or b""
        spot = (leaf, header.capsule_id, index, seat)
        part = unwrap(record[COMMITMENT:], key, dealing.part_info(*spot))
        if dealing.part_commitment(*spot, part) != record[:COMMITMENT].hex():
            raise IntegrityError(
                f"{paper.trustee} dealt another part than it committed to",
                hint="publish this; begin a succession without that trustee",
            )
        parts[index] = part
    share = dealing.take_over(parts, needed)
    mine = (leaf, header.capsule_id, seat)
    return NewShare(
        capsule=capsule,
        succession=succession.entry.number,
        leaf=succession.leaf,
        seat=seat,
        capsule_id=header.capsule_id,
        epoch=succession.entry.seats[seat - 1].epoch,
        wrapped=wrap(share, key.public, dealing.own_info(*mine)),
        commitment=dealing.new_commitment(*mine, share),
    )


def _dealer(desk: Desk, succession: Succession, header: Header, paper: Paper) -> int:
    """The index of the share that was dealt from."""
    source = succession.entry.source
    passed = desk.state.succession(source) if source else None
    seats = passed.entry.seats if passed else header.shares
    holders = [each.trustee for each in seats]
    if paper.trustee not in holders:
        raise IntegrityError(f"{paper.trustee} dealt for a capsule it holds no share of")
    return holders.index(paper.trustee) + 1
