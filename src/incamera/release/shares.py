# SPDX-License-Identifier: Apache-2.0
"""From trustees' grants to the shares of each capsule, every one of them checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from incamera.errors import IntegrityError, PolicyError
from incamera.ids import Digest, Name
from incamera.ledger.grant import Grant
from incamera.ledger.manifest import GrantPlace
from incamera.ledger.state import State
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey
from incamera.sealing.opening import check_shares, open_share

__all__ = ["Granted", "gather", "usable"]


@dataclass(slots=True)
class Granted:
    """What trustees handed out for one request."""

    request: Digest
    #: Capsule -> share index -> (trustee, its share sealed to us).
    shares: dict[Digest, dict[int, tuple[Name, bytes]]] = field(default_factory=dict)
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
            granted.shares.setdefault(share.capsule, {})[share.index] = (trustee, share.sealed)
    return granted


def usable(
    header: Header, sealed: Mapping[int, tuple[Name, bytes]], key: OpeningKey, leaf_hash: bytes
) -> tuple[dict[int, bytes], list[str]]:
    """The shares of one capsule that hold, by index, and a sentence on each that does not.

    A lying or broken trustee costs only its own share. :class:`PolicyError` if fewer than the
    threshold were granted, :class:`IntegrityError` if false ones leave fewer.
    """
    good: dict[int, bytes] = {}
    faults: list[str] = []
    for index, (trustee, wrapped) in sorted(sealed.items()):
        try:
            share = open_share(wrapped, key, leaf_hash, header.capsule_id, index)
            check_shares(header, {index: share})
        except IntegrityError as error:
            faults.append(f"{trustee}: {error.message}")
        else:
            good[index] = share
    if len(good) >= header.threshold:
        return good, faults
    if faults:
        raise IntegrityError(f"{len(good)} good shares of {header.threshold}; {'; '.join(faults)}")
    raise PolicyError(
        f"{len(good)} of {header.threshold} trustees granted this capsule",
        hint="incamera grant asks the trustees; incamera list --requests shows refusals",
    )
