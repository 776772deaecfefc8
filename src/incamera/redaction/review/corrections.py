# SPDX-License-Identifier: Apache-2.0
"""What a person corrected, as the review page saves it: ``corrections.json``, read strictly.

``docs/review.md`` has the format. It is bound to the digests of the films and to the models and
thresholds that looked at them: corrections of another film would uncover the wrong boxes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from incamera.encoding import canonical, exact_keys, hex_bytes, parse_json
from incamera.errors import InputError
from incamera.ids import Digest, digest
from incamera.redaction.review.course import Course, Key

__all__ = ["VERSION", "Corrections", "Mark", "parse_corrections", "read_corrections"]

VERSION = 1
_KEYS = ("version", "settings", "sources", "remove", "add")
_MARK_KEYS = ("source", "kind", "boxes")
_BOX_KEYS = ("frame", "x", "y", "w", "h")
_LONGEST = 64 << 20  # bytes of a file: a million boxes
_FURTHEST = float(1 << 20)  # pixels, and frames times a thousand: no film is larger
_MOST_FRAMES = 1 << 31


@dataclass(frozen=True, slots=True)
class Mark:
    """One face or plate through a run of frames of one file."""

    source: str  # as the report names it
    kind: Literal["face", "plate"]
    course: Course


@dataclass(frozen=True, slots=True)
class Corrections:
    """Boxes to take away from what was found, and boxes to add to it."""

    settings: Digest  # of the models and thresholds of the run that was reviewed
    sources: Mapping[str, Digest]  # every file that was reviewed
    remove: tuple[Mark, ...]
    add: tuple[Mark, ...]
    digest: Digest  # of the canonical form: the same corrections have the same


def read_corrections(path: Path) -> Corrections:
    """The corrections at ``path``; :class:`InputError` if they are not exactly in the format."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as error:
        raise InputError(
            f"{path}: cannot read: {error.strerror}",
            hint="name the corrections.json that the review page saved",
        ) from error
    if len(data) > _LONGEST:
        raise InputError(f"{path}: too large for corrections")
    return parse_corrections(data, str(path))


def parse_corrections(data: bytes, where: str) -> Corrections:
    """As :func:`read_corrections`, from bytes; errors name ``where``."""
    value = exact_keys(parse_json(data, where), _KEYS, where)
    if type(value["version"]) is not int or value["version"] != VERSION:
        raise InputError(f"{where}: version must be {VERSION}")
    sources = _sources(value["sources"], where)
    return Corrections(
        settings=_digest(value["settings"], f"{where}: settings"),
        sources=sources,
        remove=_marks(value["remove"], sources, f"{where}: remove"),
        add=_marks(value["add"], sources, f"{where}: add"),
        digest=digest(canonical(_plain(value))),
    )


def _plain(value: Any) -> Any:
    """``value`` with names as their bytes in hex: names need not be Unicode, RFC 8785 must be."""
    named = {_hex(name): said for name, said in value["sources"].items()}
    marks = {
        way: [{**mark, "source": _hex(mark["source"])} for mark in value[way]]
        for way in ("remove", "add")
    }
    return {**value, "sources": named, **marks}


def _hex(name: str) -> str:
    return name.encode("utf-8", "surrogatepass").hex()


def _digest(value: Any, where: str) -> Digest:
    return Digest(hex_bytes(value, where, 32).hex())


def _sources(value: Any, where: str) -> dict[str, Digest]:
    if not isinstance(value, dict) or not value:
        raise InputError(f"{where}: sources must name the files that were reviewed")
    return {name: _digest(said, f"{where}: sources: {name!r:.80}") for name, said in value.items()}


def _marks(value: Any, sources: Mapping[str, Digest], where: str) -> tuple[Mark, ...]:
    if not isinstance(value, list):
        raise InputError(f"{where} must be a list")
    return tuple(_mark(each, sources, f"{where}[{i}]") for i, each in enumerate(value))


def _mark(value: Any, sources: Mapping[str, Digest], where: str) -> Mark:
    value = exact_keys(value, _MARK_KEYS, where)
    if not isinstance(value["source"], str) or value["source"] not in sources:
        raise InputError(f"{where}: its source is not among the sources")
    if value["kind"] not in ("face", "plate"):
        raise InputError(f"{where}: kind must be face or plate")
    if not isinstance(value["boxes"], list) or not value["boxes"]:
        raise InputError(f"{where}: boxes must be a list of one at least")
    keys = tuple(_key(each, f"{where}.boxes[{i}]") for i, each in enumerate(value["boxes"]))
    if any(a.frame >= b.frame for a, b in itertools.pairwise(keys)):
        raise InputError(f"{where}: boxes must be in order of their frames, no frame twice")
    return Mark(value["source"], value["kind"], Course(keys))


def _key(value: Any, where: str) -> Key:
    value = exact_keys(value, _BOX_KEYS, where)
    frame = value["frame"]
    if type(frame) is not int or not 0 <= frame < _MOST_FRAMES:
        raise InputError(f"{where}: frame must be a whole number from 0 up")
    x, y, w, h = (_number(value[key], f"{where}: {key}") for key in ("x", "y", "w", "h"))
    if w <= 0 or h <= 0:
        raise InputError(f"{where}: an empty box")
    return Key(frame, x, y, w, h)


def _number(value: Any, where: str) -> float:
    if type(value) not in {int, float} or not math.isfinite(value) or abs(value) > _FURTHEST:
        raise InputError(f"{where} must be a number of pixels")
    return float(value)
