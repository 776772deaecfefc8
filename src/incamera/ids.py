# SPDX-License-Identifier: Apache-2.0
"""Names of things, as types: a digest is not a region is not a reader."""

from __future__ import annotations

import hashlib
import re
from typing import NewType

from incamera.errors import InputError

__all__ = ["Digest", "Name", "Region", "digest", "parse_digest", "parse_name"]

Digest = NewType("Digest", str)
"""SHA-256 as 64 lower-case hex digits."""

Region = NewType("Region", str)
"""A legal region: ``eu``, ``cn``, ``us`` ..."""

Name = NewType("Name", str)
"""The short name of a party in its region: lower-case letters, digits, ``-``."""

_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?", re.ASCII)


def digest(data: bytes) -> Digest:
    """SHA-256 of ``data``."""
    return Digest(hashlib.sha256(data).hexdigest())


def parse_digest(text: object, where: str) -> Digest:
    """``text`` if it is 64 lower-case hex digits, else :class:`InputError` naming ``where``."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise InputError(f"{where}: not a SHA-256 digest of 64 lower-case hex digits: {text!r:.80}")
    return Digest(text)


def parse_name(text: object, where: str) -> Name:
    """``text`` if it may name a party or region (1-48 of ``a-z 0-9 -``)."""
    if not isinstance(text, str) or not _NAME.fullmatch(text):
        raise InputError(
            f"{where}: not a name: {text!r:.80}",
            hint="use 1 to 48 lower-case letters, digits and '-', not at an end",
        )
    return Name(text)
