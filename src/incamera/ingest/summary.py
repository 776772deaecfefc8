# SPDX-License-Identifier: Apache-2.0
"""What an ingest did, in counts and seconds, and what it could not do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from incamera.errors import Error, IntegrityError, PolicyError, UnavailableError
from incamera.ids import Digest

__all__ = ["Summary"]

_WORST_FIRST: tuple[type[Error], ...] = (IntegrityError, PolicyError, UnavailableError, Error)


@dataclass(slots=True)
class Summary:
    """Filled while ingest runs. Seconds are of recording, not of work, but for ``stages``."""

    zones: int = 0
    """Polygons, lines and points that were kept away from: 0 says that there were no zones."""
    zones_digest: Digest | None = None
    recordings: int = 0
    recorded_s: float = 0.0
    selected_s: dict[str, float] = field(default_factory=dict)
    """By tag; a span with two tags counts for both."""
    dropped_s: dict[str, float] = field(default_factory=dict)
    """By the geofence's reason."""
    kept: int = 0
    """Clips that triggers and geofence left."""
    kept_s: float = 0.0
    frames: int = 0
    boxes: Counter[str] = field(default_factory=Counter)
    """Destroyed, by kind."""
    sealed: int = 0
    admitted: int = 0
    already: int = 0
    """Clips that an earlier run had finished."""
    waiting: int = 0
    """Capsules that lie in the spool without a receipt."""
    bytes: int = 0
    """Of the capsules admitted."""
    faults: list[Error] = field(default_factory=list)
    """What was left out, and why; everything else went on."""
    stages: dict[str, float] = field(default_factory=dict)
    """Seconds of work by stage."""

    def add(self, where: dict[str, float], key: str, seconds: float) -> None:
        """Count ``seconds`` for ``key``."""
        where[key] = where.get(key, 0.0) + seconds

    def error(self) -> Error | None:
        """The gravest of the faults, as the one to end with; None if all went well."""
        for kind in _WORST_FIRST:
            found = [fault for fault in self.faults if isinstance(fault, kind)]
            if found:
                return self._ending(found[0])
        return None

    def _ending(self, worst: Error) -> Error:
        if len(self.faults) == 1:
            return worst
        message = f"{len(self.faults)} parts could not be ingested; the gravest: {worst.message}"
        return type(worst)(message, hint=worst.hint)

    def to_json(self) -> dict[str, Any]:
        """As plain values, rounded to milliseconds."""

        def seconds(found: dict[str, float]) -> dict[str, float]:
            return {key: round(value, 3) for key, value in sorted(found.items())}

        return {
            "zones": self.zones,
            "zones_digest": self.zones_digest,
            "recordings": self.recordings,
            "recorded_s": round(self.recorded_s, 3),
            "selected_s": seconds(self.selected_s),
            "dropped_s": seconds(self.dropped_s),
            "clips": self.kept,
            "kept_s": round(self.kept_s, 3),
            "frames": self.frames,
            "boxes": {kind: self.boxes[kind] for kind in ("face", "plate")},
            "sealed": self.sealed,
            "admitted": self.admitted,
            "already": self.already,
            "waiting": self.waiting,
            "bytes": self.bytes,
            "faults": [
                {"kind": each.kind, "message": each.message, "hint": each.hint}
                for each in self.faults
            ],
            "stages": seconds(self.stages),
        }
