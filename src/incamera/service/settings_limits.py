# SPDX-License-Identifier: Apache-2.0
"""``[limits]`` of a vault: how much of it one car, or one enrolled party, may use."""

from __future__ import annotations

from dataclasses import dataclass

from incamera.service.toml import Table

__all__ = ["LimitSettings"]

_GIB = 1 << 30
_MOST = 1 << 50


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """Windows slide: an hour is the last hour, not the one on the clock."""

    capsules_per_hour: int = 240
    capsules_per_day: int = 1_000
    bytes_per_hour: int = 16 * _GIB
    bytes_per_day: int = 64 * _GIB
    uploads: int = 8  # of one car, begun and not ended
    upload_days: int = 7  # that an upload may rest
    upload_space: int = 256 * _GIB  # bytes of all that were begun
    texts_per_hour: int = 120  # beside the log, of one party
    text_bytes_per_day: int = _GIB // 4

    @classmethod
    def take(cls, table: Table) -> LimitSettings:
        """From ``[limits]``; each key is optional."""
        limits = table.optional_table("limits")
        plain = cls()
        found = {
            name: limits.number(name, getattr(plain, name), 1, _MOST) for name in cls.__slots__
        }
        limits.done()
        return cls(**found)
