# SPDX-License-Identifier: Apache-2.0
"""One canonical encoding for what is signed or hashed, and strict readers for what comes in.

Python's own readers are lenient where a signed format must not be: ``int("1_2")``,
``base64`` with stray characters, JSON with a key twice. Two byte strings that mean the same
would let an attacker alter one without breaking a signature, so here each value has one form.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable
from typing import Any

import rfc8785

from incamera.errors import InputError

__all__ = [
    "base64_bytes",
    "base64_text",
    "canonical",
    "decimal",
    "exact_keys",
    "hex_bytes",
    "is_version",
    "parse_canonical",
    "parse_json",
]

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_MAX_INT = 2**63 - 1
_MAX_EXACT = 2**53 - 1
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def canonical(value: Any) -> bytes:
    """JSON in the one form of RFC 8785 (JCS)."""
    try:
        return _dump(value) if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as error:
        # A lone surrogate in a key and deep nesting leave the library as themselves.
        raise InputError(f"not representable as canonical JSON: {error}") from error


def _is_plain(value: Any) -> bool:
    """True if Python's own encoder writes ``value`` as RFC 8785 does, only 6 times as fast.

    ASCII text sorts the same by code point and by UTF-16 unit; both escape the same characters.
    Floats, large integers and whatever is not plain JSON are the library's to judge.
    """
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(-_MAX_EXACT <= value <= _MAX_EXACT)
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_plain(value[key]) for key in value)
    if kind in (list, tuple):
        return all(map(_is_plain, value))
    return value is None or kind is bool


def _dump(value: Any) -> bytes:
    return _ENCODER.encode(value).encode("ascii")


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("a key stands twice")
    return keys


def is_version(value: object, known: int) -> bool:
    """True if ``value`` is the number ``known``: Python takes ``true`` and 1.0 for 1."""
    return type(value) is int and value == known


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_LOOSE = (b"\\", b" ", b"\n", b"\r", b"\t")
"""Where none of these stands, every string and literal of ASCII JSON has one form."""


def _in_order(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs) or list(keys) != sorted(keys):
        raise ValueError("a key stands twice, or out of order")
    return keys


def _exact(digits: str) -> int:
    number = int(digits)
    if digits == "-0" or not -_MAX_EXACT <= number <= _MAX_EXACT:
        raise ValueError("an integer that RFC 8785 does not write so")
    return number


_PLAIN = json.JSONDecoder(
    object_pairs_hook=_in_order,
    parse_int=_exact,
    parse_float=_no_constant,
    parse_constant=_no_constant,
)
"""Where nothing of :data:`_LOOSE` stands, it reads canonical JSON and nothing else."""


def parse_json(data: bytes, where: str) -> Any:
    """Strict JSON: UTF-8, no key twice, no NaN or infinity. Errors name ``where``."""
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=_no_twice, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid JSON: {error}") from error


def parse_canonical(data: bytes, where: str) -> Any:
    """JSON that must already be in canonical form, byte for byte."""
    if not any(each in data for each in _LOOSE):
        try:
            return _PLAIN.decode(data.decode("ascii"))
        except (ValueError, RecursionError):
            pass  # not plain, or not JSON: the slow way decides, and says what is wrong
    value = parse_json(data, where)
    if canonical(value) != data:
        raise InputError(f"{where}: JSON is not in canonical form (RFC 8785)")
    return value


def exact_keys(value: Any, keys: Iterable[str], where: str) -> dict[str, Any]:
    """``value`` if it is an object with exactly ``keys``: an unknown field is refused."""
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object, found {type(value).__name__}")
    wanted = set(keys)
    if value.keys() == wanted:
        return value
    if missing := sorted(wanted - value.keys()):
        raise InputError(f"{where}: missing {', '.join(missing)}")
    unknown = sorted(value.keys() - wanted)
    raise InputError(f"{where}: unknown {', '.join(unknown)[:200]}")


def base64_text(data: bytes) -> str:
    """Standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def base64_bytes(text: object, where: str, length: int | None = None) -> bytes:
    """Strict, canonical base64 (re-encoding gives the same text), of ``length`` bytes if given."""
    try:
        if not isinstance(text, str):
            raise ValueError("not text")
        raw = text.encode("ascii")
        data = binascii.a2b_base64(raw, strict_mode=True)
    except ValueError as error:
        raise InputError(f"{where}: not base64") from error
    if binascii.b2a_base64(data, newline=False) != raw:
        raise InputError(f"{where}: base64 is not canonical")
    if length is not None and len(data) != length:
        raise InputError(f"{where}: expected {length} bytes, found {len(data)}")
    return data


def hex_bytes(text: object, where: str, length: int) -> bytes:
    """``length`` bytes from lower-case hex."""
    if not isinstance(text, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * length}}}", text, re.ASCII):
        raise InputError(f"{where}: expected {2 * length} lower-case hex digits")
    return bytes.fromhex(text)


def decimal(text: str, where: str) -> int:
    """A decimal of 0 to 2**63-1: ASCII digits, no sign, no leading zero, no spaces."""
    if not _DECIMAL.fullmatch(text) or int(text) > _MAX_INT:
        raise InputError(f"{where}: not a decimal number: {text!r:.40}")
    return int(text)
