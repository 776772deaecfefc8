# SPDX-License-Identifier: Apache-2.0
"""Several capsules in one answer: what goes in comes out, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.encoding import canonical
from incamera.errors import InputError, PolicyError, UnavailableError
from incamera.ids import Digest, digest
from incamera.service import bundle as module
from incamera.service.bundle import LENGTH, bundle, unbundle

NAMES = [digest(bytes([n])) for n in range(4)]


def asked(names: list[Digest]) -> bytes:
    return canonical({"capsules": names})


def small(path: Path, limit: int) -> bytes:
    """A file's bytes, or none if they are more than ``limit``."""
    return path.read_bytes() if path.stat().st_size <= limit else b""


def test_a_bundle_has_each_capsule_in_the_order_asked(tmp_path: Path) -> None:
    """One that may not be shown, and one that is not there, are empty."""
    (tmp_path / NAMES[0]).write_bytes(b"first")
    (tmp_path / NAMES[3]).write_bytes(b"fourth")

    def read(name: Digest, limit: int) -> bytes:
        if name == NAMES[1]:
            raise PolicyError("erased")
        return small(tmp_path / name, limit)

    names = [NAMES[3], NAMES[1], NAMES[2], NAMES[0]]
    found = dict(unbundle(bundle(asked(names), read), names, "x"))
    assert found == {NAMES[3]: b"fourth", NAMES[1]: b"", NAMES[2]: b"", NAMES[0]: b"first"}


def test_what_does_not_fit_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer stays below its bound; the rest is asked for by itself."""
    monkeypatch.setattr(module, "MAX_BUNDLE", 10)
    for name in NAMES:
        (tmp_path / name).write_bytes(b"123456")
    data = bundle(asked(NAMES), lambda name, limit: small(tmp_path / name, limit))
    assert [len(each) for _, each in unbundle(data, NAMES, "x")] == [6, 0, 0, 0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        canonical({"capsules": []}),
        canonical({"capsules": "x"}),
        canonical({"capsules": ["../../etc/passwd"]}),
        canonical({"capsules": [NAMES[0]] * 129}),
        canonical({"capsules": NAMES, "more": 1}),
    ],
)
def test_what_is_no_question_is_refused(body: bytes, tmp_path: Path) -> None:
    """Before any file is looked at."""
    with pytest.raises(InputError):
        bundle(body, lambda name, limit: small(tmp_path / name, limit))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        LENGTH.pack(3) + b"ab",
        LENGTH.pack(2**63) + b"ab",
        LENGTH.pack(2) + b"ab" + LENGTH.pack(0) + b"more",
        LENGTH.pack(2) + b"ab" + b"\0\0",
    ],
)
def test_an_answer_that_is_none_is_told_from_one(data: bytes) -> None:
    """Cut off, too long, or with a length that is not true."""
    with pytest.raises(UnavailableError):
        list(unbundle(data, NAMES[:2], "x"))
