# SPDX-License-Identifier: Apache-2.0
"""The parsers of capsules, envelopes and key files."""

from __future__ import annotations

import atexit
import functools
import io
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import rfc8785

from fuzz import world
from fuzz.target import Target, law
from fuzz.world import hash_of, opening, signing
from incamera.encoding import base64_text, canonical, parse_json
from incamera.errors import Error
from incamera.ids import Name, Region
from incamera.sealing.capsule import read_capsule
from incamera.sealing.envelope import open_envelope, seal_envelope
from incamera.sealing.header import Header, open_header
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.sealing.seal import Facts, Recipients, Trustee, seal
from incamera.tlog import keys

__all__ = ["TARGETS"]

_FACTS = Facts(
    region=Region("eu"),
    vehicle=Name("car-7"),
    hour="2026-11-22T08",
    duration=30,
    cameras=[Name("back"), Name("front")],
    tags=[Name("hard-brake")],
    consent="consent-1",
    purposes=[Name("perception")],
    policy=hash_of("policy"),
    report=hash_of("report"),
    models=[hash_of("model")],
    zones=hash_of("zones"),
    expires=world.NOW,
)


@functools.cache
def folder() -> Path:
    """Where inputs that are files lie for a moment: in memory, where there is such a place."""
    memory = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made there
    made = Path(tempfile.mkdtemp(prefix="incamera-fuzz-", dir=memory if memory.is_dir() else None))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def file_of(data: bytes) -> Path:
    """``data`` as a private file."""
    path = folder() / "input"
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


@functools.cache
def capsules() -> Sequence[bytes]:
    """Two capsules, whole files: to two trustees and to three."""
    found = []
    for names in (("ch", "is"), ("ch", "is", "uy")):
        trustees = [Trustee(Name(name), 4, opening(name).public) for name in names]
        to = Recipients(trustees, 2, opening("owner").public)
        path = folder() / "seed.capsule"
        seal(io.BytesIO(b"clip"), path, facts=_FACTS, recipients=to, car=signing("car"))
        found.append(path.read_bytes())
        path.unlink()
    return found


@functools.cache
def headers() -> Sequence[bytes]:
    """The signed headers of :func:`capsules`."""
    return [read_capsule(file_of(data)).envelope for data in capsules()]


def _capsule(data: bytes) -> None:
    capsule = read_capsule(file_of(data))
    capsule.verify_stored()
    law(b"".join(capsule.pieces()) == data, "another file")


def _header(data: bytes) -> None:
    header = open_header(data, "header")
    law(header.serialise() == open_envelope(data, "header").payload, "another header")
    header.context()
    header.owner_info()
    for index in range(1, len(header.shares) + 1):
        header.share_info(index)


def _payloads() -> Sequence[bytes]:
    return [open_envelope(each, "seed").payload for each in headers()]


def _payload(data: bytes) -> None:
    header = Header.parse(data)
    law(header.serialise() == data, "another header")
    numbers = [header.duration, header.expires, header.threshold, header.payload.length]
    law({int} >= {type(each) for each in numbers}, "a number that is none")
    for names in (header.cameras, header.tags, header.purposes, header.models):
        law(list(names) == sorted(set(names)), "a list in disorder")


def _envelope(data: bytes) -> None:
    found = open_envelope(data, "envelope")
    signed = {"keyid": found.key_id, "sig": base64_text(found.signature)}
    said: Any = {
        "payload": base64_text(found.payload),
        "payloadType": found.payload_type,
        "signatures": [signed],
    }
    law(rfc8785.dumps(said) == data, "another envelope")
    try:
        found.verify(signing("car").public)
    except Error:
        return
    anew = seal_envelope(found.payload, found.payload_type, signing("car"))
    law(anew == data, "a second signature of one key over one payload")


def _envelopes() -> Sequence[bytes]:
    return [seal_envelope(each, "text/x", signing("car")) for each in (b"", b"{}", b"\xff" * 300)]


def _json(data: bytes) -> None:
    """The quick reader and writer of canonical JSON against the library's."""
    value = parse_json(data, "json")
    try:
        mine: bytes | None = canonical(value)
    except Error:
        mine = None
    try:
        theirs: bytes | None = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        theirs = None
    law(mine == theirs, f"another canonical form: {mine!r:.60} and {theirs!r:.60}")
    if mine is not None:
        law(canonical(parse_json(mine, "again")) == mine, "not a fixed point")


def _jsons() -> Sequence[bytes]:
    values: list[Any] = [
        {"a": [1, -5, 2.5, 1e21, None, True, 'é\u2028\\"\x1f'], "é": {}, "b": [], "\ufb33": "𝄞"},
        [2**53 - 1, -(2**53) + 1, 0.000001, 1e-7, ""],
    ]
    return [*map(rfc8785.dumps, values), *_payloads()]


def _saved(key: Any, save: Callable[[Path, Any], None]) -> bytes:
    path = folder() / "saved"
    path.unlink(missing_ok=True)
    save(path, key)
    data = path.read_bytes()
    path.unlink()
    return data


def _key_file(load: Callable[[Path], Any], save: Callable[[Path, Any], None]) -> Any:
    def check(data: bytes) -> None:
        # The Go tools write their key files without a newline.
        law(_saved(load(file_of(data)), save) in {data, data + b"\n"}, "another key file")

    return check


def _save(path: Path, key: SigningKey | OpeningKey) -> None:
    key.save(path)


def _resign_header(data: bytes, rng: Random) -> bytes:
    return data if rng.random() < 0.1 else world.resign("car", data)


TARGETS = (
    Target("json", "json", _jsons, _json),
    Target("dsse", "json", _envelopes, _envelope, lambda d, _: world.resign("car", d)),
    Target("capsule-header", "json", headers, _header, _resign_header),
    Target("capsule-payload", "json", _payloads, _payload),
    Target("capsule-file", "bytes", capsules, _capsule),
    Target(
        "signing-key",
        "lines",
        lambda: [_saved(signing("car"), _save)],
        _key_file(SigningKey.load, _save),
    ),
    Target(
        "opening-key",
        "lines",
        lambda: [_saved(opening("ch"), _save)],
        _key_file(OpeningKey.load, _save),
    ),
    Target(
        "log-key",
        "lines",
        lambda: [_saved(world.LOG, keys.save)],
        _key_file(keys.load_signer, keys.save),
    ),
    Target(
        "witness-key",
        "lines",
        lambda: [_saved(each, keys.save) for each in world.WITNESSES],
        _key_file(keys.load_cosigner, keys.save),
    ),
)
