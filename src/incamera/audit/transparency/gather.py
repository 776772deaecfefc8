# SPDX-License-Identifier: Apache-2.0
"""From a state that followed the log to the figures of the report."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from incamera.audit.residency import told_addresses
from incamera.audit.transparency.model import (
    Case,
    Erasures,
    Fate,
    Health,
    Read,
    Refusal,
    Request,
    Transparency,
)
from incamera.audit.transparency.trustees import trustees
from incamera.ledger.entries import CapsuleList, RegionEntry
from incamera.ledger.queries import Queries
from incamera.ledger.rows import Requested
from incamera.tlog.policy import Policy, Witnessed

__all__ = ["gather"]


def gather(state: Queries, policy: Policy, seen: Sequence[Witnessed], *, now: int) -> Transparency:
    """The report of what ``state`` has read.

    ``seen``: the checkpoint it stands under (empty before the first); ``now``: the reporter's
    clock, POSIX seconds.
    """
    region = state.region
    requests = tuple(_request(state, each, region) for each in state.requests())
    return Transparency(
        region=region.region if region else "",
        origin=seen[-1].checkpoint.origin if seen else "",
        size=state.size,
        made=now,
        threshold=region.threshold if region else 0,
        requests=requests,
        reads=_reads(requests),
        refusals=_refusals(state),
        demands=_demands(state),
        erasures=_erasures(state),
        trustees=trustees(state, requests),
        successions=tuple(_successions(state)),
        health=_health(state, policy, seen[-1].times if seen else {}),
        addresses=tuple(told_addresses(state)),
    )


def _request(state: Queries, asked: Requested, region: RegionEntry | None) -> Request:
    entry = asked.entry
    reader = state.party_at("reader", entry.reader, asked.index)
    granted = tuple(sorted({each.trustee for each in state.grants(asked.leaf)}))
    refused = {each.trustee: each.code for each in state.refusals(asked.leaf)}
    for name in granted:
        refused.pop(name, None)  # it refused first, for the notice period say, and granted later
    named = entry.capsules
    # Whoever came later holds no share of it, or says so by granting.
    able = [
        each.name
        for each in state.parties("trustee")
        if each.name not in refused and state.party_at("trustee", each.name, asked.index)
    ]
    threshold = region.threshold if region else 1
    fate: Fate = "expired" if state.time >= entry.expires else "waiting"
    if len(granted) >= threshold:
        fate = "granted"
    elif refused and len(able) < threshold:
        fate = "refused"
    return Request(
        index=asked.index,
        leaf=asked.leaf,
        reader=entry.reader,
        kind=reader.kind if reader else "unknown",
        country=reader.country if reader else "",
        purpose=entry.purpose,
        time=entry.time,
        capsules=named.count if isinstance(named, CapsuleList) else len(named),
        fate=fate,
        granted=granted,
        refused=tuple(sorted(refused.items())),
        datasets=sum(1 for _ in state.datasets(asked.leaf)),
    )


def _reads(requests: Sequence[Request]) -> tuple[Read, ...]:
    groups: dict[tuple[str, str, str, str], list[Request]] = defaultdict(list)
    for each in requests:
        groups[each.reader, each.kind, each.country, each.purpose].append(each)
    reads = []
    for who, asked in sorted(groups.items()):
        fates = Counter(each.fate for each in asked)
        reads.append(
            Read(
                *who,
                requests=len(asked),
                granted=fates["granted"],
                refused=fates["refused"],
                open=fates["waiting"] + fates["expired"],
                asked=sum(each.capsules for each in asked),
                readable=sum(each.capsules for each in asked if each.fate == "granted"),
                datasets=sum(each.datasets for each in asked),
            )
        )
    return tuple(reads)


def _refusals(state: Queries) -> tuple[Refusal, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    words: dict[tuple[str, str], str] = {}
    for each in state.refusals():
        counts[each.trustee, each.code] += 1
        words[each.trustee, each.code] = each.reason
    return tuple(Refusal(*key, count, words[key]) for key, count in sorted(counts.items()))


def _demands(state: Queries) -> tuple[Case, ...]:
    cases = defaultdict(list)
    for each in state.demands():
        cases[each.entry.reference].append(each)
    found = []
    for reference, steps in cases.items():
        last = steps[-1].entry
        found.append(
            Case(
                reference=reference,
                authority=last.authority,
                country=last.country,
                date=last.date,
                scopes=tuple(dict.fromkeys(step.entry.scope for step in steps)),
                outcome=last.outcome,
                history=tuple((s.index, s.entry.time, s.entry.outcome) for s in steps),
            )
        )
    return tuple(found)


def _erasures(state: Queries) -> Erasures:
    by = Counter(each.by for each in state.erasures())
    ended = Counter(each.kind for each in state.withdrawals())
    return Erasures(
        admitted=sum(1 for _ in state.capsules()),
        by_owners=by["owner"],
        by_operator=by["operator"],
        by_vault=by["vault"],
        consents=ended["consent"],
        cars=ended["car"],
    )


def _successions(state: Queries) -> list[str]:
    """One sentence for each."""
    told = []
    for each in state.successions():
        entry = each.entry
        dealt = ", ".join(step.trustee for step in state.reshared(entry.number)) or "nobody"
        taken = ", ".join(step.trustee for step in state.accepted(entry.number)) or "nobody"
        told.append(
            f"succession {entry.number} (log entry {each.index}): {entry.capsules.count} capsules "
            f"pass to {', '.join(seat.trustee for seat in entry.seats)}, {entry.threshold} of whom "
            f"can open; dealt by {dealt}; taken over by {taken}"
        )
    return told


def _health(state: Queries, policy: Policy, times: Mapping[str, int]) -> Health:
    kinds: Counter[str] = Counter()
    first = ""
    for each in state.findings():
        kinds[each.kind] += 1
        if each.kind == "bad" and not first:
            first = each.text
    return Health(
        witnessed=state.time,
        cosigned=tuple(sorted(times.items())),
        missing=tuple(sorted(set(policy.witnesses) - set(times))),
        void=kinds["bad"],
        repeated=kinds["repeat"],
        first_void=first,
        forks=tuple(dict.fromkeys(each.evidence for each in state.freezes())),
    )
