# SPDX-License-Identifier: Apache-2.0
"""The whole audit, in the order in which each step makes the next one mean something."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incamera.audit.capsules import check_blobs
from incamera.audit.datasets import check_dataset
from incamera.audit.files import Listing, Named, check_named, list_public
from incamera.audit.log import check_checkpoint, check_earlier, check_region
from incamera.audit.memory import Memory
from incamera.audit.reading import Advance, forked, read_entries
from incamera.audit.reads import ReadCheck
from incamera.audit.report import Demand, Findings, Report
from incamera.audit.residency import check_residency
from incamera.audit.statements import check_statements
from incamera.audit.tiles import TileCheck
from incamera.audit.verdicts import check_verdicts
from incamera.clock import Clock
from incamera.errors import InputError, UnavailableError
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy, Witnessed

__all__ = ["Scope", "audit", "audit_once"]

_ATTEMPTS = 3


def audit(
    fetch: Fetch,
    policy_text: bytes | str,
    clock: Clock,
    *,
    public: Path | None = None,
    blobs: Path | None = None,
    datasets: Sequence[Path] = (),
    extracts: Sequence[Path] = (),
    earlier: Sequence[bytes] = (),
    processes: int = 1,
    advance: Advance | None = None,
) -> Report:
    """Check everything that is public, with no key and no help of the operator.

    ``policy_text``: the ``tlog-policy`` to judge by, best kept from an earlier visit. ``public``:
    the folder behind ``fetch``, where the auditor has it: then each file in it is accounted for.
    ``blobs``: the vault's folder of capsules. ``datasets``: paths of manifests. ``extracts``:
    paths of what cars kept of what their vault told them. ``earlier``: checkpoint notes from an
    earlier visit or from somebody else, which the log must extend. ``processes``: how many to use
    for a long log in a folder. ``advance`` is told how far it got.

    What is wrong comes back as findings; only a broken auditor (no room for its temporary
    database) raises. A log that moves on meanwhile is read again, up to three times: what an
    append was just writing is no finding.
    """
    scope = Scope(
        fetch,
        policy_text,
        public=public,
        blobs=blobs,
        datasets=datasets,
        extracts=extracts,
        earlier=earlier,
        processes=processes,
        advance=advance,
    )
    for _ in range(_ATTEMPTS - 1):
        before = _checkpoint(fetch)
        report = audit_once(scope, clock)
        if report.ok or _checkpoint(fetch) == before:
            return report
    return audit_once(scope, clock)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an audit looks at; see :func:`audit`."""

    fetch: Fetch
    policy_text: bytes | str
    public: Path | None = None
    blobs: Path | None = None
    datasets: Sequence[Path] = ()
    extracts: Sequence[Path] = ()
    earlier: Sequence[bytes] = ()
    processes: int = 1
    advance: Advance | None = None
    #: Where tiles and bundles are read from, if not through ``fetch``.
    tiles: Fetch | None = None
    #: File of what was read and checked before; "" for nothing.
    memory: Path | str = ""


def _checkpoint(fetch: Fetch) -> bytes:
    try:
        return fetch("checkpoint")
    except UnavailableError:
        return b""


@dataclass
class _Told:
    """A report as it comes to be."""

    findings: Findings = field(default_factory=Findings)
    counts: Counter[str] = field(default_factory=Counter)
    witnessed: Witnessed | None = None
    time: int = 0
    demands: tuple[Demand, ...] = ()
    addresses: tuple[str, ...] = ()

    def report(self) -> Report:
        self.counts["errors"] = self.findings.errors
        self.counts["warnings"] = self.findings.warnings
        checkpoint = self.witnessed.checkpoint if self.witnessed else Checkpoint("", 0, b"")
        return Report(
            origin=checkpoint.origin,
            size=checkpoint.size,
            time=self.time,
            findings=tuple(self.findings.kept),
            counts=self.counts,
            demands=self.demands,
            addresses=self.addresses,
        )


class _UncleanError(Exception):
    """Undoes what this visit would remember, so that the next one looks again."""


def audit_once(scope: Scope, clock: Clock, findings: Findings | None = None) -> Report:
    """One pass; ``findings``: what was found before it. See :func:`audit`."""
    told = _Told(findings or Findings())
    listing = list_public(scope.public, told.findings) if scope.public is not None else None
    if listing is not None:
        told.counts["public files"] = listing.count
    try:
        policy = Policy.parse(scope.policy_text)
    except InputError as error:
        told.findings.error("tlog-policy", error.message, "without a policy nothing can be judged")
        return told.report()
    _check_policy_file(scope.fetch, policy, told.findings)
    told.witnessed = check_checkpoint(scope.fetch, policy, clock, told.findings)
    if told.witnessed is None:
        return told.report()
    told.time = told.witnessed.time(policy)
    memory = Memory(scope.memory)
    try:
        with contextlib.suppress(_UncleanError), memory.transaction():
            if not _check_log(scope, policy, told.witnessed, memory, listing, told):
                raise _UncleanError
    finally:
        memory.close()
    return told.report()


def _check_log(
    scope: Scope,
    policy: Policy,
    witnessed: Witnessed,
    memory: Memory,
    listing: Listing | None,
    told: _Told,
) -> bool:
    """Read the entries and check what they say; True if that may be remembered."""
    findings, counts = told.findings, told.counts
    edge, _, full = memory.kept()
    fetch = scope.tiles or scope.fetch
    tiles = TileCheck(fetch, listing, edge, full)
    earlier = check_earlier(scope.earlier, policy, witnessed, findings)
    read = read_entries(
        fetch,
        policy,
        witnessed,
        earlier,
        memory,
        tiles,
        findings,
        processes=scope.processes,
        advance=scope.advance,
    )
    if read is None:
        return False
    # Only now are the entries known to be the log's: an altered bundle would blame good tiles,
    # and make the log's entries look void.
    _void(memory, findings)
    for seen in read.differing:
        forked(findings, seen)
    clean = tiles.report(findings)
    kinds = memory.kept()[1]
    counts.update({f"{kind} entries": count for kind, count in kinds.items()})
    counts.update(
        {
            "capsule entries": memory.admitted(),
            "bad entries": memory.void("bad"),
            "repeated entries": memory.void("repeat"),
            "tiles": tiles.count,
        }
    )
    check_region(memory, policy, findings)
    told.addresses = check_residency(memory, policy, findings)
    told.demands = _check_content(scope, memory, listing, findings, counts)
    return clean


def _void(memory: Memory, findings: Findings) -> None:
    for each in memory.findings():
        if each.kind == "bad":
            findings.error(
                f"log entry {each.index}",
                f"is void: {each.text.removeprefix(f'log entry {each.index}: ')}",
                "it has no effect, but the log should never have taken it in: ask the operator",
            )


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
    scope: Scope,
    memory: Memory,
    listing: Listing | None,
    findings: Findings,
    counts: Counter[str],
) -> tuple[Demand, ...]:
    """What the entries say, and the texts, capsules and datasets they speak of."""
    reads = ReadCheck(memory, scope.fetch, findings)
    demands = reads.run()
    wanted, optional = reads.lists()
    wanted |= {("policy", each) for each in memory.documents("policy")}
    wanted |= {("campaign", each) for each in memory.documents("campaign")}
    # Zones may be secret by law: only their digest must be public.
    optional |= {("zones", each) for each in memory.documents("zones")}
    present: set[Named] = listing.named if listing else set()
    counts["texts"] = check_named(scope.fetch, wanted, optional, present, findings)
    if scope.blobs is not None:
        check_blobs(scope.blobs, memory, findings, counts)
        check_verdicts(scope.fetch, scope.blobs, memory, reads, findings)
    for path in scope.datasets:
        counts["datasets checked"] += 1
        check_dataset(path, memory, reads, findings)
    for path in scope.extracts:
        counts["extracts checked"] += check_statements(path, memory, findings)
    return demands
