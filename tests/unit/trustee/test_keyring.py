# SPDX-License-Identifier: Apache-2.0
"""A trustee's key files: made before they are announced, gone before that is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Name, Region
from incamera.ledger.codec import decode
from incamera.ledger.entries import EpochEntry
from incamera.sealing.keys import OpeningKey
from incamera.trustee import Keyring


def begin(keys: Keyring, time: int = 90) -> bytes:
    """Make epoch 5, from ten seconds after ``time`` on."""
    return keys.new_epoch(Name("ch"), Region("eu"), 5, time + 10, time + 110, time)


def test_the_same_epoch_is_announced_in_the_same_bytes(tmp_path: Path) -> None:
    """After a crash, later, and from a new process: what was begun is finished, not changed."""
    first = begin(Keyring.create(tmp_path / "ch"))
    again = begin(Keyring(tmp_path / "ch"), 140)
    assert first == again
    assert (tmp_path / "ch" / "epochs" / "5.key").stat().st_mode & 0o777 == 0o600


def test_a_key_without_its_entry_is_announced_and_not_replaced(tmp_path: Path) -> None:
    """A crash between key and entry leaves a key: it is the one that is announced."""
    keys = Keyring.create(tmp_path / "ch")
    begin(keys)
    made = keys.epoch(5)
    assert made is not None
    (tmp_path / "ch" / "epochs" / "5.entry").unlink()
    entry = decode(begin(keys, 91), "entry").entry
    assert isinstance(entry, EpochEntry)
    assert entry.key == made.public
    assert entry.time == 91


def test_an_entry_without_its_key_announces_nothing(tmp_path: Path) -> None:
    """Only a key that is here is announced: a left-over entry is replaced with a new key's."""
    keys = Keyring.create(tmp_path / "ch")
    old = begin(keys)
    (tmp_path / "ch" / "epochs" / "5.key").unlink()
    new = begin(keys)
    assert new != old
    entry, key = decode(new, "entry").entry, keys.epoch(5)
    assert isinstance(entry, EpochEntry)
    assert key is not None
    assert entry.key == key.public


def test_a_destroyed_key_is_overwritten_before_it_is_unlinked(tmp_path: Path) -> None:
    """Whoever still holds the file open reads zeros; name and entry are gone."""
    keys = Keyring.create(tmp_path / "ch")
    begin(keys)
    path = tmp_path / "ch" / "epochs" / "5.key"
    held = os.open(path, os.O_RDONLY)
    try:
        size = os.fstat(held).st_size
        assert size > 100
        keys.destroy(5)
        assert os.pread(held, size, 0) == bytes(size)
    finally:
        os.close(held)
    assert list((tmp_path / "ch" / "epochs").iterdir()) == []
    assert keys.epoch(5) is None
    assert keys.epochs() == []
    keys.destroy(5)


def test_a_key_that_was_read_is_forgotten_with_its_file(tmp_path: Path) -> None:
    """Another process that destroys or replaces the file ends the key in this one, too."""
    keys = Keyring.create(tmp_path / "ch")
    begin(keys)
    first = keys.epoch(5)
    assert first is not None
    assert keys.epoch(5) is first
    Keyring(tmp_path / "ch").destroy(5)
    assert keys.epoch(5) is None
    OpeningKey.generate().save(tmp_path / "ch" / "epochs" / "5.key")
    second = keys.epoch(5)
    assert second is not None
    assert second.public != first.public


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """A home that has a signing key keeps it."""
    Keyring.create(tmp_path / "ch")
    with pytest.raises(InputError, match="never replaced"):
        Keyring.create(tmp_path / "ch")


def test_a_secret_that_is_superseded_is_overwritten(tmp_path: Path) -> None:
    """The old bytes do not stay in the blocks that the file had, and the new ones are whole."""
    path = tmp_path / "key"
    durable.write(path, b"a secret in the clear", mode=0o600)
    held = os.open(path, os.O_RDONLY)
    try:
        durable.supersede(path, b"closed")
        assert os.pread(held, 100, 0) == bytes(21)
    finally:
        os.close(held)
    assert path.read_bytes() == b"closed"
    assert path.stat().st_mode & 0o777 == 0o600
    durable.shred(path)
    durable.shred(path)
    assert not path.exists()
