# SPDX-License-Identifier: Apache-2.0
"""Sealing a clip into a capsule, in the car.

The data key and the capsule id are made here, for one capsule, and are no parameter of
anything: nobody can use one twice. The ciphertext is a Cobblestone-256 stream
(c2sp.org/chunked-encryption), whose nonces come from a random salt that it makes itself.
Python cannot wipe memory: the data key is gone when the process ends, not before.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cryptography.cobblestone import Cobblestone256Encryptor

from incamera import durable
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, Name, Region, digest
from incamera.sealing import shares, wrap
from incamera.sealing.capsule import LENGTH, MAGIC, payload_offset
from incamera.sealing.envelope import seal_envelope
from incamera.sealing.header import (
    HEADER_TYPE,
    Header,
    OwnerWrap,
    Payload,
    ShareWrap,
)
from incamera.sealing.keys import OPENING_PUBLIC_BYTES, SigningKey, key_id
from incamera.sealing.stream import PIECE, BlockWriter

__all__ = ["Facts", "Recipients", "Trustee", "ciphertext_length", "seal"]

_STREAM_HEAD = 24 + 32  # Cobblestone's salt and key commitment
_STREAM_CHUNK, _TAG = 16_384, 16


@dataclass(frozen=True, slots=True)
class Facts:
    """What the car states about a clip. Units and forms as in :class:`Header`; lists unsorted."""

    region: Region
    vehicle: Name
    hour: str
    duration: int
    cameras: Sequence[Name]
    tags: Sequence[Name]
    consent: str
    purposes: Sequence[Name]
    policy: Digest
    report: Digest
    models: Sequence[Digest]
    zones: Digest
    expires: int


class Trustee(NamedTuple):
    """Who gets a share: name, epoch, and the public opening key (1216 bytes) of that epoch."""

    name: Name
    epoch: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who can open a capsule: ``threshold`` of the ``trustees`` together, or the owner."""

    trustees: Sequence[Trustee]
    threshold: int
    owner_public: bytes
    """The owner's public opening key, 1216 bytes."""


def ciphertext_length(plaintext_length: int) -> int:
    """Bytes of the Cobblestone stream: every chunk has a tag, and the last one is never full."""
    chunks = plaintext_length // _STREAM_CHUNK + 1
    return _STREAM_HEAD + plaintext_length + chunks * _TAG


def seal(
    payload: BinaryIO, dest: Path, *, facts: Facts, recipients: Recipients, car: SigningKey
) -> Digest:
    """Seal ``payload`` into a capsule at ``dest`` and return the capsule's digest.

    ``payload`` must be seekable and is read once, from its start, with flat memory. ``dest``
    appears whole and durable, or not at all. :class:`InputError` if the facts cannot stand in a
    header, the recipients are too few or not distinct, or ``payload`` changes meanwhile.
    """
    _check_distinct(recipients)
    length = payload.seek(0, os.SEEK_END)
    payload.seek(0)
    data_key = Cobblestone256Encryptor.generate_key()
    header, wrapped = _draft(facts, recipients, car, data_key, ciphertext_length(length))
    # The envelope stands before the ciphertext whose digest it holds. A digest always takes as
    # many bytes, so a first envelope tells how much room to leave and one pass is enough.
    room = len(seal_envelope(header.serialise(), HEADER_TYPE, car))
    offset = payload_offset(room, len(recipients.trustees))
    with durable.atomic(dest) as file:
        header = replace(header, payload=_encrypt(payload, file, offset, header, data_key))
        envelope = seal_envelope(header.serialise(), HEADER_TYPE, car)
        file.seek(0)
        file.write(b"".join((MAGIC, LENGTH.pack(len(envelope)), envelope, *wrapped)))
    return digest(envelope)


def _draft(
    facts: Facts, recipients: Recipients, car: SigningKey, data_key: bytes, length: int
) -> tuple[Header, list[bytes]]:
    """The header, complete but for the ciphertext's digest; and wrapped shares, then owner's."""
    count, policy = len(recipients.trustees), facts.policy
    capsule_id = secrets.token_bytes(32)
    parts = shares.split(data_key, recipients.threshold, count)
    wrapped, records = [], []
    for index, (trustee, part) in enumerate(zip(recipients.trustees, parts, strict=True), start=1):
        info = wrap.share_info(
            capsule_id,
            car.public,
            policy,
            trustee=trustee.name,
            epoch=trustee.epoch,
            index=index,
            threshold=recipients.threshold,
            count=count,
        )
        wrapped.append(wrap.wrap(part, trustee.public, info))
        commitment = shares.commitment(capsule_id, index, part)
        key, sealed = key_id(trustee.public), digest(wrapped[-1])
        records.append(ShareWrap(trustee.name, trustee.epoch, key, sealed, commitment))
    info = wrap.owner_info(capsule_id, car.public, policy)
    wrapped.append(wrap.wrap(data_key, recipients.owner_public, info))
    header = Header(
        capsule_id=capsule_id,
        region=facts.region,
        vehicle=facts.vehicle,
        car_key=car.public,
        hour=facts.hour,
        duration=facts.duration,
        cameras=tuple(sorted(set(facts.cameras))),
        tags=tuple(sorted(set(facts.tags))),
        consent=facts.consent,
        purposes=tuple(sorted(set(facts.purposes))),
        policy=policy,
        report=facts.report,
        models=tuple(sorted(set(facts.models))),
        zones=facts.zones,
        expires=facts.expires,
        threshold=recipients.threshold,
        shares=tuple(records),
        owner=OwnerWrap(key_id(recipients.owner_public), digest(wrapped[-1])),
        payload=Payload(digest(b""), length),
    )
    # What a reader would refuse must not be written: parse what was made.
    return Header.parse(header.serialise(), "facts"), wrapped


def _encrypt(payload: BinaryIO, file: BinaryIO, offset: int, header: Header, key: bytes) -> Payload:
    """Encrypt ``payload`` into ``file`` from ``offset`` on: what the header is to say of it."""
    encryptor, hashed = Cobblestone256Encryptor(key, header.context()), hashlib.sha256()
    expected, length = header.payload.length, 0
    with BlockWriter(file, offset, expected, hashed.update) as blocks:
        while piece := _read(payload):
            count = encryptor.update_into(piece, blocks.room())
            blocks.add(count)
            length += count
            if length > expected:
                break
        rest = encryptor.finalize()
        blocks.write(rest)
        if length + len(rest) != expected:
            raise InputError("the clip changed while it was sealed", hint="run it again")
    return Payload(Digest(hashed.hexdigest()), expected)


def _read(payload: BinaryIO) -> bytes:
    try:
        return payload.read(PIECE)
    except OSError as error:
        raise UnavailableError(f"the clip cannot be read: {error.strerror}") from error


def _check_distinct(recipients: Recipients) -> None:
    """Each party has keys of its own, in both halves of the hybrid."""
    publics = [*(trustee.public for trustee in recipients.trustees), recipients.owner_public]
    if any(len(public) != OPENING_PUBLIC_BYTES for public in publics):
        raise InputError(f"a recipient's opening key has not {OPENING_PUBLIC_BYTES} bytes")
    halves = [{public[:-32] for public in publics}, {public[-32:] for public in publics}]
    if any(len(half) != len(publics) for half in halves):
        raise InputError("two recipients have one opening key", hint="each makes a key of its own")
