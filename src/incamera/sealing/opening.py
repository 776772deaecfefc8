# SPDX-License-Identifier: Apache-2.0
"""Opening a capsule: for readers with grants, and for the owner. No keeper imports this module.

The stream cipher hands out each chunk as soon as that chunk is authentic, but only its end tells
whether the stream was cut. So the clip goes to a temporary file and gets its name only after
the last check has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag

from incamera import durable
from incamera.errors import InputError, IntegrityError
from incamera.sealing import shares, wrap
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.header import Header
from incamera.sealing.keys import OpeningKey
from incamera.sealing.stream import BlockWriter

__all__ = ["check_shares", "open_as_owner", "open_capsule", "open_passed_on", "open_share"]


def open_share(
    sealed: bytes,
    key: OpeningKey,
    leaf_hash: bytes,
    capsule_id: bytes,
    index: int,
    succession: int = 0,
) -> bytes:
    """The share (32 bytes) in a trustee's grant to the reader whose ``key`` this is.

    ``leaf_hash``: the Merkle leaf hash (32 bytes) of the reader's own logged request.
    :class:`IntegrityError` if it was granted for another request, capsule, index or reader.
    """
    return wrap.unwrap(sealed, key, wrap.grant_info(leaf_hash, capsule_id, index, succession))


def check_shares(header: Header, found: Mapping[int, bytes]) -> None:
    """Check each share, by index, against the car's commitment to it.

    :class:`IntegrityError` naming the trustee that handed out a wrong one.
    """
    for index, share in sorted(found.items()):
        if not 1 <= index <= len(header.shares):
            raise InputError(f"this capsule has {len(header.shares)} shares, there is no {index}")
        record = header.shares[index - 1]
        shares.check_share(header.capsule_id, index, share, record.commitment, record.trustee)


def open_capsule(path: Path, found: Mapping[int, bytes], dest: Path) -> None:
    """Open the capsule at ``path`` with the shares ``found``, by index, into the clip ``dest``.

    :class:`InputError` for too few shares, :class:`IntegrityError` for a wrong share or an
    altered capsule; then there is no ``dest``.
    """
    capsule = read_capsule(path)
    check_shares(capsule.header, found)
    _decrypt(capsule, shares.combine(found, capsule.header.threshold), dest)


def open_passed_on(path: Path, found: Mapping[int, bytes], threshold: int, dest: Path) -> None:
    """As :func:`open_capsule`, with shares that came by a succession.

    The car never saw them: each must have been checked against its trustee's commitment.
    ``threshold`` is that of the succession. If a dealer lied, the key they make does not open
    the capsule: :class:`IntegrityError`.
    """
    _decrypt(read_capsule(path), shares.combine(found, threshold), dest)


def open_as_owner(path: Path, key: OpeningKey, dest: Path) -> None:
    """Open the capsule at ``path`` with its owner's ``key``, into the clip ``dest``.

    :class:`InputError` if it belongs to another owner, :class:`IntegrityError` if it was
    altered; then there is no ``dest``.
    """
    capsule = read_capsule(path)
    if capsule.header.owner.key != key.key_id:
        raise InputError(f"{path}: sealed to another owner's key")
    _decrypt(capsule, wrap.unwrap(capsule.owner_wrap, key, capsule.header.owner_info()), dest)


def _decrypt(capsule: Capsule, data_key: bytes, dest: Path) -> None:
    length = capsule.header.payload.length
    decryptor = Cobblestone256Decryptor(data_key, capsule.header.context())
    try:
        with durable.atomic(dest, mode=0o600) as file, BlockWriter(file, 0, length) as blocks:
            for chunk in capsule.chunks():
                blocks.add(decryptor.update_into(chunk, blocks.room()))
            blocks.write(decryptor.finalize())
    except InvalidTag as error:
        raise IntegrityError(
            f"{capsule.path}: does not decrypt with this key: the car sealed it wrongly, or its "
            "shares were passed on wrongly"
        ) from error
