# SPDX-License-Identifier: Apache-2.0
"""``[operator]`` of a vault: how its operators are known, beside the key that the log names."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path

from incamera.errors import InputError, UnavailableError
from incamera.service.toml import Table, parse_listen

__all__ = ["Desk", "OperatorSettings", "read_tokens"]

_LINE = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Desk:
    """The operators' own address: who connects there shows a certificate of ``ca``."""

    host: str
    port: int
    certificate: Path
    key: Path
    ca: Path


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Either, both or none."""

    tokens: Path | None = None  # file: SHA-256 of each token, a line
    desk: Desk | None = None

    @classmethod
    def take(cls, table: Table) -> OperatorSettings:
        """From ``tokens``, and from ``listen``, ``certificate``, ``key`` and ``ca``."""
        told = table.optional_table("operator")
        tokens, desk = told.optional_file("tokens"), None
        if tokens is not None:
            read_tokens(tokens)
        if told.names():
            host, port = parse_listen(told.text("listen"), told.where("listen"))
            files = (told.file("certificate"), told.file("key"), told.file("ca"))
            desk = Desk(host, port, *files)
        told.done()
        return cls(tokens, desk)


def read_tokens(path: Path) -> list[bytes]:
    """The digests (32 bytes) in the file at ``path``; a comment begins with ``#``.

    :class:`InputError` for another line, or if others may write the file.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{path}: cannot read the operators' tokens: {error}") from error
    if mode & 0o022:
        raise InputError(
            f"{path}: other users may write the operators' tokens (mode {mode:04o})",
            hint=f"chmod 600 {path}",
        )
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip().removesuffix(" -").strip()  # as sha256sum has it
        if text and not _LINE.fullmatch(text):
            raise InputError(
                f"{path}, line {number}: not a SHA-256 digest of a token",
                hint="printf %s TOKEN | sha256sum",
            )
        if text:
            found.append(bytes.fromhex(text))
    return found
