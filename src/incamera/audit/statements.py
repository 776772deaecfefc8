# SPDX-License-Identifier: Apache-2.0
"""What a vault told a car, held against the log: its signed extracts must leave nothing out."""

from __future__ import annotations

from pathlib import Path

from incamera.audit.memory import Memory
from incamera.audit.report import Findings
from incamera.errors import Error
from incamera.ledger.extract import Statement, open_statement

__all__ = ["check_statements"]

_LONGEST = 1 << 28
_MANY = 1 << 40


def check_statements(path: Path, memory: Memory, findings: Findings) -> int:
    """Check each line of a car's ``extracts.jsonl``; how many there are.

    A torn last line, of a car that lost its power, is nobody's statement.
    """
    try:
        if path.stat().st_size > _LONGEST:
            findings.error(str(path), "is too long for a car's extracts", "hand in that file")
            return 0
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        findings.error(str(path), f"cannot be read: {error.strerror}", "hand in that file")
        return 0
    whole = [(number, line) for number, line in enumerate(lines[:-1], 1) if line]
    for number, line in whole:
        _check(line, f"{path}: line {number}", memory, findings)
    return len(whole)


def _check(line: bytes, where: str, memory: Memory, findings: Findings) -> None:
    region = memory.region
    try:
        said, envelope = open_statement(line, where)
        if region is None or region.region != said.region:
            findings.error(where, "is of another region", "hand in what is of this log")
            return
        envelope.verify(region.vault_key)
    except Error as error:
        findings.error(where, f"is no statement of this vault: {error.message}", "ask the car")
        return
    if said.size > memory.applied:
        findings.error(
            where,
            f"is of a log of {said.size} entries, and this one has {memory.applied}",
            "read a newer copy; if there is none, the log went back, or the vault invented one",
        )
        return
    for index in _left_out(said, memory):
        findings.error(
            where,
            f"the vault left out log entry {index}, which concerns car {said.car}",
            "it signed that there was none: the car did not know what it had to",
            str(index),
        )


def _left_out(said: Statement, memory: Memory) -> list[int]:
    wanted = memory.concerning(
        *(said.car, said.owner, said.since, said.size), founded=0, count=_MANY
    )
    return sorted(set(wanted) - set(said.indices))
