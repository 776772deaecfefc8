# SPDX-License-Identifier: Apache-2.0
"""Proof that a log forked: two notes it signed that cannot both be true.

A log must never sign two such trees, so the pair convicts it before anybody, without trust in
who shows it. Two roots for one size need no more than the notes. For two sizes the file says
where the smaller tree is no beginning of the larger one: the subtrees that make its root, and
another hash at the place of one of them, with the path to the other root. The file comes to be
in one durable write; where one lies, all stays closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incamera import durable
from incamera.encoding import (
    base64_bytes,
    base64_text,
    canonical,
    exact_keys,
    is_version,
    parse_canonical,
)
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, digest
from incamera.ledger.codec import parse_int
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.frontier import Frontier
from incamera.tlog.note import open_note
from incamera.tlog.policy import Policy

__all__ = [
    "Split",
    "check_evidence",
    "check_fork",
    "found",
    "keep",
    "keep_file",
    "keep_split",
    "parse_evidence",
    "places",
]


@dataclass(frozen=True, slots=True)
class Split:
    """Where a smaller tree is no beginning of a larger one."""

    #: Roots of the complete subtrees that make up the smaller tree, largest first.
    hashes: tuple[bytes, ...]
    #: Which of them is another one in the larger tree,
    at: int
    #: what stands there in the larger tree,
    other: bytes
    #: and the path from there to its root.
    proof: tuple[bytes, ...]


_SUFFIX = ".fork.json"
_MAX = 1 << 22


def keep(folder: Path, ours: bytes, theirs: bytes, seen: int) -> Digest:
    """Keep two notes as ``<digest>.fork.json`` in ``folder``; the digest of that file.

    ``seen`` is the POSIX time it was noticed. The first proof stays, and is enough.
    """
    notes = {"ours": base64_text(ours), "theirs": base64_text(theirs)}
    return keep_file(folder, canonical({"v": 1, "seen": seen, **notes}))


def keep_split(folder: Path, ours: bytes, theirs: bytes, split: Split, seen: int) -> Digest:
    """As :func:`keep`, for notes of two sizes."""
    where = {
        "hashes": [base64_text(each) for each in split.hashes],
        "at": split.at,
        "other": base64_text(split.other),
        "proof": [base64_text(each) for each in split.proof],
    }
    notes = {"ours": base64_text(ours), "theirs": base64_text(theirs)}
    return keep_file(folder, canonical({"v": 2, "seen": seen, **notes, "split": where}))


def keep_file(folder: Path, data: bytes) -> Digest:
    """Keep an evidence file from elsewhere, which :func:`check_evidence` took, as it is."""
    if kept := found(folder):
        return digest(kept[0].read_bytes())
    durable.create(folder / f"{digest(data)}{_SUFFIX}", data)
    return digest(data)


def found(folder: Path) -> list[Path]:
    """The evidence files in ``folder``; not empty means frozen, for good."""
    return sorted(folder.glob(f"*{_SUFFIX}")) if folder.is_dir() else []


def parse_evidence(data: bytes, where: str) -> tuple[bytes, bytes]:
    """The two notes in an evidence file, not yet checked; :class:`InputError` if malformed."""
    if len(data) > _MAX:
        raise InputError(f"{where}: evidence may have {_MAX} bytes")
    value = exact_keys(parse_canonical(data, where), ("v", "seen", "ours", "theirs"), where)
    if not is_version(value["v"], 1):
        raise InputError(f"{where}: an evidence version not known here")
    parse_int(value["seen"], f"{where}: seen")
    return base64_bytes(value["ours"], where), base64_bytes(value["theirs"], where)


def check_fork(ours: bytes, theirs: bytes, policy: Policy) -> None:
    """:class:`IntegrityError` unless a log of ``policy`` signed both notes and they contradict.

    The log's own signature convicts it; no witness is needed for that.
    """
    one, other = _signed(ours, policy), _signed(theirs, policy)
    if (one.origin, one.size) != (other.origin, other.size) or one.root == other.root:
        raise IntegrityError("these two notes do not contradict each other: no proof of a fork")


def places(size: int) -> list[tuple[int, int]]:
    """(level, index) of the complete subtrees that make up a tree, largest first."""
    found, start = [], 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def check_evidence(data: bytes, policy: Policy, where: str) -> tuple[Checkpoint, Checkpoint]:
    """The two checkpoints (the smaller first) that an evidence file convicts its log with.

    :class:`InputError` if it is malformed, :class:`IntegrityError` if it proves nothing.
    """
    if len(data) > _MAX:
        raise InputError(f"{where}: evidence may have {_MAX} bytes")
    value = parse_canonical(data, where)
    if not isinstance(value, dict) or not is_version(value.get("v"), 2):
        notes = parse_evidence(data, where)
        check_fork(*notes, policy)
        return _signed(notes[0], policy), _signed(notes[1], policy)
    value = exact_keys(value, ("v", "seen", "ours", "theirs", "split"), where)
    parse_int(value["seen"], f"{where}: seen")
    notes = base64_bytes(value["ours"], where), base64_bytes(value["theirs"], where)
    small, large = sorted((_signed(each, policy) for each in notes), key=lambda each: each.size)
    _check_split(small, large, _split(value["split"], where), where)
    return small, large


def _split(value: Any, where: str) -> Split:
    parts = exact_keys(value, ("hashes", "at", "other", "proof"), where)
    if type(parts["at"]) is not int or not all(
        isinstance(parts[each], list) and len(parts[each]) <= merkle.MAX_PROOF
        for each in ("hashes", "proof")
    ):
        raise InputError(f"{where}: not the form of a proof")
    return Split(
        tuple(base64_bytes(each, where, merkle.HASH) for each in parts["hashes"]),
        parts["at"],
        base64_bytes(parts["other"], where, merkle.HASH),
        tuple(base64_bytes(each, where, merkle.HASH) for each in parts["proof"]),
    )


def _check_split(small: Checkpoint, large: Checkpoint, split: Split, where: str) -> None:
    if small.origin != large.origin or not 0 < small.size < large.size:
        raise IntegrityError(f"{where}: not two sizes of one log: no proof of a fork")
    at = places(small.size)
    if len(split.hashes) != len(at) or not 0 <= split.at < len(at):
        raise IntegrityError(f"{where}: the hashes do not fit the smaller tree: no proof")
    if Frontier(small.size, split.hashes).root() != small.root:
        raise IntegrityError(f"{where}: the hashes do not make the smaller root: no proof")
    if split.hashes[split.at] == split.other:
        raise IntegrityError(f"{where}: the two trees agree there: no proof of a fork")
    level, index = at[split.at]
    # A tree of leaves is also the tree of its chunks of 2**level leaves.
    chunks = -(-large.size >> level)
    merkle.verify_inclusion(index, chunks, split.other, split.proof, large.root)


def _signed(note: bytes, policy: Policy) -> Checkpoint:
    try:
        opened = open_note(note, policy.logs, "evidence")
        checkpoint = Checkpoint.parse(opened.text, "evidence")
    except InputError as error:
        raise IntegrityError(error.message, hint=error.hint) from error
    if all(each.verifier.name != checkpoint.origin for each in opened.verified):
        raise IntegrityError(f"evidence: not signed by the log {checkpoint.origin!r:.80}")
    return checkpoint
