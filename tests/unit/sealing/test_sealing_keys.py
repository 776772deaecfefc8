# SPDX-License-Identifier: Apache-2.0
"""Key files and public keys: one form each, and weak ones refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.errors import InputError, IntegrityError
from incamera.ids import digest
from incamera.sealing.keys import OpeningKey, SigningKey, parse_opening_public


@pytest.mark.parametrize("kind", [SigningKey, OpeningKey])
def test_a_key_file_gives_back_the_key_and_only_its_owner_reads_it(
    tmp_path: Path, kind: type[SigningKey | OpeningKey]
) -> None:
    """A saved key loads as itself, in a file of mode 0600 with one line."""
    key, path = kind.generate(), tmp_path / "keys" / "key"
    key.save(path)
    assert kind.load(path).public == key.public
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().count(b"\n") == 1
    assert key.key_id == digest(key.public)


def test_a_key_is_never_overwritten_by_another(tmp_path: Path) -> None:
    """Saving over a file that holds another key is refused and leaves the file."""
    first, path = SigningKey.generate(), tmp_path / "key"
    first.save(path)
    first.save(path)
    with pytest.raises(IntegrityError):
        SigningKey.generate().save(path)
    assert SigningKey.load(path).public == first.public


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """A private key with mode 0644 is not used."""
    path = tmp_path / "key"
    SigningKey.generate().save(path)
    path.chmod(0o644)
    with pytest.raises(InputError, match="other users") as caught:
        SigningKey.load(path)
    assert "chmod" in str(caught.value.hint)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"INCAMERA-SIGNING-KEY-1 \n",
        b"INCAMERA-SIGNING-KEY-1 AAAA\n",
        b"INCAMERA-SIGNING-KEY-1 " + b"A" * 43 + b"=",
        b"INCAMERA-SIGNING-KEY-1 " + b"A" * 43 + b"=\n\n",
        b"INCAMERA-SIGNING-KEY-2 " + b"A" * 43 + b"=\n",
        b"INCAMERA-OPENING-KEY-1 " + b"A" * 43 + b"=\n",
        b"INCAMERA-SIGNING-KEY-1 " + b"\xff" * 43 + b"=\n",
        b"INCAMERA-SIGNING-KEY-1 " + b"A" * 4096,
    ],
)
def test_a_file_that_is_no_key_file_is_refused_without_showing_it(
    tmp_path: Path, text: bytes
) -> None:
    """Anything but the one form is an InputError, and its content is in no message."""
    path = tmp_path / "key"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(InputError) as caught:
        SigningKey.load(path)
    assert "AAAA" not in str(caught.value)


def test_a_missing_key_file_is_an_input_error(tmp_path: Path) -> None:
    """A key that is not there is named."""
    with pytest.raises(InputError, match="no such key"):
        OpeningKey.load(tmp_path / "none")


def test_a_key_does_not_show_its_secret() -> None:
    """The repr of a key has its id only."""
    key, opening = SigningKey.generate(), OpeningKey.generate()
    assert repr(key) == f"SigningKey({key.key_id[:16]})"
    assert repr(opening) == f"OpeningKey({opening.key_id[:16]})"


P = 2**255 - 19
WEAK_POINTS = [
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]


@pytest.mark.parametrize("u", WEAK_POINTS)
def test_a_small_order_point_is_no_opening_key(u: int) -> None:
    """Points under which every exchange gives zero are refused when parsed (RFC 7748, 6.1)."""
    public = OpeningKey.generate().public[:-32] + u.to_bytes(32, "little")
    with pytest.raises(InputError, match="not a usable"):
        parse_opening_public(public, "trustee")


@pytest.mark.parametrize("u", [P, P + 9, 2**255 + 9])
def test_a_second_encoding_of_a_point_is_no_opening_key(u: int) -> None:
    """A key has one encoding, or one key could pass for two recipients."""
    public = OpeningKey.generate().public[:-32] + u.to_bytes(32, "little")
    with pytest.raises(InputError, match="non-canonical"):
        parse_opening_public(public, "trustee")


def test_an_opening_key_of_another_length_or_modulus_is_refused() -> None:
    """1216 bytes whose ML-KEM coefficients are below q, nothing else."""
    public = OpeningKey.generate().public
    for bad in (b"", public[:-1], public + b"\0", b"\xff" * 1184 + public[-32:]):
        with pytest.raises(InputError):
            parse_opening_public(bad, "trustee")


def test_an_opening_key_is_judged_the_same_wherever_it_comes_again() -> None:
    """What was found good is remembered; what was refused is refused again, by its new place."""
    good, weak = OpeningKey.generate().public, OpeningKey.generate().public[:-32] + bytes(32)
    assert parse_opening_public(good, "here") is parse_opening_public(bytes(good), "there")
    for where in ("here", "there"):
        with pytest.raises(InputError, match=f"^{where}: not a usable"):
            parse_opening_public(weak, where)
