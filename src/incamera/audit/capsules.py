# SPDX-License-Identifier: Apache-2.0
"""The stored capsules, where the auditor has them: each is whole, logged, rightly sealed.

No key is needed: a capsule's digest covers every byte of it.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from incamera.audit.files import LEFT
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.ids import Digest, digest
from incamera.ledger.state import State
from incamera.sealing.capsule import read_capsule
from incamera.sealing.header import Header

__all__ = ["check_blobs"]

_PLACE = re.compile(r"([0-9a-f]{2})/(\1[0-9a-f]{62})", re.ASCII)


def check_blobs(blobs: Path, state: State, findings: Findings, counts: Counter[str]) -> None:
    """Check each file below ``blobs`` (``ab/<digest>``) and that none is missing."""
    present = set()
    for path in sorted(blobs.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        where = path.relative_to(blobs).as_posix()
        match = _PLACE.fullmatch(where)
        if LEFT.fullmatch(path.name) and not path.is_symlink():
            findings.warning(f"blobs/{where}", "left by a process that was killed", "delete it")
            continue
        if match is None or path.is_symlink():
            findings.error(
                f"blobs/{where}",
                "this file is no capsule's, so nobody can check it",
                "find out who put it there",
            )
            continue
        name = Digest(match.group(2))
        present.add(name)
        counts["stored capsules"] += 1
        _check_blob(path, name, f"blobs/{where}", state, findings)
    for admitted in state.capsules():
        if admitted.capsule not in present and state.erased(admitted.capsule) is None:
            findings.error(
                f"capsule {admitted.capsule}",
                f"was acknowledged in log entry {admitted.index}, but is not kept",
                "the vault lost it: restore it from a backup",
            )


def _check_blob(path: Path, name: Digest, where: str, state: State, findings: Findings) -> None:
    admitted, erased = state.capsule(name), state.erased(name)
    if erased is not None:
        findings.error(
            where,
            f"was erased by log entry {erased.index}, but is still kept",
            "the vault must destroy it now",
        )
    if admitted is None:
        # No trustee opens what is not in the log, and a crash may lie between the two.
        findings.warning(
            where,
            "is kept, but no log entry says so: nobody can have it opened",
            "an admission was cut short: admitting it again completes it; if nobody does, ask why",
        )
    try:
        capsule = read_capsule(path)
        capsule.verify_stored()
    except Error as error:
        findings.error(
            where,
            f"does not hold: {error.message}",
            "it was damaged or altered in storage: restore it from a backup",
        )
        return
    if capsule.digest != name:
        findings.error(where, f"is another capsule, {capsule.digest}", "restore the right one")
        return
    if admitted is not None:
        for what in _against_log(capsule.header, state, admitted.index):
            findings.error(where, what, "the vault should have refused it: ask the operator")


def _against_log(header: Header, state: State, index: int) -> list[str]:
    """What in a header contradicts the log it was admitted to."""
    region, wrong = state.region, []
    if region is None:
        return []
    if header.region != region.region:
        wrong.append(f"is of region {header.region}, not {region.region}")
    holder = state.holder(header.car_key, at=index)
    if holder is None or holder.role != "car":
        wrong.append("is signed by a key that was no enrolled car's when it was admitted")
    if not header.consent:
        wrong.append("carries no consent")
    if state.published("policy", header.policy) is None:
        wrong.append("is sealed under a policy that is not in the log")
    if header.threshold < region.threshold:
        wrong.append(f"opens with {header.threshold} shares, the region asks {region.threshold}")
    for share in header.shares:
        key = state.epoch(share.trustee, share.epoch)
        if key is None or digest(key.key) != share.key:
            wrong.append(
                f"has a share sealed to a key that is not {share.trustee}'s of epoch {share.epoch}"
            )
    return wrong
