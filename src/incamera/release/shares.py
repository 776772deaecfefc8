# SPDX-License-Identifier: Apache-2.0
"""From trustees' grants to the shares of each capsule, every one of them checked."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from incamera.errors import IntegrityError, PolicyError
from incamera.ids import Digest, Name
from incamera.ledger.grant import Grant
from incamera.ledger.holders import Holders, Holdings
from incamera.ledger.manifest import GrantPlace
from incamera.ledger.state import State
from incamera.sealing.dealing import new_commitment
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey
from incamera.sealing.opening import check_shares, open_capsule, open_passed_on, open_share

__all__ = ["Granted", "Sealed", "Usable", "gather", "usable"]

Sealed = dict[tuple[int, int], tuple[Name, bytes]]


@dataclass(slots=True)
class Granted:
    """What trustees handed out for one request."""

    request: Digest
    #: Capsule -> (succession, share index) -> (trustee, its share sealed to us).
    shares: dict[Digest, Sealed] = field(default_factory=dict)
    places: set[GrantPlace] = field(default_factory=set)


def gather(request: Digest, answers: Iterable[tuple[Name, bytes]], state: State) -> Granted:
    """Read grants, each handed in with the name of the trustee it came from.

    :class:`IntegrityError` if one is not signed by that trustee, or is for another request, or
    names a log entry that is not there: a grant without its public trace is not used.
    """
    granted = Granted(request)
    logged = {(each.trustee, each.index) for each in state.grants(request)}
    for trustee, data in answers:
        party = state.party("trustee", trustee)
        if party is None:
            raise IntegrityError(f"grant of {trustee}: no such trustee is enrolled in the log")
        grant = Grant.open(data, party.key, request, f"grant of {trustee}")
        if grant.trustee != trustee:
            raise IntegrityError(f"grant of {trustee}: speaks for {grant.trustee}")
        for index in grant.entries:
            if (trustee, index) not in logged:
                raise IntegrityError(f"grant of {trustee}: log entry {index} is not this grant")
            granted.places.add(GrantPlace(trustee, index))
        for share in grant.shares:
            place = (share.succession, share.index)
            granted.shares.setdefault(share.capsule, {})[place] = (trustee, share.sealed)
    return granted


@dataclass(frozen=True, slots=True)
class Usable:
    """The shares of one capsule that hold, all of one set, and a sentence on each that does not."""

    holders: Holders
    shares: dict[int, bytes]
    faults: list[str]

    def open(self, path: Path, dest: Path) -> None:
        """The capsule at ``path`` into the clip ``dest``; errors as in ``sealing.opening``."""
        if self.holders.succession:
            open_passed_on(path, self.shares, self.holders.threshold, dest)
        else:
            open_capsule(path, self.shares, dest)


def usable(
    capsule: Digest,
    header: Header,
    sealed: Sealed,
    key: OpeningKey,
    leaf_hash: bytes,
    holdings: Holdings,
) -> Usable:
    """What can be used of the ``sealed`` shares of one capsule.

    A lying or broken trustee costs only its own share. :class:`PolicyError` if fewer than the
    threshold were granted, :class:`IntegrityError` if false ones leave fewer.
    """
    found = Usable(holdings.of(capsule, header), {}, [])
    number, threshold = found.holders.succession, found.holders.threshold
    for (of, index), (trustee, wrapped) in sorted(sealed.items()):
        if of != number:
            continue  # shares of two sets do not mix
        try:
            share = open_share(wrapped, key, leaf_hash, header.capsule_id, index, of)
            _check(capsule, header, found.holders, index, share, holdings)
        except IntegrityError as error:
            found.faults.append(f"{trustee}: {error.message}")
        else:
            found.shares[index] = share
    count = len(found.shares)
    if count >= threshold:
        return found
    if found.faults:
        raise IntegrityError(f"{count} good shares of {threshold}; {'; '.join(found.faults)}")
    raise PolicyError(
        f"{count} of {threshold} trustees granted this capsule",
        hint="incamera grant asks the trustees; incamera list --requests shows refusals",
    )


def _check(
    capsule: Digest,
    header: Header,
    holders: Holders,
    index: int,
    share: bytes,
    holdings: Holdings,
) -> None:
    """Against the car's commitment, or the one with which the trustee took the share over."""
    if holders.succession == 0:
        check_shares(header, {index: share})
        return
    if index > len(holders.names):
        raise IntegrityError(f"there is no share {index}")
    expected = holdings.commitment(holders, capsule, holders.names[index - 1])
    if new_commitment(holders.leaf, header.capsule_id, index, share) != expected:
        raise IntegrityError(f"share {index} is not the one that was committed to")
