# SPDX-License-Identifier: Apache-2.0
"""Key files closed with age: by us, by others, and what is said when they do not open."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest

from incamera import keyfile
from incamera.errors import InputError, UnavailableError
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog import keys as note_keys
from incamera.trustee import Keyring

AGE = shutil.which("age")
SECRET = b"INCAMERA-SIGNING-KEY-1 c2VjcmV0\n"


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No passphrase, no identity, nobody at a terminal."""
    for name in ("INCAMERA_PASSPHRASE_FILE", "INCAMERA_IDENTITY_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    keyfile._asked.cache_clear()
    yield
    keyfile._asked.cache_clear()


def private(path: Path, text: str) -> Path:
    """A file of mode 0600."""
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.fixture
def identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An identity at hand; its recipient."""
    made = pyrage.x25519.Identity.generate()
    path = private(tmp_path / "identity", f"# made by a test\n{made}\n")
    monkeypatch.setenv("INCAMERA_IDENTITY_FILE", str(path))
    return str(made.to_public())


@pytest.fixture
def passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A passphrase at hand."""
    path = private(tmp_path / "passphrase", "correct horse\n")
    monkeypatch.setenv("INCAMERA_PASSPHRASE_FILE", str(path))
    return "correct horse"


def test_every_kind_of_key_loads_from_a_closed_file(tmp_path: Path, identity: str) -> None:
    """Signing, opening and note keys, armored or not; the key is the same."""
    signing, opening = SigningKey.generate(), OpeningKey.generate()
    log, witness = note_keys.generate_signer("log.example"), note_keys.generate_cosigner("w")
    signing.save(tmp_path / "signing")
    opening.save(tmp_path / "opening")
    note_keys.save(tmp_path / "log", log)
    note_keys.save(tmp_path / "w", witness)
    for armored in (True, False):
        for name in ("signing", "opening", "log", "w"):
            path = tmp_path / name
            path.write_bytes(keyfile.closed(keyfile.read(path), [identity], armored=armored))
            assert keyfile.protection(path.read_bytes()) == "recipients"
        assert SigningKey.load(tmp_path / "signing").public == signing.public
        assert OpeningKey.load(tmp_path / "opening").public == opening.public
        assert note_keys.load_signer(tmp_path / "log").vkey == log.vkey
        assert note_keys.load_cosigner(tmp_path / "w").vkey == witness.vkey
    with pytest.raises(InputError, match="not a key file"):
        OpeningKey.load(tmp_path / "signing")


def test_the_library_opens_what_we_close_and_closes_what_we_open(
    tmp_path: Path, identity: str, passphrase: str
) -> None:
    """Both ways and both kinds, by pyrage itself."""
    secret = pyrage.x25519.Identity.from_str((tmp_path / "identity").read_text().splitlines()[1])
    assert pyrage.decrypt(keyfile.closed(SECRET, [identity]), [secret]) == SECRET
    assert keyfile.opened(pyrage.encrypt(SECRET, [secret.to_public()]), "x") == SECRET
    ours = keyfile.closed(SECRET)
    assert keyfile.protection(ours) == "passphrase"
    assert pyrage.passphrase.decrypt(ours, passphrase) == SECRET
    theirs = pyrage.passphrase.encrypt(SECRET, passphrase)
    assert keyfile.protection(theirs) == "passphrase"
    assert keyfile.opened(theirs, "x") == SECRET


def typed(command: list[str], word: str) -> None:
    """Run ``command`` on a terminal of its own, and type ``word`` whenever it asks."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    while True:
        try:
            got = os.read(terminal, 1024)
        except OSError:
            break
        if not got:
            break
        shown += got
        if b"passphrase" in got.lower():
            os.write(terminal, word.encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert status == 0, shown


@pytest.mark.skipif(AGE is None, reason="the age tool is not installed")
def test_the_age_tool_opens_what_we_close_and_closes_what_we_open(
    tmp_path: Path, identity: str, passphrase: str
) -> None:
    """Both ways and both kinds, by the tool that wrote the format."""
    assert AGE is not None
    closed = tmp_path / "closed"
    closed.write_bytes(keyfile.closed(SECRET, [identity]))
    opened = [AGE, "-d", "-i", str(tmp_path / "identity"), str(closed)]
    assert subprocess.run(opened, capture_output=True, check=True).stdout == SECRET
    made = subprocess.run(
        [AGE, "-a", "-r", identity], input=SECRET, capture_output=True, check=True
    )
    assert keyfile.opened(made.stdout, "x") == SECRET
    closed.write_bytes(keyfile.closed(SECRET))
    typed([AGE, "-d", "-o", str(tmp_path / "out"), str(closed)], passphrase)
    assert (tmp_path / "out").read_bytes() == SECRET
    typed([AGE, "-p", "-o", str(tmp_path / "theirs"), str(tmp_path / "out")], passphrase)
    assert keyfile.opened((tmp_path / "theirs").read_bytes(), "x") == SECRET


def test_a_wrong_passphrase_is_one_clear_sentence(tmp_path: Path, passphrase: str) -> None:
    """Neither passphrase nor content is in it, and nothing of the library."""
    path = tmp_path / "key"
    path.write_bytes(pyrage.passphrase.encrypt(SECRET, "another horse"))
    with pytest.raises(InputError) as caught:
        keyfile.read(path)
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    assert "horse" not in str(caught.value) + str(caught.value.hint)


def test_a_file_to_others_or_damaged_does_not_open(tmp_path: Path, identity: str) -> None:
    """Another identity's file, a byte changed, a byte missing, half an armor."""
    other = str(pyrage.x25519.Identity.generate().to_public())
    good = keyfile.closed(SECRET, [identity], armored=False)
    armored = keyfile.closed(SECRET, [identity])
    bad = [
        keyfile.closed(SECRET, [other]),
        good[:-1],
        good[:-1] + bytes([good[-1] ^ 1]),
        armored[: len(armored) // 2],
        armored[:40],
        b"age-encryption.org/v1\n",
    ]
    for data in bad:
        with pytest.raises(InputError, match="cannot be opened"):
            keyfile.opened(data, "x")


def test_without_what_opens_it_a_closed_file_says_what_it_takes(tmp_path: Path) -> None:
    """Nobody at a terminal, no file named: each error names the variable to set."""
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    with pytest.raises(InputError) as caught:
        keyfile.opened(keyfile.closed(SECRET, [recipient]), "x")
    assert "INCAMERA_IDENTITY_FILE" in (caught.value.hint or "")
    with pytest.raises(InputError) as caught:
        keyfile.closed(SECRET)
    assert "INCAMERA_PASSPHRASE_FILE" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "match"),
    [("", "one line"), ("a\nb\n", "one line"), ("\n", "one line")],
)
def test_a_passphrase_file_holds_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, match: str
) -> None:
    """An empty one would protect nothing, a second line is a mistake."""
    path = private(tmp_path / "pass", text)
    monkeypatch.setenv("INCAMERA_PASSPHRASE_FILE", str(path))
    with pytest.raises(InputError, match=match):
        keyfile.closed(SECRET)


def test_what_opens_is_private_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: str, passphrase: str
) -> None:
    """A passphrase or identity that others may read is refused, also if it is no such thing."""
    data = keyfile.closed(SECRET, [identity])
    (tmp_path / "identity").chmod(0o640)
    (tmp_path / "passphrase").chmod(0o604)
    with pytest.raises(InputError, match="other users") as caught:
        keyfile.opened(data, "x")
    assert "chmod" in (caught.value.hint or "")
    with pytest.raises(InputError, match="other users"):
        keyfile.closed(SECRET)
    private(tmp_path / "identity", "AGE-SECRET-KEY-1NONSENSE\n")
    with pytest.raises(InputError, match="not a file of age identities") as caught:
        keyfile.opened(data, "x")
    assert "NONSENSE" not in str(caught.value)
    private(tmp_path / "identity", "# nothing\n")
    with pytest.raises(InputError, match="no age identity"):
        keyfile.opened(data, "x")
    monkeypatch.setenv("INCAMERA_IDENTITY_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match="no such identity file"):
        keyfile.opened(data, "x")


def test_credentials_of_systemd_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ``CREDENTIALS_DIRECTORY``, whose folder systemd guards; modes inside are its own."""
    made = pyrage.x25519.Identity.generate()
    (tmp_path / "incamera-identity").write_text(f"{made}\n")
    (tmp_path / "incamera-identity").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert keyfile.opened(keyfile.closed(SECRET, [str(made.to_public())]), "x") == SECRET


def test_an_open_key_file_must_be_private_and_a_closed_one_need_not(
    tmp_path: Path, identity: str
) -> None:
    """Mode 0600 guards an open one; age guards the other."""
    path = private(tmp_path / "key", SECRET.decode())
    path.chmod(0o644)
    with pytest.raises(InputError, match="other users"):
        keyfile.read(path)
    path.write_bytes(keyfile.closed(SECRET, [identity]))
    assert keyfile.read(path) == SECRET


def test_a_key_file_that_is_none(tmp_path: Path) -> None:
    """Missing, a folder, or endless: named, and by who must act."""
    with pytest.raises(InputError, match="no such key file"):
        keyfile.read(tmp_path / "none")
    with pytest.raises(UnavailableError):
        keyfile.read(tmp_path)
    path = private(tmp_path / "long", "x" * 100_000)
    with pytest.raises(InputError, match="too long"):
        keyfile.read(path)
    with pytest.raises(InputError, match="not an age recipient"):
        keyfile.recipient("age1nonsense")


def test_a_new_epoch_key_is_closed_as_the_signing_key_is(tmp_path: Path, identity: str) -> None:
    """A trustee whose keys are closed never writes an open one."""
    keys = Keyring.create(tmp_path / "ch")
    signing = tmp_path / "ch" / "signing.key"
    signing.write_bytes(keyfile.closed(keyfile.read(signing), [identity]))
    OpeningKey.generate().save(tmp_path / "ch" / "epochs" / "1.key", like=signing)
    data = (tmp_path / "ch" / "epochs" / "1.key").read_bytes()
    assert keyfile.protection(data) == "recipients"
    found = Keyring(tmp_path / "ch").epoch(1)
    assert found is not None
    assert keys.signing.public == Keyring(tmp_path / "ch").signing.public


def test_a_new_key_is_not_closed_to_who_cannot_open_its_sibling(
    tmp_path: Path, identity: str
) -> None:
    """An identity file exchanged by mistake closes nothing; a passphrase is tried first."""
    path = tmp_path / "signing.key"
    other = str(pyrage.x25519.Identity.generate().to_public())
    path.write_bytes(keyfile.closed(SECRET, [other]))
    with pytest.raises(InputError, match="none of the identities"):
        keyfile.closed_like(SECRET, path)
    private(path, SECRET.decode())
    assert keyfile.closed_like(b"x", path) == b"x"


def test_a_new_key_takes_the_passphrase_of_its_sibling(tmp_path: Path, passphrase: str) -> None:
    """And not a mistyped one, under which nobody would ever open it."""
    path = tmp_path / "signing.key"
    path.write_bytes(keyfile.closed(SECRET))
    assert keyfile.opened(keyfile.closed_like(b"x", path), "x") == b"x"
    private(tmp_path / "passphrase", "wrong horse\n")
    with pytest.raises(InputError, match="cannot be opened"):
        keyfile.closed_like(b"x", path)
