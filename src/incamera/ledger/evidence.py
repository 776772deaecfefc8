# SPDX-License-Identifier: Apache-2.0
"""Proof that a log forked: two notes it signed, of one size, with different roots.

A log must never sign two such trees, so the pair convicts it before anybody, without trust in
who shows it. The pair is kept as a file, in one durable write; where one lies, all stays closed.
"""

from __future__ import annotations

from pathlib import Path

from incamera import durable
from incamera.encoding import base64_bytes, base64_text, canonical, exact_keys, parse_canonical
from incamera.errors import InputError, IntegrityError
from incamera.ids import Digest, digest
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import open_note
from incamera.tlog.policy import Policy

__all__ = ["check_fork", "found", "keep", "parse_evidence"]

_SUFFIX = ".fork.json"
_MAX = 1 << 22


def keep(folder: Path, ours: bytes, theirs: bytes, seen: int) -> Digest:
    """Keep two notes as ``<digest>.fork.json`` in ``folder``; the digest of that file.

    ``seen`` is the POSIX time it was noticed. The first proof stays, and is enough.
    """
    if kept := found(folder):
        return digest(kept[0].read_bytes())
    notes = {"ours": base64_text(ours), "theirs": base64_text(theirs)}
    data = canonical({"v": 1, "seen": seen, **notes})
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
    if value["v"] != 1:
        raise InputError(f"{where}: an evidence version not known here")
    return base64_bytes(value["ours"], where), base64_bytes(value["theirs"], where)


def check_fork(ours: bytes, theirs: bytes, policy: Policy) -> None:
    """:class:`IntegrityError` unless a log of ``policy`` signed both notes and they contradict.

    The log's own signature convicts it; no witness is needed for that.
    """
    one, other = _signed(ours, policy), _signed(theirs, policy)
    if (one.origin, one.size) != (other.origin, other.size) or one.root == other.root:
        raise IntegrityError("these two notes do not contradict each other: no proof of a fork")


def _signed(note: bytes, policy: Policy) -> Checkpoint:
    try:
        opened = open_note(note, policy.logs, "evidence")
        checkpoint = Checkpoint.parse(opened.text, "evidence")
    except InputError as error:
        raise IntegrityError(error.message, hint=error.hint) from error
    if all(each.verifier.name != checkpoint.origin for each in opened.verified):
        raise IntegrityError(f"evidence: not signed by the log {checkpoint.origin!r:.80}")
    return checkpoint
