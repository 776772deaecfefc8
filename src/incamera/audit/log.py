# SPDX-License-Identifier: Apache-2.0
"""What a log shows first: its checkpoint, what was seen of it before, and who founded it."""

from __future__ import annotations

from collections.abc import Sequence

from incamera.audit.reading import forked
from incamera.audit.report import Findings
from incamera.clock import Clock
from incamera.errors import Error, IntegrityError
from incamera.ids import digest
from incamera.ledger.state import State
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch
from incamera.tlog.policy import Policy, Witnessed

__all__ = ["check_checkpoint", "check_earlier", "check_region"]

_FRESH = 3_600  # seconds; what trustees ask for
_AHEAD = 30


def check_checkpoint(
    fetch: Fetch, policy: Policy, clock: Clock, findings: Findings
) -> Witnessed | None:
    """The published checkpoint; None (and an error) if it does not hold."""
    try:
        witnessed = policy.check(fetch("checkpoint"))
    except Error as error:
        findings.error(
            "checkpoint",
            f"does not hold: {error.message}",
            error.hint or "what this log shows now must not be relied on",
        )
        return None
    if witnessed.unknown:
        findings.error(
            "checkpoint",
            f"{witnessed.unknown} signature lines are by keys that the policy does not name",
            "a line was altered, or somebody signs here who is not listed: fetch it again",
        )
    now = clock.now()
    age = now - witnessed.time(policy)
    if age > _FRESH:
        findings.warning(
            "checkpoint",
            f"stale: last cosigned {age} seconds ago, so there may be newer entries",
            "trustees refuse one older than an hour: fetch it anew, or have it cosigned again",
        )
    elif age < -_AHEAD:
        findings.warning(
            "checkpoint",
            f"cosigned {-age} seconds in the future, by your clock",
            "set this machine's clock right, or ask the witnesses about theirs",
        )
    _check_witnesses(policy, witnessed, now, findings)
    return witnessed


def _check_witnesses(policy: Policy, witnessed: Witnessed, now: int, findings: Findings) -> None:
    """The quorum is met, but each witness that keeps away makes it easier to deceive the rest."""
    latest = max(witnessed.times.values(), default=now)
    for name in sorted(policy.witnesses):
        at = witnessed.times.get(name)
        if at is None:
            what = "did not cosign this checkpoint"
        elif latest - at > _FRESH:
            what = f"cosigned it {latest - at} seconds before the last one did"
        else:
            continue
        findings.warning(
            f"witness {name}",
            what,
            "the quorum holds without it; if it stays away, ask it, or the operator, why",
        )


def check_earlier(
    notes: Sequence[bytes], policy: Policy, witnessed: Witnessed, findings: Findings
) -> dict[int, Checkpoint]:
    """The checkpoints in ``notes``, seen before or elsewhere, by size, for the reading.

    One that is larger than what the log now shows, or a second root for one size, is an error.
    """
    earlier = {witnessed.checkpoint.size: witnessed.checkpoint}
    for number, note in enumerate(notes, 1):
        where = f"earlier checkpoint {number}"
        try:
            seen = policy.check(note, where).checkpoint
        except IntegrityError as error:
            findings.warning(where, error.message, "it proves nothing, so it was left out")
            continue
        if seen.size > witnessed.checkpoint.size:
            findings.error(
                where,
                f"has {seen.size} entries, but the log now shows {witnessed.checkpoint.size}",
                "the log went back: keep that note, and ask where the entries are",
                note.decode("utf-8"),
            )
        elif earlier.setdefault(seen.size, seen) != seen:
            forked(findings, seen)
    return earlier


def check_region(state: State, policy: Policy, findings: Findings) -> None:
    """Entry 0 founds the region and pins the policy this audit judges by."""
    region = state.region
    if region is None:
        findings.error(
            "log entry 0",
            "does not found a region, so no entry of this log counts",
            "this is not an incamera log, or its first entry was never right",
        )
    elif region.log_policy != digest(policy.text):
        findings.error(
            "tlog-policy",
            "is not the policy that the region was founded under",
            "witnesses or quorum were changed silently: get the original policy",
            f"entry 0 names {region.log_policy}, this one is {digest(policy.text)}",
        )
