# SPDX-License-Identifier: Apache-2.0
"""A certificate of erasure: one JSON file that anybody can check offline.

What binds is the log: the proofs that each capsule was admitted and erased, and that the signer of
the erasure is who the log says. What vault and trustees answered is their word, kept beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incamera.cli.desk import Desk
from incamera.cli.own.proofs import Proven, Prover, open_proof
from incamera.encoding import exact_keys, is_version, parse_json
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, digest, parse_digest
from incamera.ledger.codec import parse_int
from incamera.ledger.entries import CapsuleEntry, ErasureEntry, PartyEntry, RegionEntry
from incamera.tlog.policy import Policy
from incamera.wire import MissingError

__all__ = ["Checked", "check_certificate", "make_certificate"]

KIND = "incamera-erasure"
_ASKED = 100
_KEYS = (
    *("v", "kind", "region", "owner", "made", "policy"),
    *("capsules", "proofs", "vault", "trustees"),
)


@dataclass(frozen=True, slots=True)
class Checked:
    """What a certificate proves."""

    region: str
    owner: Name
    #: Capsule -> where it was admitted, where it was erased.
    capsules: Mapping[Digest, tuple[int, int]]
    by: tuple[str, ...]  # who erased: owner, operator, vault
    size: int  # of the log under which all of it is proven
    time: int  # witness time of that log


def make_certificate(desk: Desk, capsules: Sequence[Digest]) -> dict[str, Any]:
    """The certificate for ``capsules``, each of which the log says is erased.

    Asks the vault for each (of many, for some) and the trustees how far they have read; what they
    answer is noted.
    :class:`IntegrityError` if the vault still hands one out.
    """
    state, owner, prover = desk.state(), desk.owner(), Prover(desk)
    party = state.party("owner", owner.name)
    needed = {0} | ({party.since} if party else set())
    rows = list[dict[str, Any]]()
    for name in capsules:
        admitted, erased = state.capsule(name), state.erased(name)
        if admitted is None or erased is None:
            raise IntegrityError(f"capsule {name}: the log does not say that it was erased")
        rows.append({"capsule": name, "admitted": admitted.index, "erased": erased.index})
        needed |= {admitted.index, erased.index}
    asked = capsules[:: 1 + len(capsules) // _ASKED]
    last = max(each["erased"] for each in rows) if rows else 0
    return {
        "v": 1,
        "kind": KIND,
        "region": desk.region().region,
        "owner": owner.name,
        "made": desk.clock.now(),
        "policy": digest(desk.log_policy.text),
        "capsules": rows,
        "proofs": [prover.proof(index).decode("utf-8") for index in sorted(needed)],
        "vault": [{"capsule": name, "answer": _vault_says(desk, name)} for name in asked],
        "trustees": [_trustee_says(desk, name, last) for name in desk.trustees()],
    }


def _vault_says(desk: Desk, name: Digest) -> str:
    """Its answer to who asks for an erased capsule."""
    try:
        desk.shown([name])
    except (MissingError, InputError) as error:
        return error.message
    except UnavailableError:
        raise
    except Error as error:
        return error.message
    raise IntegrityError(
        f"capsule {name}: the log says that it is erased, and the vault still hands it out",
        hint="keep this and the log's entry: it is the proof; tell the operator, and audit",
    )


def _trustee_says(desk: Desk, name: Name, last: int) -> dict[str, Any]:
    """How far it has read; past the erasure it refuses, and before it decides it reads on."""
    try:
        size = desk.read_by(name)
    except Error as error:
        return {"trustee": name, "read": False, "size": None, "answer": error.message}
    return {"trustee": name, "read": size > last, "size": size, "answer": ""}


def check_certificate(data: bytes, policy: Policy, where: str) -> Checked:
    """What the certificate ``data`` proves under ``policy``, with nobody's help.

    :class:`InputError` if malformed, :class:`IntegrityError` if a proof does not hold or a
    capsule that it names was not proven erased.
    """
    said = exact_keys(parse_json(data, where), _KEYS, where)
    if not is_version(said["v"], 1) or said["kind"] != KIND:
        raise InputError(f"{where}: not a certificate of erasure known here")
    proven = _proofs(said["proofs"], policy, where)
    region, party = _region(proven, where), _owner(proven, said["owner"], where)
    capsules, by = dict[Digest, tuple[int, int]](), set[str]()
    if not isinstance(said["capsules"], list) or not said["capsules"]:
        raise InputError(f"{where}: names no capsules")
    for each in said["capsules"]:
        row = exact_keys(each, ("capsule", "admitted", "erased"), where)
        name = parse_digest(row["capsule"], f"{where}: capsule")
        at = parse_int(row["admitted"], where), parse_int(row["erased"], where)
        _admitted(proven, name, at[0], region, where)
        by.add(_erased(proven, name, at[1], region, party, where))
        capsules[name] = at
    witnessed = next(iter(proven.values())).witnessed
    return Checked(
        region.region,
        party[1].name,
        capsules,
        tuple(sorted(by)),
        witnessed.checkpoint.size,
        witnessed.time(policy),
    )


def _proofs(value: object, policy: Policy, where: str) -> dict[int, Proven]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InputError(f"{where}: proofs are texts")
    found = [open_proof(each.encode(), policy, f"{where}: proof") for each in value]
    if len({each.witnessed.checkpoint for each in found}) != 1:
        raise IntegrityError(f"{where}: its proofs are not of one state of the log")
    return {each.index: each for each in found}


def _entry(proven: dict[int, Proven], index: int, where: str) -> Proven:
    if index not in proven:
        raise IntegrityError(f"{where}: log entry {index} is not proven")
    return proven[index]


def _region(proven: dict[int, Proven], where: str) -> RegionEntry:
    signed = _entry(proven, 0, where).signed
    if not isinstance(signed.entry, RegionEntry):
        raise IntegrityError(f"{where}: log entry 0 founds no region")
    signed.envelope.verify(signed.entry.operator_key)
    return signed.entry


def _owner(proven: dict[int, Proven], name: object, where: str) -> tuple[int, PartyEntry]:
    """The owner's enrolment, by the operator, and where it stands."""
    region = _region(proven, where)
    for index, each in proven.items():
        entry = each.signed.entry
        if isinstance(entry, PartyEntry) and (entry.role, entry.name) == ("owner", name):
            each.signed.envelope.verify(region.operator_key)
            return index, entry
    raise IntegrityError(f"{where}: the enrolment of owner {name!r:.60} is not proven")


def _admitted(
    proven: dict[int, Proven], name: Digest, index: int, region: RegionEntry, where: str
) -> None:
    signed = _entry(proven, index, where).signed
    if not isinstance(signed.entry, CapsuleEntry) or signed.entry.capsule != name:
        raise IntegrityError(f"{where}: log entry {index} does not admit capsule {name}")
    signed.envelope.verify(region.vault_key)


def _erased(
    proven: dict[int, Proven],
    name: Digest,
    index: int,
    region: RegionEntry,
    party: tuple[int, PartyEntry],
    where: str,
) -> str:
    """By whom; the entry names the capsule, and whom it names signed it."""
    signed = _entry(proven, index, where).signed
    entry = signed.entry
    if not isinstance(entry, ErasureEntry) or name not in entry.capsules:
        raise IntegrityError(f"{where}: log entry {index} does not erase capsule {name}")
    keys = {"operator": region.operator_key, "vault": region.vault_key, "owner": party[1].key}
    if entry.by == "owner" and (entry.name != party[1].name or index <= party[0]):
        raise IntegrityError(f"{where}: log entry {index} is {entry.name}'s, not {party[1].name}'s")
    signed.envelope.verify(keys[entry.by])
    return entry.by
