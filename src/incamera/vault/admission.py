# SPDX-License-Identifier: Apache-2.0
"""What a capsule must be to be admitted: one small rule each, in the order they are asked.

The car's signature and every digest were checked before (``sealing.capsule``). Each rule raises a
:class:`RefusedError` with its code, reads only, and knows no more than the header, the log as
folded by this vault's own follower, the exclusion list and the time. The codes are listed in
``docs/formats/capsule.md``.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from incamera.errors import IntegrityError
from incamera.ids import Digest
from incamera.ledger.entries import RegionEntry
from incamera.ledger.queries import DAY, Queries
from incamera.ledger.rights import consent_digest
from incamera.sealing.header import Header
from incamera.sealing.keys import key_id
from incamera.vault.exclusion import Exclusions
from incamera.vault.refusal import RefusedError

__all__ = ["RULES", "Case", "check", "duplicate", "region_of"]

SLACK = DAY
"""Seconds a car's clock, or its time zone, may be ahead."""


@dataclass(frozen=True, slots=True)
class Case:
    """One capsule before the rules."""

    digest: Digest
    header: Header
    state: Queries
    exclusions: Exclusions
    owner: str | None
    """Who holds the opening key the capsule was sealed to, by the log; None: nobody."""
    now: int  # POSIX seconds

    @property
    def hour(self) -> int:
        """When the recorded hour began, POSIX seconds, as the car says."""
        return int(datetime.datetime.fromisoformat(f"{self.header.hour}:00+00:00").timestamp())


def region_of(state: Queries) -> RegionEntry:
    """The region this log is of; :class:`IntegrityError` if it says none."""
    if state.region is None:
        raise IntegrityError("the log has no valid region entry at 0: nothing is believed")
    return state.region


def check(case: Case) -> None:
    """All rules in order; the first that does not hold raises."""
    for rule in RULES:
        rule(case)


def _erased(case: Case) -> None:
    """``erased``: a capsule that was erased never comes back."""
    if case.state.erased(case.digest) is not None:
        raise RefusedError("erased", f"capsule {case.digest[:16]}... was erased and stays so")


def _region(case: Case) -> None:
    """``wrong-region``: data stays in its region."""
    ours = region_of(case.state).region
    if case.header.region != ours:
        raise RefusedError(
            "wrong-region",
            f"sealed for region {case.header.region}, but this is the vault of {ours}",
            hint=f"send it to the vault of {case.header.region}",
        )


def _car(case: Case) -> None:
    """``unenrolled``, ``revoked``: only cars that the log knows."""
    party = case.state.holder(case.header.car_key)
    if party is None and case.state.had(case.header.car_key):
        raise RefusedError("revoked", "the car's key was revoked or replaced")
    if party is None or party.role != "car":
        raise RefusedError(
            "unenrolled", "no car is enrolled with this key", hint="have the operator enrol the car"
        )


def _owner(case: Case) -> None:
    """``unknown-owner``: somebody enrolled must be able to see and erase it."""
    if case.owner is None or case.state.party("owner", case.owner) is None:
        raise RefusedError("unknown-owner", "sealed to an owner's key that the log does not know")


def _consent(case: Case) -> None:
    """``consent-missing``: a consent, for at least one purpose."""
    if not case.header.consent or not case.header.purposes:
        raise RefusedError(
            "consent-missing", "the header names no consent, or no purpose it allows"
        )


def _withdrawn(case: Case) -> None:
    """``consent-withdrawn``: not under a consent that this owner took back."""
    header = case.header
    at = case.state.withdrawn(consent_digest(header.consent), header.owner.key)
    if at is not None:
        raise RefusedError(
            "consent-withdrawn",
            f"its owner withdrew this consent: log entry {at}",
            hint="record only under a consent that stands",
        )


def _excluded(case: Case) -> None:
    """``excluded``: on the operator's list."""
    if (hit := case.exclusions.hit(case.header)) is not None:
        raise RefusedError("excluded", f"excluded by the operator: {hit}")


def _policy(case: Case) -> None:
    """``unknown-policy``: only policies that were published in the log."""
    if case.state.published("policy", case.header.policy) is None:
        raise RefusedError(
            "unknown-policy",
            f"policy {case.header.policy[:16]}... was never published in this log",
            hint="have the car fetch the region's policies again",
        )


def _retention(case: Case) -> None:
    """``expired``, ``retention``, ``future``: the times in the header are possible ones."""
    longest = case.now + region_of(case.state).retention * DAY + SLACK
    if case.header.expires <= case.now:
        raise RefusedError("expired", "its time is over: no trustee would open it")
    if case.header.expires > longest:
        raise RefusedError("retention", "it would be kept longer than this region's retention")
    if case.hour > case.now + SLACK:
        raise RefusedError("future", f"recorded in the future: {case.header.hour}")


def _threshold(case: Case) -> None:
    """``threshold``: as many trustees as the region's entry says, no fewer and no more."""
    wanted = region_of(case.state).threshold
    if case.header.threshold != wanted:
        raise RefusedError(
            "threshold", f"opens with {case.header.threshold} trustees, the region asks {wanted}"
        )


def _trustees(case: Case) -> None:
    """``unknown-trustee``, ``wrong-epoch``: enrolled trustees, by keys of theirs, in their time.

    The key must have been in use at some time between the recorded hour and now.
    """
    for share in case.header.shares:
        if case.state.party("trustee", share.trustee) is None:
            raise RefusedError("unknown-trustee", f"no trustee {share.trustee} is enrolled")
        epoch = case.state.epoch(share.trustee, share.epoch)
        if (
            epoch is None
            or key_id(epoch.key) != share.key
            or epoch.not_before > case.now
            or epoch.not_after < case.hour
        ):
            raise RefusedError(
                "wrong-epoch",
                f"not sealed to a key {share.trustee} had in epoch {share.epoch}",
                hint="have the car fetch the trustees' present keys from the log",
            )


def _jurisdictions(case: Case) -> None:
    """``jurisdiction``: no one country can open it alone."""
    parties = (case.state.party("trustee", share.trustee) for share in case.header.shares)
    countries = Counter(party.country for party in parties if party is not None)
    country, most = countries.most_common(1)[0]
    if most >= case.header.threshold:
        raise RefusedError(
            "jurisdiction", f"{most} of its trustees sit in {country}: enough to open it"
        )


def duplicate(twin: Digest | None) -> RefusedError:
    """``duplicate``: one capsule id, one capsule. Asked last, by ``Index.begin``."""
    return RefusedError("duplicate", f"its id is that of capsule {twin}")


RULES: tuple[Callable[[Case], None], ...] = (
    _erased,
    _region,
    _car,
    _owner,
    _consent,
    _withdrawn,
    _excluded,
    _policy,
    _retention,
    _threshold,
    _trustees,
    _jurisdictions,
)
