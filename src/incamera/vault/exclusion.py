# SPDX-License-Identifier: Apache-2.0
"""The exclusion list: what the vault no longer takes in, although nothing else is wrong with it.

A text file, one exclusion a line, ``#`` for comments::

    vehicle  car-7          # sold, the new owner has not consented
    consent  2026-031       # withdrawn
    car      <digest>       # SHA-256 of a car's public key
    model    <digest>       # a detector that turned out to miss faces
    zones    <digest>       # a zone set with a hole in it
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from incamera.errors import InputError, UnavailableError
from incamera.ids import parse_digest
from incamera.sealing.header import Header
from incamera.sealing.keys import key_id

__all__ = ["Exclusions"]

_KINDS = ("car", "consent", "model", "vehicle", "zones")


@dataclass(frozen=True, slots=True)
class Exclusions:
    """Pairs of kind and value."""

    pairs: frozenset[tuple[str, str]] = frozenset()

    @classmethod
    def load(cls, path: Path) -> Exclusions:
        """Read the list; a missing file excludes nothing, an odd line is an :class:`InputError`."""
        try:
            lines = path.read_bytes().decode("utf-8").split("\n")
        except FileNotFoundError:
            return cls()
        except UnicodeDecodeError as error:
            raise InputError(f"{path}: not UTF-8 text") from error
        except OSError as error:
            raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error
        pairs = set()
        for number, line in enumerate(lines, start=1):
            words = line.partition("#")[0].split()
            if words:
                pairs.add(_pair(words, f"{path}, line {number}"))
        return cls(frozenset(pairs))

    def hit(self, header: Header) -> str | None:
        """What of ``header`` is excluded, in words, or None."""
        said = {
            ("vehicle", str(header.vehicle)),
            ("consent", header.consent),
            ("car", str(key_id(header.car_key))),
            ("zones", str(header.zones)),
            *(("model", str(model)) for model in header.models),
        }
        found = sorted(self.pairs & said)
        return " ".join(found[0]) if found else None


def _pair(words: list[str], where: str) -> tuple[str, str]:
    if len(words) != 2 or words[0] not in _KINDS:
        raise InputError(f"{where}: expected one of {', '.join(_KINDS)} and a value")
    if words[0] in ("car", "model", "zones"):
        parse_digest(words[1], where)
    return words[0], words[1]
