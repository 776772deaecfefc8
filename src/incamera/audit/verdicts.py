# SPDX-License-Identifier: Apache-2.0
"""Each granted read judged again by the policy that was sealed into the capsule.

Needs the stored capsules, for their headers. Cedar decides as it does at the trustees.
"""

from __future__ import annotations

from pathlib import Path

from incamera.audit.memory import Memory
from incamera.audit.reads import ReadCheck
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.ids import Digest
from incamera.ledger.codec import capsule_list
from incamera.ledger.rights import consent_digest
from incamera.ledger.rows import Granted, Requested
from incamera.sealing.capsule import read_capsule
from incamera.tlog.fetch import Fetch

__all__ = ["check_verdicts"]


def check_verdicts(
    fetch: Fetch,
    blobs: Path,
    memory: Memory,
    reads: ReadCheck,
    findings: Findings,
) -> None:
    """An error for each capsule granted although its policy, or its owner's word, forbids it."""
    withdrawn = bool(memory.withdrawals())
    for request in memory.requests():
        asked = reads.capsules(request, quiet=True)
        if not asked:
            continue
        whole = capsule_list(asked)[1].digest
        # A grant of fewer names them only by the digest of a list that need not be public.
        grants = [each for each in memory.grants(request.leaf) if each.capsules == whole]
        if not grants:
            continue
        for name in asked:
            if _permitted(fetch, blobs, memory, request, name) is False:
                findings.error(
                    f"log entry {grants[0].index}",
                    f"capsule {name} was granted, but its own policy forbids this reader",
                    "ask the trustees named here, in public, to explain",
                    ", ".join(f"{each.trustee} at entry {each.index}" for each in grants),
                )
            if withdrawn:
                _check_consent(blobs, memory, grants, name, findings)


def _check_consent(
    blobs: Path, memory: Memory, grants: list[Granted], name: Digest, findings: Findings
) -> None:
    """An error for each grant after the owner withdrew the consent that the header names."""
    try:
        header = read_capsule(blobs / name[:2] / name).header
    except Error:
        return  # missing or damaged: reported elsewhere
    at = memory.withdrawn(consent_digest(header.consent), header.owner.key)
    for each in grants:
        if at is not None and at < each.index:
            findings.error(
                f"log entry {each.index}",
                f"{each.trustee} granted a capsule whose owner had withdrawn the consent",
                "ask the trustee named here, in public, to explain",
                f"{name}, withdrawn by log entry {at}",
            )


def _permitted(
    fetch: Fetch, blobs: Path, memory: Memory, request: Requested, name: Digest
) -> bool | None:
    """The policy's answer; None where capsule or policy is not at hand (reported elsewhere)."""
    from incamera.trustee.cedar import permits

    region, reader = memory.region, memory.reader(request)
    path = blobs / name[:2] / name
    if region is None or not path.is_file():
        return None
    try:
        header = read_capsule(path).header
        text = fetch(f"policy/{header.policy}.cedar").decode("utf-8")
        return permits(text, reader, region.region, name, header, request.entry.purpose)
    except (Error, UnicodeDecodeError):
        return None
