# SPDX-License-Identifier: Apache-2.0
"""What became of what was recorded together, in a sentence: above all, why there is no clip."""

from __future__ import annotations

from incamera.ingest import Summary

__all__ = ["outcome_of"]

_DROPPED = {
    "zone": "near a forbidden zone",
    "no fix": "without a position",
    "stale fix": "with positions too far apart",
    "jump": "with positions that jump",
    "trip end": "near the end of a trip",
    "too short": "in pieces too short to keep",
}
_FAULTS = 2
"""Faults that are named; of more, how many there are."""


def outcome_of(summary: Summary) -> str:
    """One sentence for the owner."""
    parts = [_clips(summary)]
    if summary.dropped_s:
        dropped = sorted(summary.dropped_s.items())
        said = ", ".join(f"{seconds:.0f} s {_DROPPED.get(why, why)}" for why, seconds in dropped)
        parts.append(f"dropped: {said}")
    parts += [fault.message for fault in summary.faults[:_FAULTS]]
    if len(summary.faults) > _FAULTS:
        parts.append(f"and {len(summary.faults) - _FAULTS} more faults")
    return "; ".join(parts)


def _clips(summary: Summary) -> str:
    if summary.kept:
        made = summary.sealed + summary.already
        more = f", {summary.kept - made} could not be made" if made < summary.kept else ""
        clips = "1 clip" if summary.kept == 1 else f"{summary.kept} clips"
        return f"{clips}, {summary.kept_s:.0f} s{more}"
    if not summary.recorded_s:
        return "no clip: nothing in it could be read"
    if not summary.selected_s:
        return f"no clip: no trigger of the campaign fell into its {summary.recorded_s:.0f} s"
    return "no clip: of what triggers chose nothing may leave the car"
