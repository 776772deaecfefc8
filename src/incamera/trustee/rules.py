# SPDX-License-Identifier: Apache-2.0
"""Why a trustee refuses: one small function for each check, in the order they are made. Pure.

Each takes what it looks at and raises: :class:`IntegrityError` where a proof does not hold,
:class:`RefusedError` (a :class:`PolicyError` with a code, for the public refusal) where a rule
forbids.
The attacks they answer are tests of the same names, ``tests/unit/trustee/test_attack_*.py``.
Time here is witness time: neither the requester's, nor the log's, nor one machine's.
"""

from __future__ import annotations

import datetime

from incamera.errors import InputError, IntegrityError, PolicyError
from incamera.ids import Digest, Name, digest
from incamera.ledger.codec import Signed, decode, parse_capsule_list
from incamera.ledger.entries import CapsuleList, RequestEntry
from incamera.ledger.queries import DAY, Queries
from incamera.ledger.request import CapsuleEvidence, GrantRequest
from incamera.ledger.rights import consent_digest
from incamera.ledger.rows import Admitted, Party, Requested
from incamera.sealing.header import Header, ShareWrap, open_header
from incamera.tlog import merkle
from incamera.tlog.policy import Policy, Witnessed

__all__ = [
    "MAX_AGE",
    "MAX_AHEAD",
    "RefusedError",
    "admitted",
    "consent_stands",
    "epoch_lasts",
    "epoch_over",
    "fresh",
    "from_an_enrolled_car",
    "included",
    "known_policy",
    "named",
    "names",
    "not_erased",
    "not_expired",
    "notice_passed",
    "our_share",
    "parse_leaf",
    "read_by_us",
    "requester",
    "same_policy",
    "still_enrolled",
    "within_quota",
    "witnessed",
]

MAX_AGE = 3_600
"""Seconds: an older checkpoint may hide what happened since."""

MAX_AHEAD = 30
"""Seconds: a witness further ahead of our clock has a wrong clock, or we have."""


class RefusedError(PolicyError):
    """A rule forbids it; ``code`` stands in the public refusal entry."""

    def __init__(
        self, code: str, message: str, *, hint: str | None = None, public: bool = True
    ) -> None:
        """``public``: log it. False where not the request but who shows it is at fault."""
        super().__init__(message, hint=hint)
        self.code = Name(code)
        self.public = public


# The request


def parse_leaf(leaf: bytes) -> tuple[Signed, RequestEntry]:
    """The request in these exact bytes, which are hashed as they are and never re-encoded."""
    signed = decode(leaf, "request")
    if not isinstance(signed.entry, RequestEntry):
        raise InputError(f"request: a {signed.entry.type} entry is none")
    return signed, signed.entry


def requester(
    state: Queries, signed: Signed, entry: RequestEntry, *, verified: bytes | None = None
) -> Party:
    """The reader, enrolled now and not revoked, whose present key signed the request.

    ``verified``: the key under which the signature was found good before, if it was.
    """
    region = state.region
    if region is None or entry.region != region.region:
        raise RefusedError("region", f"this is not the log of region {entry.region}")
    party = state.party("reader", entry.reader)
    if party is None:
        raise RefusedError("requester", f"no reader {entry.reader} is enrolled")
    if party.key != verified:
        signed.envelope.verify(party.key)
    return party


def still_enrolled(state: Queries, name: Name, public: bytes) -> None:
    """We are a trustee of this log, under our present key: else our grants would be void.

    And we never froze: a home that came back from a backup has lost the proof, the log has not.
    """
    party = state.party("trustee", name)
    if party is None or party.key != public:
        raise RefusedError("trustee", f"trustee {name} is not enrolled with its present key")
    if any(each.trustee == name for each in state.freezes()):
        raise RefusedError(
            "frozen", f"trustee {name} said in the log that it holds proof of a fork", public=False
        )


# The log


def witnessed(note: bytes, policy: Policy) -> Witnessed:
    """The checkpoint, signed by the pinned log and cosigned by the quorum of distinct keys."""
    return policy.check(note, "the request's checkpoint")


def fresh(time: int, clock: int) -> None:
    """Witness ``time`` is at most an hour behind our ``clock``, and at most 30 s ahead."""
    if clock - time > MAX_AGE:
        raise IntegrityError(
            f"the checkpoint is stale: cosigned {clock - time} s ago, {MAX_AGE} s are allowed",
            hint="fetch the log's present checkpoint; if that is stale, its witnesses are down",
        )
    if time - clock > MAX_AHEAD:
        raise IntegrityError(
            f"the checkpoint comes from the future: {time - clock} s ahead of our clock",
            hint="compare the clocks of witnesses and trustee with the time of day",
        )


def included(asked: GrantRequest, seen: Witnessed) -> None:
    """The exact leaf stands at the index in the witnessed tree."""
    leaf, checkpoint = bytes.fromhex(asked.leaf_hash), seen.checkpoint
    merkle.verify_inclusion(asked.index, checkpoint.size, leaf, asked.proof, checkpoint.root)


def read_by_us(state: Queries, leaf: Digest) -> Requested:
    """We read this request in the log ourselves and found it good when it was logged."""
    requested = state.request(leaf)
    if requested is None:
        raise RefusedError("void", "the request was not valid when it was logged: see our findings")
    return requested


# The capsule


def names(entry: RequestEntry, listed: bytes | None) -> frozenset[Digest]:
    """The capsules that the request names: in itself, or in the list file that was fetched."""
    if isinstance(entry.capsules, CapsuleList):
        return frozenset(parse_capsule_list(listed or b"", entry.capsules))
    return frozenset(entry.capsules)


def named(capsule: Digest, wanted: frozenset[Digest]) -> None:
    """The request names ``capsule``."""
    if capsule not in wanted:
        text = f"the request does not name capsule {capsule[:16]}..."
        raise RefusedError("not-named", text, public=False)


def admitted(state: Queries, capsule: Digest) -> Admitted:
    """The log has an entry of the vault for ``capsule``."""
    found = state.capsule(capsule)
    if found is None:
        raise RefusedError("not-admitted", f"capsule {capsule[:16]}... is not in the log")
    return found


def from_an_enrolled_car(state: Queries, shown: CapsuleEvidence, at: int) -> Header:
    """The header, of our region, signed by a car that was enrolled when the capsule was logged.

    A car that was sold or revoked since does not take its old capsules with it.
    """
    where = f"capsule {shown.capsule[:16]}..."
    header = open_header(shown.envelope, where)
    region = state.region
    if region is None or header.region != region.region:
        raise RefusedError("region", f"{where}: belongs to region {header.region}")
    car = state.holder(header.car_key, at=at)
    if car is None or car.role != "car":
        raise RefusedError("car", f"{where}: no enrolled car signed it when it was admitted")
    return header


def our_share(header: Header, shown: CapsuleEvidence, name: Name) -> ShareWrap:
    """The wrapped share is the one that the header has at this index, for us."""
    if not 1 <= shown.index <= len(header.shares):
        raise IntegrityError(f"this capsule has no share {shown.index}")
    share = header.shares[shown.index - 1]
    if share.trustee != name:
        raise IntegrityError(f"share {shown.index} is {share.trustee}'s, not {name}'s")
    if digest(shown.wrapped) != share.digest:
        raise IntegrityError(f"wrapped share {shown.index} is not the one in the header")
    return share


def epoch_over(state: Queries, name: Name, epoch: int, now: int) -> bool:
    """True if our key of ``epoch`` is said to be destroyed, or its retention ended by ``now``.

    By the log and witness time, whatever lies on the disk: a key file that came back from a
    backup opens nothing. A key that was never announced has no end, so it never lasts either.
    """
    known, region = state.epoch(name, epoch), state.region
    if known is None or region is None or state.destroyed(name, epoch) is not None:
        return True
    return now > known.not_after + region.retention * DAY


def epoch_lasts(state: Queries, name: Name, epoch: int, now: int) -> None:
    """Our key of ``epoch`` may still open at witness time ``now``."""
    if epoch_over(state, name, epoch, now):
        raise RefusedError("epoch-ended", f"the key of epoch {epoch} has ended: it is destroyed")


# The policy


def same_policy(header: Header, entry: RequestEntry) -> None:
    """The request was made under the policy sealed into the capsule, and no other."""
    if header.policy != entry.policy:
        raise RefusedError("policy", "the request names another policy than the capsule has")


def known_policy(state: Queries, header: Header, text: bytes) -> str:
    """``text`` is the policy of the header, which the log published; as text."""
    if state.published("policy", header.policy) is None:
        raise RefusedError(
            "policy", f"policy {header.policy[:16]}... was never published in the log"
        )
    if digest(text) != header.policy:
        raise IntegrityError(f"policy {header.policy[:16]}...: the text is another one")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"policy {header.policy[:16]}...: not UTF-8") from error


# Still?


def not_erased(state: Queries, capsule: Digest) -> None:
    """No owner and no operator erased the capsule."""
    if erased := state.erased(capsule):
        raise RefusedError(
            "erased", f"capsule {capsule[:16]}... was erased by log entry {erased.index}"
        )


def consent_stands(state: Queries, header: Header) -> None:
    """The owner did not take back the consent under which the capsule was recorded."""
    at = state.withdrawn(consent_digest(header.consent), header.owner.key)
    if at is not None:
        raise RefusedError("consent-withdrawn", f"its owner withdrew the consent: log entry {at}")


def not_expired(header: Header | None, entry: RequestEntry, now: int) -> None:
    """Neither the request nor the capsule has expired at witness time ``now``."""
    if now >= entry.expires:
        raise RefusedError("expired", f"the request expired at {_utc(entry.expires)}")
    if header is not None and now >= header.expires:
        raise RefusedError("capsule-expired", f"the capsule expired at {_utc(header.expires)}")


def notice_passed(requested: Requested, notice: int, now: int) -> None:
    """The public had ``notice`` seconds to see the request, since we first read it."""
    if now < requested.time + notice:
        raise RefusedError(
            "notice",
            f"the request must be public for {notice} s before it is granted",
            hint=f"ask again after {_utc(requested.time + notice)}",
        )


def within_quota(before: int, more: int, quota: int, reader: Name) -> None:
    """``more`` capsules fit into what ``reader`` may be granted a day, after ``before``."""
    if before + more > quota:
        raise RefusedError(
            "quota",
            f"{reader} was granted {before} capsules today and may have {quota} a day",
            hint="ask again tomorrow (UTC)",
        )


def _utc(time: int) -> str:
    try:
        return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return f"POSIX time {time}"
