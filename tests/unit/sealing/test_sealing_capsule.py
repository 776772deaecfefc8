# SPDX-License-Identifier: Apache-2.0
"""Capsules against those who alter, swap, cut or reorder: nothing passes, nothing half-opens."""

from __future__ import annotations

import doctest
import io
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Name, digest
from incamera.sealing import opening, wrap
from incamera.sealing.capsule import MAGIC, Capsule, read_capsule
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import HEADER_TYPE, Header, Payload
from incamera.sealing.keys import OpeningKey
from incamera.sealing.seal import Recipients, Trustee, ciphertext_length, seal
from sealed import FACTS, Fleet


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    """One set of keys for all tests."""
    return Fleet()


@pytest.fixture
def capsule(fleet: Fleet, tmp_path: Path) -> Capsule:
    """Four stream chunks, sealed."""
    return fleet.capsule(tmp_path / "a.capsule", os.urandom(50_000))


def rewrite(capsule: Capsule, fleet: Fleet, header: Header, body: bytes | None = None) -> Path:
    """What a thieving car would make: another header, honestly signed, over the same body."""
    envelope = seal_envelope(header.serialise(), HEADER_TYPE, fleet.car)
    old = capsule.path.read_bytes()
    start = len(MAGIC) + 4
    rest = body if body is not None else old[start + len(capsule.envelope) :]
    path = capsule.path.with_name("rewritten.capsule")
    path.write_bytes(MAGIC + len(envelope).to_bytes(4, "big") + envelope + rest)
    return path


@pytest.mark.parametrize("size", [0, 1, 16_383, 16_384, 16_385, 1 << 20, (1 << 20) + 5])
def test_what_was_sealed_is_what_is_opened(fleet: Fleet, tmp_path: Path, size: int) -> None:
    """Two of three trustees, and the owner, get the same bytes back, at every chunk edge."""
    payload = os.urandom(size)
    capsule = fleet.capsule(tmp_path / "c.capsule", payload)
    capsule.verify_stored()
    assert capsule.header.payload.length == ciphertext_length(size)
    shares = fleet.shares(capsule)
    opening.open_capsule(capsule.path, {1: shares[1], 3: shares[3]}, tmp_path / "reader")
    opening.open_as_owner(capsule.path, fleet.owner, tmp_path / "owner")
    assert (tmp_path / "reader").read_bytes() == (tmp_path / "owner").read_bytes() == payload
    assert (tmp_path / "reader").stat().st_mode & 0o777 == 0o600


def test_the_digest_names_the_signed_envelope(fleet: Fleet, tmp_path: Path) -> None:
    """The digest that seal returns is the SHA-256 of the envelope in the file."""
    name = fleet.seal(tmp_path / "c.capsule")
    capsule = read_capsule(tmp_path / "c.capsule")
    assert name == capsule.digest == digest(capsule.envelope)


def test_no_key_nonce_or_id_is_used_twice(fleet: Fleet, tmp_path: Path) -> None:
    """The same clip sealed twice has nothing in common: key, id, shares, salt, ciphertext."""
    first = fleet.capsule(tmp_path / "1.capsule", b"same")
    second = fleet.capsule(tmp_path / "2.capsule", b"same")
    assert first.header.capsule_id != second.header.capsule_id
    assert not set(fleet.shares(first).values()) & set(fleet.shares(second).values())
    assert next(first.chunks())[:24] != next(second.chunks())[:24]
    assert first.header.payload.digest != second.header.payload.digest


def test_a_flip_of_any_byte_is_noticed(tmp_path: Path) -> None:
    """Each byte of a capsule, flipped alone: IntegrityError or InputError, never passing."""
    fleet = Fleet(trustees={name: OpeningKey.generate() for name in ("ch", "is")})
    capsule = fleet.capsule(tmp_path / "c.capsule", b"clip")
    good = capsule.path.read_bytes()
    passed = []
    with capsule.path.open("r+b", buffering=0) as file:
        for position, byte in enumerate(good):
            file.seek(position)
            file.write(bytes((byte ^ (1 << position % 8),)))
            try:
                read_capsule(capsule.path).verify_stored()
                passed.append(position)
            except (IntegrityError, InputError):
                pass  # either is right; anything else fails this test
            file.seek(position)
            file.write(bytes((byte,)))
    assert passed == []
    read_capsule(capsule.path).verify_stored()


@pytest.mark.parametrize("cut", [0, 5, 19, 22, 23, 600, -60_000, -50_000, -16_400, -1])
def test_a_capsule_cut_anywhere_is_noticed(capsule: Capsule, cut: int) -> None:
    """Truncation is noticed on reading, before any decryption."""
    data = capsule.path.read_bytes()
    capsule.path.write_bytes(data[:cut])
    with pytest.raises((IntegrityError, InputError)):
        read_capsule(capsule.path)


def test_bytes_after_the_end_are_noticed(capsule: Capsule) -> None:
    """Nothing can be smuggled behind the ciphertext."""
    with capsule.path.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(IntegrityError, match="end"):
        read_capsule(capsule.path)


def test_a_swapped_ciphertext_is_noticed_and_leaves_no_file(
    fleet: Fleet, capsule: Capsule, tmp_path: Path
) -> None:
    """The ciphertext of another capsule of the same length: read, verify and open all fail."""
    other = fleet.capsule(tmp_path / "b.capsule", os.urandom(50_000))
    data = capsule.path.read_bytes()[: capsule.payload_offset]
    capsule.path.write_bytes(data + b"".join(other.chunks()))
    with pytest.raises(IntegrityError, match="ciphertext"):
        capsule.verify_stored()
    with pytest.raises(IntegrityError):
        opening.open_as_owner(capsule.path, fleet.owner, tmp_path / "out")
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def stream_of(capsule: Capsule) -> tuple[bytes, list[bytes]]:
    """Salt and commitment, and the chunks with their tags."""
    data = b"".join(capsule.chunks())
    return data[:56], [data[i : i + 16_400] for i in range(56, len(data), 16_400)]


@pytest.mark.parametrize(
    "change",
    [
        lambda chunks: chunks[:-1],
        lambda chunks: chunks[:1],
        lambda chunks: [],
        lambda chunks: [chunks[1], chunks[0], *chunks[2:]],
        lambda chunks: [chunks[0], chunks[0], *chunks[2:]],
        lambda chunks: [*chunks, chunks[-1]],
    ],
    ids=["last-cut", "first-only", "empty", "reordered", "repeated", "prolonged"],
)
def test_a_stream_cut_or_reordered_by_a_lying_car_does_not_open(
    fleet: Fleet, capsule: Capsule, tmp_path: Path, change: object
) -> None:
    """Even under a fresh, honest signature, the stream itself notices, and no file appears."""
    head, chunks = stream_of(capsule)
    stream = head + b"".join(change(chunks))  # type: ignore[operator]
    header = replace(capsule.header, payload=Payload(digest(stream), len(stream)))
    wraps = b"".join((*capsule.wrapped, capsule.owner_wrap))
    path = rewrite(capsule, fleet, header, wraps + stream)
    read_capsule(path).verify_stored()
    with pytest.raises(IntegrityError, match="does not decrypt"):
        opening.open_as_owner(path, fleet.owner, tmp_path / "out")
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_a_swapped_policy_opens_nothing(fleet: Fleet, capsule: Capsule, tmp_path: Path) -> None:
    """A header with a laxer policy, re-signed by the car: neither shares nor payload open."""
    header = replace(capsule.header, policy=digest(b"permit everything"))
    path = rewrite(capsule, fleet, header)
    swapped = read_capsule(path)
    with pytest.raises(IntegrityError):
        fleet.shares(swapped)
    with pytest.raises(IntegrityError):
        opening.open_as_owner(path, fleet.owner, tmp_path / "out")
    with pytest.raises(IntegrityError, match="does not decrypt"):
        opening.open_capsule(path, fleet.shares(capsule), tmp_path / "out")


def test_a_share_of_capsule_a_does_not_open_under_b(fleet: Fleet, tmp_path: Path) -> None:
    """A's wrapped share put into B's header by the car is bound to A's id."""
    a = fleet.capsule(tmp_path / "a.capsule")
    b = fleet.capsule(tmp_path / "b.capsule")
    stolen = replace(b.header.shares[0], digest=digest(a.wrapped[0]))
    header = replace(b.header, shares=(stolen, *b.header.shares[1:]))
    rest = b"".join((a.wrapped[0], *b.wrapped[1:], b.owner_wrap, *b.chunks()))
    swapped = read_capsule(rewrite(b, fleet, header, rest))
    with pytest.raises(IntegrityError):
        fleet.shares(swapped)


def test_two_wrapped_shares_exchanged_are_noticed(capsule: Capsule) -> None:
    """Swapping the recipients' blocks in the file breaks the header's digests."""
    data = capsule.path.read_bytes()
    a, b = capsule.wrapped[0], capsule.wrapped[1]
    capsule.path.write_bytes(data.replace(a + b, b + a))
    with pytest.raises(IntegrityError, match="share 1"):
        read_capsule(capsule.path)


def test_a_lying_trustee_is_named(fleet: Fleet, capsule: Capsule, tmp_path: Path) -> None:
    """A share that is not the committed one stops the opening and says whose it is."""
    shares = fleet.shares(capsule)
    with pytest.raises(IntegrityError, match="share 2 from is"):
        opening.open_capsule(capsule.path, {1: shares[1], 2: bytes(32)}, tmp_path / "out")
    with pytest.raises(IntegrityError, match="share 2 from is"):
        opening.open_capsule(capsule.path, {1: shares[1], 2: shares[3]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_too_few_shares_open_nothing(fleet: Fleet, capsule: Capsule, tmp_path: Path) -> None:
    """One of two needed, or one that does not exist, is an InputError."""
    shares = fleet.shares(capsule)
    for found in ({}, {2: shares[2]}, {2: shares[2], 4: shares[1]}):
        with pytest.raises(InputError):
            opening.open_capsule(capsule.path, found, tmp_path / "out")


def test_another_owner_cannot_open(capsule: Capsule, tmp_path: Path) -> None:
    """A capsule says to whom it belongs."""
    with pytest.raises(InputError, match="another owner"):
        opening.open_as_owner(capsule.path, OpeningKey.generate(), tmp_path / "out")


def test_a_grant_opens_for_its_request_only(fleet: Fleet, capsule: Capsule) -> None:
    """A share re-sealed to a reader opens with that reader's key and leaf, nothing else."""
    reader, leaf = OpeningKey.generate(), b"l" * 32
    share, capsule_id = fleet.shares(capsule)[1], capsule.header.capsule_id
    sealed = wrap.wrap(share, reader.public, wrap.grant_info(leaf, capsule_id, 1))
    assert opening.open_share(sealed, reader, leaf, capsule_id, 1) == share
    for key, other_leaf, other_id, index in (
        (OpeningKey.generate(), leaf, capsule_id, 1),
        (reader, b"m" * 32, capsule_id, 1),
        (reader, leaf, b"j" * 32, 1),
        (reader, leaf, capsule_id, 2),
    ):
        with pytest.raises(IntegrityError):
            opening.open_share(sealed, key, other_leaf, other_id, index)


def sealing_to(recipients: Recipients, fleet: Fleet, path: Path) -> None:
    """Seal a short clip to ``recipients``."""
    seal(io.BytesIO(b"clip"), path, facts=FACTS, recipients=recipients, car=fleet.car)


def test_recipients_must_be_distinct_and_enough(fleet: Fleet, tmp_path: Path) -> None:
    """One key under two names, in whole or in half, or a threshold of one, is not sealed to."""
    path, good = tmp_path / "c.capsule", fleet.recipients()
    first, second = good.trustees[0], good.trustees[1]
    halves = Trustee(Name("x"), 4, OpeningKey.generate().public[:-32] + first.public[-32:])
    for bad in (
        replace(good, threshold=1),
        replace(good, threshold=4),
        replace(good, trustees=[]),
        replace(good, trustees=[first, Trustee(Name("other"), 4, first.public)]),
        replace(good, trustees=[first, second._replace(name=first.name)]),
        replace(good, trustees=[first, halves]),
        replace(good, trustees=[first, second._replace(public=b"short")]),
        replace(good, owner_public=first.public),
    ):
        with pytest.raises(InputError):
            sealing_to(bad, fleet, path)
        assert list(tmp_path.iterdir()) == []


def test_facts_that_no_reader_would_accept_are_not_sealed(fleet: Fleet, tmp_path: Path) -> None:
    """The car finds out, not the vault."""
    with pytest.raises(InputError, match="duration"):
        fleet.seal(tmp_path / "c.capsule", duration=0)
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_grows_while_it_is_sealed_is_not_sealed(fleet: Fleet, tmp_path: Path) -> None:
    """The length that was promised in the header must be the length that was read."""

    class Growing(io.BytesIO):
        """One byte longer than it says."""

        def seek(self, offset: int, whence: int = 0) -> int:
            """As of a file that is being written."""
            end = super().seek(offset, whence)
            return end - 1 if whence == os.SEEK_END else end

    with pytest.raises(InputError, match="changed"):
        seal(
            Growing(b"clip"),
            tmp_path / "c.capsule",
            facts=FACTS,
            recipients=fleet.recipients(),
            car=fleet.car,
        )
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_sealing_leaves_nothing(fleet: Fleet, tmp_path: Path) -> None:
    """A clip that cannot be read to its end makes no capsule and no stray file."""

    class Failing(io.BytesIO):
        """A bad disk."""

        def read(self, size: int | None = -1) -> bytes:
            """Never anything."""
            raise OSError(5, "Input/output error")

    with pytest.raises(UnavailableError):
        seal(
            Failing(b"clip"),
            tmp_path / "c.capsule",
            facts=FACTS,
            recipients=fleet.recipients(),
            car=fleet.car,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_length_allocates_nothing(tmp_path: Path) -> None:
    """A file that promises 4 GiB of header is refused at once."""
    path = tmp_path / "c.capsule"
    path.write_bytes(MAGIC + b"\xff\xff\xff\xff" + b"x" * 100)
    tracemalloc.start()
    with pytest.raises(InputError, match="too long"):
        read_capsule(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_memory_stays_flat_with_a_long_clip(fleet: Fleet, tmp_path: Path) -> None:
    """40 MB are sealed, verified and opened in less than 8 MB of memory."""
    clip = tmp_path / "clip"
    with clip.open("wb") as file:
        for _ in range(40):
            file.write(os.urandom(1 << 20))
    tracemalloc.start()
    with clip.open("rb") as file:
        seal(
            file,
            tmp_path / "c.capsule",
            facts=FACTS,
            recipients=fleet.recipients(),
            car=fleet.car,
        )
    read_capsule(tmp_path / "c.capsule").verify_stored()
    opening.open_as_owner(tmp_path / "c.capsule", fleet.owner, tmp_path / "out")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_what_is_no_file_is_our_error(tmp_path: Path) -> None:
    """Missing, a folder, a pipe: an InputError, and no waiting."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", ".", "pipe"):
        with pytest.raises(InputError):
            read_capsule(tmp_path / name)


def test_the_face_of_sealing_does_not_reach_opening() -> None:
    """Importing the package, as every keeper does in passing, loads nothing that opens."""
    code = "import incamera.sealing, sys; sys.exit('incamera.sealing.opening' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_example_on_the_face_of_sealing_works() -> None:
    """What the package's docstring shows is what happens."""
    import incamera.sealing

    assert doctest.testmod(incamera.sealing) == (0, 13)
