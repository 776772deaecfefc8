# SPDX-License-Identifier: Apache-2.0
"""All targets, by name."""

from __future__ import annotations

from fuzz import ledger_parsers, sealing_parsers, talk_parsers, tlog_parsers

__all__ = ["TARGETS"]

TARGETS = {
    each.name: each
    for each in (
        *tlog_parsers.TARGETS,
        *sealing_parsers.TARGETS,
        *ledger_parsers.TARGETS,
        *talk_parsers.TARGETS,
    )
}
