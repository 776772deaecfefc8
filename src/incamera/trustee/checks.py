# SPDX-License-Identifier: Apache-2.0
"""What is asked of each request and of each capsule in it: the rules in their order, by our log."""

from __future__ import annotations

import functools

from incamera.ledger.entries import RegionEntry
from incamera.trustee import cedar, rules
from incamera.trustee.case import Case, Found
from incamera.trustee.desk import Desk
from incamera.trustee.rules import RefusedError
from incamera.trustee.shares import OwnShares
from incamera.trustee.still import Still

__all__ = ["Checks"]


class Checks:
    """The checks of one batch. Each raises, or notes in the case what it found."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._fetch = functools.cache(desk.fetch)  # most capsules have one policy
        self.own = OwnShares(desk.keys, desk.name, desk.state, desk.held)
        self.state = Still(desk.state)

    def look_anew(self) -> None:
        """The log was followed: what was looked up before may be old."""
        self.state = Still(self._desk.state)

    @property
    def region(self) -> RegionEntry:
        """Entry 0."""
        region = self.state.region
        assert region is not None  # else rules.requester refused
        return region

    def parse(self, case: Case) -> None:
        """Its bounds and form."""
        case.asked.check_bounds()
        case.leaf = case.asked.leaf_hash
        case.capsules = tuple(each.capsule for each in case.asked.capsules)
        case.signed, case.entry = rules.parse_leaf(case.asked.leaf)

    def request(self, case: Case) -> None:
        """Who asks, whether it stands in the log, and whether it is time."""
        state, desk = self.state, self._desk
        case.reader = rules.requester(state, case.signed, case.entry)
        rules.included(case.asked, case.seen)
        requested = rules.read_by_us(state, case.leaf)
        rules.still_enrolled(state, desk.name, desk.keys.signing.public)
        case.now = max(state.time, case.seen.time(desk.policy))
        rules.not_expired(None, case.entry, case.now)
        rules.notice_passed(requested, self.region.notice, case.now)

    def headers(self, case: Case) -> None:
        """Of each capsule: named, admitted, a car's; our share; the policy sealed into it."""
        wanted = self._desk.names(case.entry)
        for shown, capsule in zip(case.asked.capsules, case.capsules, strict=True):
            rules.named(capsule, wanted)
            admitted = rules.admitted(self.state, capsule)
            header = rules.from_an_enrolled_car(self.state, shown, admitted.index)
            share = self.own.find(header, shown)
            self.own.lasts(share.epoch, case.now)
            rules.same_policy(header, case.entry)
            text = self._fetch(f"policy/{header.policy}.cedar")
            policy = rules.known_policy(self.state, header, text)
            case.found.append(Found(shown, capsule, header, share, policy))

    def permitted(self, case: Case) -> None:
        """Of each capsule: Cedar says yes; neither erased nor expired."""
        reader, purpose, region = case.reader, case.entry.purpose, self.region
        for each in case.found:
            capsule, header = each.capsule, each.header
            if not cedar.permits(each.policy, reader, region.region, capsule, header, purpose):
                raise RefusedError(
                    "forbidden",
                    f"the policy of capsule {capsule[:16]}... does not let {reader.name} "
                    f"({reader.kind}, {reader.country}) read it for {purpose}",
                )
            rules.not_erased(self.state, capsule)
            rules.consent_stands(self.state, header)
            rules.not_expired(header, case.entry, case.now)

    def again(self, case: Case) -> None:
        """What came into the log before our grant entry did counts before our grant."""
        rules.requester(self.state, case.signed, case.entry, verified=case.reader.key)
        rules.still_enrolled(self.state, self._desk.name, self._desk.keys.signing.public)
        for each in case.found:
            rules.not_erased(self.state, each.capsule)
            rules.consent_stands(self.state, each.header)
