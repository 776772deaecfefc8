# SPDX-License-Identifier: Apache-2.0
"""The whole audit, in the order in which each step makes the next one mean something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from incamera.audit.capsules import check_blobs
from incamera.audit.datasets import check_dataset
from incamera.audit.files import Listing, Named, check_named, list_public
from incamera.audit.log import Readings, check_checkpoint, check_earlier, check_region, read_entries
from incamera.audit.reads import ReadCheck
from incamera.audit.report import Demand, Findings, Report
from incamera.audit.tiles import TileCheck
from incamera.audit.verdicts import check_verdicts
from incamera.clock import Clock
from incamera.errors import InputError, UnavailableError
from incamera.ledger.state import State
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy, Witnessed

__all__ = ["audit"]

_ATTEMPTS = 3


def audit(
    fetch: Fetch,
    policy_text: bytes | str,
    clock: Clock,
    *,
    public: Path | None = None,
    blobs: Path | None = None,
    datasets: Sequence[Path] = (),
    earlier: Sequence[bytes] = (),
) -> Report:
    """Check everything that is public, with no key and no help of the operator.

    ``policy_text``: the ``tlog-policy`` to judge by, best kept from an earlier visit. ``public``:
    the folder behind ``fetch``, where the auditor has it: then each file in it is accounted for.
    ``blobs``: the vault's folder of capsules. ``datasets``: paths of manifests. ``earlier``:
    checkpoint notes from an earlier visit or from somebody else, which the log must extend.

    What is wrong comes back as findings; only a broken auditor (no room for its temporary
    database) raises. A log that moves on meanwhile is read again, up to three times: what an
    append was just writing is no finding.
    """
    for _ in range(_ATTEMPTS - 1):
        before = _checkpoint(fetch)
        report = _audit(fetch, policy_text, clock, public, blobs, datasets, earlier)
        if report.ok or _checkpoint(fetch) == before:
            return report
    return _audit(fetch, policy_text, clock, public, blobs, datasets, earlier)


def _checkpoint(fetch: Fetch) -> bytes:
    try:
        return fetch("checkpoint")
    except UnavailableError:
        return b""


def _audit(
    fetch: Fetch,
    policy_text: bytes | str,
    clock: Clock,
    public: Path | None,
    blobs: Path | None,
    datasets: Sequence[Path],
    earlier: Sequence[bytes],
) -> Report:
    findings, counts = Findings(), Counter[str]()
    listing = list_public(public, findings) if public is not None else None
    if listing is not None:
        counts["public files"] = listing.count
    try:
        policy = Policy.parse(policy_text)
    except InputError as error:
        findings.error("tlog-policy", error.message, "without a policy nothing can be judged")
        return _report(None, 0, findings, counts, ())
    _check_policy_file(fetch, policy, findings)
    witnessed = check_checkpoint(fetch, policy, clock, findings)
    if witnessed is None:
        return _report(None, 0, findings, counts, ())
    # "" is a temporary file of SQLite's own: an audit of a long log needs no long memory.
    state = State("")
    try:
        tiles = TileCheck(fetch, listing, findings, counts)
        seen = check_earlier(earlier, policy, witnessed, findings)
        readings = read_entries(fetch, policy, witnessed, seen, state, tiles, findings, counts)
        demands: tuple[Demand, ...] = ()
        if readings is not None:
            check_region(state, policy, findings)
            demands = _check_content(
                fetch, state, readings, listing, blobs, datasets, findings, counts
            )
    finally:
        state.close()
    return _report(witnessed, witnessed.time(policy), findings, counts, demands)


def _check_policy_file(fetch: Fetch, policy: Policy, findings: Findings) -> None:
    try:
        same = fetch("tlog-policy") == policy.text
    except UnavailableError:
        same = False
    if not same:
        findings.error(
            "tlog-policy",
            "the published policy is missing, or not the one this audit judges by",
            "get the policy from the region's founding documents",
        )


def _check_content(
    fetch: Fetch,
    state: State,
    readings: Readings,
    listing: Listing | None,
    blobs: Path | None,
    datasets: Sequence[Path],
    findings: Findings,
    counts: Counter[str],
) -> tuple[Demand, ...]:
    """What the entries say, and the texts, capsules and datasets they speak of."""
    reads = ReadCheck(state, readings, fetch, findings)
    demands = reads.run()
    wanted, optional = reads.lists()
    wanted |= {("policy", each) for each in state.documents("policy")}
    wanted |= {("campaign", each) for each in state.documents("campaign")}
    # Zones may be secret by law: only their digest must be public.
    optional |= {("zones", each) for each in state.documents("zones")}
    present: set[Named] = listing.named if listing else set()
    counts["texts"] = check_named(fetch, wanted, optional, present, findings)
    if blobs is not None:
        check_blobs(blobs, state, findings, counts)
        check_verdicts(fetch, blobs, state, readings, reads, findings)
    for path in datasets:
        counts["datasets checked"] += 1
        check_dataset(path, state, readings, reads, findings)
    return demands


def _report(
    witnessed: Witnessed | None,
    time: int,
    findings: Findings,
    counts: Counter[str],
    demands: tuple[Demand, ...],
) -> Report:
    counts["errors"], counts["warnings"] = findings.errors, findings.warnings
    return Report(
        origin=witnessed.checkpoint.origin if witnessed else "",
        size=witnessed.checkpoint.size if witnessed else 0,
        time=time,
        findings=tuple(findings.kept),
        counts=counts,
        demands=demands,
    )
