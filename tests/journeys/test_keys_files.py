# SPDX-License-Identifier: Apache-2.0
"""``incamera keys``: closing key files, and a backup that brings nothing back that has ended."""

from __future__ import annotations

import io
import json
import os
import pty
import shutil
import sys
import tarfile
from pathlib import Path, PurePosixPath
from typing import Any

import pyrage  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

from incamera import keyfile
from incamera.cli.audit import run as audit
from incamera.cli.backup import kept
from incamera.cli.found import EPOCH_DAYS, found
from incamera.cli.home import Home
from incamera.cli.init import plan_of
from incamera.cli.main import cli
from incamera.clock import FixedClock, SystemClock
from incamera.errors import InputError, IntegrityError
from incamera.ids import Name
from incamera.ledger.queries import DAY
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog import keys as note_keys


def run(*arguments: str | Path) -> Result:
    """One command."""
    return CliRunner().invoke(cli, ["keys", *map(str, arguments)])


def done(*arguments: str | Path) -> Any:
    """One command that succeeds; its JSON."""
    ran = run(*arguments, "--json")
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


@pytest.fixture
def recipient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An age recipient, whose identity is at hand."""
    made = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity"
    path.write_text(f"{made}\n")
    path.chmod(0o600)
    monkeypatch.setenv("INCAMERA_IDENTITY_FILE", str(path))
    return str(made.to_public())


def some_keys(folder: Path) -> list[Path]:
    """One of each kind."""
    SigningKey.generate().save(folder / "signing.key")
    OpeningKey.generate().save(folder / "opening.key")
    note_keys.save(folder / "log.key", note_keys.generate_signer("log.example/eu"))
    note_keys.save(folder / "w.key", note_keys.generate_cosigner("w.example", ml_dsa=True))
    return [folder / name for name in ("signing.key", "opening.key", "log.key", "w.key")]


def test_keys_are_closed_shown_and_opened_again(tmp_path: Path, recipient: str) -> None:
    """In place; what is shown stays the same, and no secret is in it or left in the old file."""
    paths = some_keys(tmp_path)
    before = done("show", *paths)["keys"]
    assert [each["kind"] for each in before] == ["signing", "opening", "log", "witness"]
    assert {each["protected"] for each in before} == {"no"}
    secrets = [path.read_bytes() for path in paths]
    held = [os.open(path, os.O_RDONLY) for path in paths]
    done("protect", *paths, "--recipient", recipient)
    for descriptor, secret in zip(held, secrets, strict=True):
        assert os.pread(descriptor, len(secret), 0) == bytes(len(secret))
        os.close(descriptor)
    after = done("show", *paths)["keys"]
    assert [{**each, "protected": "no"} for each in after] == before
    assert {each["protected"] for each in after} == {"recipients"}
    told = run("show", *paths).output
    assert "closed to age recipients" in told
    for secret in secrets:
        assert secret.split(b" ")[-1].split(b"+", 4)[-1].decode().strip() not in told
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    done("unprotect", *paths)
    assert [path.read_bytes() for path in paths] == secrets
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_a_passphrase_closes_and_a_wrong_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a file, never from the command line; a wrong one is exit code 3 and changes nothing."""
    path, word = tmp_path / "signing.key", tmp_path / "word"
    SigningKey.generate().save(path)
    public = SigningKey.load(path).public
    word.write_text("correct horse\n")
    word.chmod(0o600)
    monkeypatch.setenv("INCAMERA_PASSPHRASE_FILE", str(word))
    done("protect", path, "--passphrase")
    assert SigningKey.load(path).public == public
    closed = path.read_bytes()
    word.write_text("wrong horse\n")
    for verb in ("show", "unprotect"):
        ran = run(verb, path)
        assert isinstance(ran.exception, InputError)
        assert ran.exception.exit_code == 3
        assert "horse" not in ran.exception.message
    assert path.read_bytes() == closed


def typed(arguments: list[str], words: list[str]) -> tuple[int, str]:
    """Run ``incamera`` on a terminal of its own and type a word at each question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "incamera", *arguments])
    shown, left = b"", list(words)
    while True:
        try:
            got = os.read(terminal, 4096)
        except OSError:
            break
        if not got:
            break
        shown += got
        if (b"passphrase" in got or b"same again" in got) and left:
            os.write(terminal, left.pop(0).encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


def test_a_passphrase_is_asked_on_a_terminal_and_not_shown(tmp_path: Path) -> None:
    """Twice for a new one; a slip of the finger changes nothing; a wrong one is exit code 3."""
    path = tmp_path / "signing.key"
    SigningKey.generate().save(path)
    before = path.read_bytes()
    protect, show = ["keys", "protect", str(path), "--passphrase"], ["keys", "show", str(path)]
    code, shown = typed(protect, ["correct horse", "corect horse"])
    assert code == 3, shown
    assert "differ" in shown
    assert path.read_bytes() == before
    code, shown = typed(protect, ["correct horse", "correct horse"])
    assert code == 0, shown
    assert keyfile.protection(path.read_bytes()) == "passphrase"
    code, shown = typed(show, ["correct horse"])
    assert code == 0, shown
    assert "closed to a passphrase" in shown
    assert "horse" not in shown
    code, shown = typed(show, ["wrong horse"])
    assert code == 3, shown
    assert "cannot be opened" in shown
    assert "horse" not in shown


def test_what_cannot_be_closed_is_left_alone(tmp_path: Path, recipient: str) -> None:
    """One bad path and none is touched; no way to close, or two, is a wrong usage."""
    path, other = tmp_path / "signing.key", tmp_path / "photo.jpg"
    SigningKey.generate().save(path)
    other.write_bytes(b"\xff\xd8 not a key")
    other.chmod(0o600)
    before = path.read_bytes()
    for arguments in (
        ("protect", path, other, "--recipient", recipient),
        ("protect", path, "--recipient", "age1nonsense"),
        ("protect", path, tmp_path / "none", "--recipient", recipient),
    ):
        assert isinstance(run(*arguments).exception, InputError)
        assert path.read_bytes() == before
    assert run("protect", path).exit_code == 2
    assert run("protect", path, "--passphrase", "--recipient", recipient).exit_code == 2
    done("protect", path, "--recipient", recipient)
    assert isinstance(run("protect", path, "--recipient", recipient).exception, InputError)


def test_a_home_whose_keys_are_closed_works(tmp_path: Path, recipient: str) -> None:
    """Every key file of a home, closed: its trustees are tended, and new keys are closed too."""
    now = SystemClock().now()
    root = tmp_path / "home"
    found(root, plan_of("eu"), FixedClock(now - (EPOCH_DAYS - 2) * DAY))
    keys = sorted(root.rglob("*.key"))
    assert len(keys) > 10
    done("protect", *keys, "--recipient", recipient)
    ran = CliRunner().invoke(cli, ["tend", "--home", str(root), "--json"])
    assert ran.exit_code == 0, (ran.output, ran.exception)
    assert [each["announced"] for each in json.loads(ran.stdout)["trustees"]] == [[2]] * 3
    for path in root.rglob("*.key"):
        assert keyfile.protection(path.read_bytes()) == "recipients", path
    assert audit(Home(root).paths).ok


def test_a_backup_holds_keys_and_proof_but_nothing_that_ends_or_moves(
    tmp_path: Path, recipient: str
) -> None:
    """A whole home: no epoch key, no state of log, witness or trustee, nothing public."""
    root, dest = tmp_path / "home", tmp_path / "home.age"
    found(root, plan_of("eu"), SystemClock())
    proof = root / "trustee" / "trustee-de" / "evidence" / f"{'0' * 64}.fork.json"
    proof.parent.mkdir()
    proof.write_bytes(b"{}")
    (root / "trustee" / "trustee-de" / "link.key").symlink_to("/etc/passwd")
    names = done("backup", root, "--to", dest, "--recipient", recipient)["names"]
    assert "operator/signing.key" in names
    assert "log/note.key" in names
    assert "home.toml" in names
    assert proof.relative_to(root).as_posix() in names
    assert "trustee/trustee-de/signing.key" in names
    for left in ("epochs", ".db", "checkpoint", "tree", "batch", "tile", "public", "link"):
        assert not [name for name in names if left in name], left
    assert dest.stat().st_mode & 0o777 == 0o600
    assert keyfile.protection(dest.read_bytes()) == "recipients"
    assert isinstance(
        run("backup", root, "--to", dest, "--recipient", recipient).exception, InputError
    )

    empty = tmp_path / "again"
    assert done("restore", dest, empty)["names"] == names
    for name in names:
        assert (empty / name).read_bytes() == (root / name).read_bytes()
        assert (empty / name).stat().st_mode & 0o777 == 0o600
    assert done("restore", dest, empty)["names"] == []
    (empty / "operator" / "signing.key").unlink()
    SigningKey.generate().save(empty / "operator" / "signing.key")
    (empty / "home.toml").unlink()
    refused = run("restore", dest, empty)
    assert isinstance(refused.exception, IntegrityError)
    assert not (empty / "home.toml").exists()


def test_a_trustee_that_lost_its_disk_comes_back_with_a_new_epoch(
    tmp_path: Path, recipient: str
) -> None:
    """From the backup: its name and key, all of the log read again, and no old share opened."""
    root, dest = tmp_path / "home", tmp_path / "trustee.age"
    found(root, plan_of("eu"), SystemClock())
    home = Home(root)
    folder = home.paths.trustee("trustee-de")
    done("backup", folder, "--to", dest, "--recipient", recipient)
    shutil.rmtree(folder)
    done("restore", dest, folder)
    trustee = home.trustee(Name("trustee-de"))
    told = trustee.tend()
    assert told.announced == (2,)
    assert any("not here" in each for each in told.said)
    assert trustee.state.size == home.log.size
    assert trustee.keys.epochs() == [2]
    trustee.close()
    assert audit(home.paths).ok


def smuggled(recipient: str, name: str, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A backup that holds what none may hold."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    return keyfile.closed(packed.getvalue(), [recipient], armored=False)


def test_a_backup_that_holds_what_none_may_hold_is_refused(tmp_path: Path, recipient: str) -> None:
    """Paths that lead out, links, epoch keys, rubbish, nothing: an error, and nothing written."""
    names = ["../signing.key", "/tmp/signing.key", "epochs/1.key", "a/epochs/1.key", "state.db"]
    bad = [smuggled(recipient, name) for name in names]
    bad += [smuggled(recipient, "a.key", kind) for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)]
    bad += [keyfile.closed(b"rubbish", [recipient]), keyfile.closed(b"", [recipient]), b"plain"]
    for data in bad:
        (tmp_path / "bad.age").write_bytes(data)
        assert isinstance(
            run("restore", tmp_path / "bad.age", tmp_path / "to").exception, InputError
        )
        assert not (tmp_path / "to").exists()
    assert isinstance(run("restore", tmp_path / "none", tmp_path / "to").exception, InputError)
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", tmp_path / "none"):
        ran = run("backup", source, "--to", tmp_path / "x", "--recipient", recipient)
        assert isinstance(ran.exception, InputError)


def test_what_belongs_in_a_backup_is_told_by_name() -> None:
    """Below a party's folder; the name of an epoch's folder keeps its keys out at any depth."""
    assert kept(PurePosixPath("signing.key"))
    assert kept(PurePosixPath("evidence/abc.fork.json"))
    for needed in ("serve.toml", "card.json", "tlog-policy", "token"):  # or it could not be served
        assert kept(PurePosixPath(needed))
    assert not kept(PurePosixPath("public/tlog-policy"))
    assert not kept(PurePosixPath("trustee/de/epochs/4.key"))
    assert not kept(PurePosixPath("state/checkpoint"))
    assert not kept(PurePosixPath("own.db"))
