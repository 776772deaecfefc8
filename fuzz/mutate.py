# SPDX-License-Identifier: Apache-2.0
"""Mutations that know a little of what they mutate: bytes, lines of text, JSON, and base64 in both.

All is decided by the ``Random`` handed in, so a batch of inputs can be made again.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random
from typing import Any

import rfc8785

from fuzz.target import Shape

__all__ = ["mutate"]

_LARGEST = 1 << 18
_NUMBERS = (
    b"0", b"1", b"00", b"01", b"-1", b"+1", b"1_0", b" 1", b"1.0", b"1e3", b"255", b"256", b"65535",
    b"65536", b"4294967296", b"9007199254740991", b"9007199254740993", b"9223372036854775807",
    b"9223372036854775808", b"18446744073709551616", b"9" * 5000,
    "\uff11\uff12".encode(), "\u0663".encode(),
)  # fmt: skip
_SCRAPS = (
    b"", b"\n", b"\n\n", b"\r\n", b" ", b"\t", b"\0", b"\x7f", b"\x80", b"\xff\xfe", b"+", b"=",
    b"==", b"/", b"..", b"#", b"\\", b'"', b"[", b"{", b"}", b"]", b"null", b"NaN", "—".encode(),
    "\u2028".encode(), "\u0085".encode(), "\u00a0".encode(), "e\u0301".encode(),
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"old 0", b"none", b"all", b"quorum none",
    b"extra AA==", b"index 0", b"/../", b"x000/000",
)  # fmt: skip
_TEXTS = (
    "", "../x", "/x", "a/..", "a/../..", "a//b", ".", "\\", "a\n", "\x1b[2J", "A", "-", "é",
    "\u202e", "a" * 300, "0" * 64, "F" * 64, "1", "true", "2026-02-30", "2026-11-22T24",
)  # fmt: skip
_ALONE = re.compile(rb"(?<![0-9A-Za-z+/=.-])[0-9]{1,19}(?![0-9A-Za-z+/=])")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 2**31, 2**53 - 1, 2**53, 2**63, 10**400, 1.0, 0.5, -0.0, 1e300,
    float("inf"), "", "a", "A", "-", "0", "eu", "\n", "\0", "\x7f", "é", "\ud800", "\u2028", "𝄞",
    "a" * 50, "0" * 64, "f" * 64, "F" * 64, "AA==", "AB==", "A===", "2026-02-30", "2026-11-22T24",
    "../x", "a/../b", "/", ".", [], {}, [[]], [{}], {"": 0}, [0] * 600,
)  # fmt: skip


def mutate(data: bytes, shape: Shape, pool: Sequence[bytes], rng: Random) -> bytes:
    """``data`` changed in one to three places; now and then grown large, or nested deep."""
    for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3))):
        data = _once(data, shape, pool, rng)
    if rng.random() < 0.001:
        data = rng.choice(_GROWN)(data, rng)
    return data[:_LARGEST]


def _once(data: bytes, shape: Shape, pool: Sequence[bytes], rng: Random) -> bytes:
    dice = rng.random()
    if shape == "json" and dice < 0.85:
        return _json(data, pool, rng)
    if shape == "lines" and dice < 0.7:
        return _lines(data, pool, rng)
    return rng.choice(_BYTES)(data, pool, rng)


# Bytes


def _place(data: bytes, rng: Random) -> int:
    return rng.randrange(len(data) + 1)


def _flip(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << rng.randrange(8),)) + data[at + 1 :]


def _overwrite(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    at, new = _place(data, rng), rng.randbytes(rng.choice((1, 1, 2, 4, 8)))
    return data[:at] + new + data[at + len(new) :]


def _length(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    """A big-endian number where a length may stand."""
    at, size = _place(data, rng), rng.choice((1, 2, 4, 8))
    number = rng.choice((0, 1, 2, 255, 256, len(data), len(data) - at, rng.getrandbits(8 * size)))
    return data[:at] + (number % (1 << 8 * size)).to_bytes(size, "big") + data[at + size :]


def _insert(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.choice(rng.choice((_SCRAPS, _NUMBERS))) + data[at:]


def _cut(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 1, 2, 8, 32, 1000)) :]


def _end(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    return data[: _place(data, rng)]


def _repeat(data: bytes, _: Sequence[bytes], rng: Random) -> bytes:
    at = _place(data, rng)
    return data[: at + rng.choice((1, 2, 32, 256))] + data[at:]


def _splice(data: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    other = rng.choice(pool)
    return data[: _place(data, rng)] + other[_place(other, rng) :]


_BYTES = (_flip, _flip, _overwrite, _length, _insert, _cut, _end, _repeat, _splice)


# Lines of words


def _lines(data: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    match rng.randrange(8):
        case 7:
            return _number(data, rng)
        case 0:
            del lines[at]
        case 1:
            lines.insert(at, rng.choice(lines))
        case 2:
            lines.insert(at, rng.choice(rng.choice(pool).split(b"\n")))
        case 3:
            to = rng.randrange(len(lines))
            lines[at], lines[to] = lines[to], lines[at]
        case 4:
            lines.insert(at, rng.choice(_SCRAPS))
        case _:
            lines[at] = _word(lines[at], pool, rng)
    return b"\n".join(lines)


def _number(data: bytes, rng: Random) -> bytes:
    """Another number where one stands alone."""
    found = list(_ALONE.finditer(data))
    if not found:
        return data
    at = rng.choice(found)
    return data[: at.start()] + rng.choice(_NUMBERS) + data[at.end() :]


def _word(line: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    split = rng.choice((b" ", b" ", b"+", b"/"))
    words = line.split(split)
    at = rng.randrange(len(words))
    match rng.randrange(5):
        case 0:
            del words[at]
        case 1:
            words.insert(at, rng.choice(words))
        case 2:
            words[at] = rng.choice(rng.choice((_SCRAPS, _NUMBERS)))
        case 3:
            words[at] = _base64(words[at], pool, rng)
        case _:
            words[at] = rng.choice(_BYTES)(words[at], pool, rng)
    return split.join(words)


def _base64(text: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    """Other bytes in proper base64; or the same bytes in another base64."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return base64.b64encode(rng.randbytes(rng.choice((0, 1, 4, 31, 32, 33, 64, 68, 76))))
    if text and rng.random() < 0.3:
        bare = text.rstrip(b"=")
        odd = bare[:-1] + bytes((rng.choice(b"ABCDEFghij0189+/"),)) + text[len(bare) :]
        return rng.choice((odd, odd, bare, text + b"=", base64.urlsafe_b64encode(data), text[:-1]))
    return base64.b64encode(rng.choice(_BYTES)(data, pool, rng))


# JSON


def _json(data: bytes, pool: Sequence[bytes], rng: Random) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return rng.choice(_BYTES)(data, pool, rng)
    try:
        return _write(_changed(value, pool, rng), rng)
    except RecursionError:  # nested deep by an earlier mutation
        return rng.choice(_BYTES)(data, pool, rng)


def _changed(value: Any, pool: Sequence[bytes], rng: Random) -> Any:
    if isinstance(value, dict) and isinstance(value.get("payload"), str) and rng.random() < 0.8:
        return {**value, "payload": _inside(value["payload"], pool, rng)}
    if rng.random() < 0.5:
        return _tree(value, pool, rng)
    return _at(value, rng.choice(list(_leaves(value))), pool, rng)


def _leaves(value: Any) -> Iterator[tuple[Any, ...]]:
    """The way to each value that is no list and no object: those deep inside count as much."""
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    if not isinstance(value, (dict, list)) or not value:
        yield ()
    for key, item in inner:
        yield from ((key, *way) for way in _leaves(item))


def _at(value: Any, way: tuple[Any, ...], pool: Sequence[bytes], rng: Random) -> Any:
    if not way:
        return _tree(value, pool, rng)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[way[0]] = _at(value[way[0]], way[1:], pool, rng)
    return copy


def _write(value: Any, rng: Random) -> bytes:
    """Nearly always canonical; else as other writers would have it."""
    try:
        if rng.random() < 0.96:
            return rfc8785.dumps(value)
        options: dict[str, Any] = rng.choice(({}, {"indent": 1}, {"sort_keys": True}))
        return json.dumps(value, ensure_ascii=rng.random() < 0.5, **options).encode()
    except (ValueError, RecursionError):  # what has no canonical form, written all the same
        plain = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return plain.encode("utf-8", "surrogatepass")


def _inside(text: str, pool: Sequence[bytes], rng: Random) -> str:
    """What stands in base64, mutated as what it is."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text
    if data.startswith(b"{"):
        data = _json(data, pool, rng)
    elif data.count(b"\n") > 2 and data.isascii() is False:
        data = _lines(data, pool, rng)
    else:
        data = rng.choice(_BYTES)(data, pool, rng)
    return base64.b64encode(data).decode("ascii")


def _tree(value: Any, pool: Sequence[bytes], rng: Random) -> Any:
    """``value`` with something in it changed, on a path that was chosen blindly."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        match rng.randrange(12):
            case 0:
                return {name: item for name, item in value.items() if name != key}
            case 1:
                return {
                    **value,
                    rng.choice(("", "x", "v", "\u00e9", key + "s")): rng.choice(_VALUES),
                }
            case 2:
                return {**value, key: value[rng.choice(list(value))]}
            case _:
                return {**value, key: _tree(value[key], pool, rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        return _items(list(value), pool, rng)
    if isinstance(value, str) and rng.random() < 0.8:
        return rng.choice(_TEXTS) if rng.random() < 0.4 else _text(value, pool, rng)
    if type(value) is int and rng.random() < 0.1:
        return bool(value)
    if type(value) is int and rng.random() < 0.5:
        return value + rng.choice((-1, 1, 256, 2**31, 2**53))
    return rng.choice(_VALUES)


def _items(items: list[Any], pool: Sequence[bytes], rng: Random) -> list[Any]:
    at = rng.randrange(len(items))
    match rng.randrange(6):
        case 0:
            del items[at]
        case 1:
            items.insert(at, rng.choice(items))
        case 2:
            rng.shuffle(items)
        case 3:
            return items * rng.choice((2, 40, 300)) if len(items) < 20 else items[:1]
        case _:
            items[at] = _tree(items[at], pool, rng)
    return items


def _text(text: str, pool: Sequence[bytes], rng: Random) -> str:
    if len(text) > 20 and rng.random() < 0.5:
        return _inside(text, pool, rng)
    data = text.encode("utf-8", "surrogatepass")
    return rng.choice(_BYTES)(data, pool, rng)[:2000].decode("utf-8", "replace")


# Much of it


def _long(data: bytes, rng: Random) -> bytes:
    at = _place(data, rng)
    piece = data[at : at + rng.choice((1, 10, 100))] or b"a"
    return data[:at] + piece * (_LARGEST // len(piece)) + data[at:]


def _deep(data: bytes, rng: Random) -> bytes:
    at, kind = _place(data, rng), rng.choice((b"[", b'{"a":'))
    return data[:at] + kind * 100_000 + data[at:]


_GROWN: tuple[Callable[[bytes, Random], bytes], ...] = (_long, _deep)
