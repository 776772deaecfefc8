# SPDX-License-Identifier: Apache-2.0
"""Private key files: readable by their owner alone, or closed with age.

A key file holds one line. It may lie there as it is, mode 0600, or closed in an age file (C2SP
age v1), to a passphrase or to age recipients; the ``age`` tool opens and makes the same files.
What opens it is never on a command line:

- a passphrase from the file that ``INCAMERA_PASSPHRASE_FILE`` names, or from systemd's credential
  ``incamera-passphrase``, or asked on a terminal;
- identities (``AGE-SECRET-KEY-1...``) from the file that ``INCAMERA_IDENTITY_FILE`` names, or from
  the credential ``incamera-identity``.

A passphrase costs a second and 128 MB or more for each file it opens (scrypt): machines that
start by themselves do better with an identity. No message shows what a file holds.
"""

from __future__ import annotations

import base64
import binascii
import functools
import getpass
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from incamera.errors import InputError, UnavailableError

__all__ = ["Protection", "closed", "closed_like", "opened", "protection", "read", "recipient"]

Protection = Literal["no", "passphrase", "recipients"]
"""How a file is closed."""

_MAX = 1 << 16
_BINARY = b"age-encryption.org/v1\n"
_ARMOR = b"-----BEGIN AGE ENCRYPTED FILE-----\n"


def _age() -> Any:
    """The library, loaded where a closed file is met: most key files are open ones."""
    import pyrage  # type: ignore[import-untyped]

    return pyrage


def protection(data: bytes) -> Protection:
    """How ``data``, the content of a file, is closed: told from its first lines, not checked."""
    head = data[:4096]
    if head.startswith(_ARMOR):
        try:
            head = base64.b64decode(head.split(b"\n")[1] + head.split(b"\n")[2])
        except (IndexError, binascii.Error):
            return "recipients"  # damaged: opening it will say so
    elif not head.startswith(_BINARY):
        return "no"
    return "passphrase" if head.startswith(_BINARY + b"-> scrypt ") else "recipients"


def read(path: Path) -> bytes:
    """What the key file at ``path`` holds, opened if it is closed.

    :class:`InputError` if there is none, if others may read it while it is not closed, or if it
    cannot be opened with what is at hand; :class:`UnavailableError` if the disk fails.
    """
    data, mode = _content(path, "key file")
    if protection(data) == "no":
        _private(path, mode, "private key", "make a new key")
        return data
    return opened(data, str(path))


def opened(data: bytes, where: str) -> bytes:
    """What the age file ``data`` holds; :class:`InputError` if nothing at hand opens it."""
    try:
        if protection(data) == "passphrase":
            return bytes(_age().passphrase.decrypt(data, _passphrase(where)))
        return bytes(_age().decrypt(data, _identities(where)))
    except _age().DecryptError as error:
        _asked.cache_clear()
        raise InputError(
            f"{where}: cannot be opened: the passphrase or identity is a wrong one, or the file "
            "is damaged",
            hint="see INCAMERA_PASSPHRASE_FILE or INCAMERA_IDENTITY_FILE, or type it again",
        ) from error


def closed(data: bytes, recipients: Sequence[str] = (), *, armored: bool = True) -> bytes:
    """``data`` as an age file: to ``recipients`` (``age1...``), or with a new passphrase.

    The passphrase comes as for opening; on a terminal it is asked twice.
    """
    if not recipients:
        return bytes(_age().passphrase.encrypt(data, _passphrase("", new=True), armored=armored))
    to = [recipient(each) for each in recipients]
    return bytes(_age().encrypt(data, to, armored=armored))


def closed_like(data: bytes, sibling: Path) -> bytes:
    """``data`` closed as the key file ``sibling`` is: as it is, or to who can open that one.

    For keys that are made while nobody watches. Of recipients a file does not tell the names, so
    it is the identities at hand that can open the new one.
    """
    kept, _ = _content(sibling, "key file")
    match protection(kept):
        case "no":
            return data
        case "passphrase":
            opened(kept, str(sibling))  # a new file under a mistyped passphrase is a lost one
            word = _passphrase(str(sibling))
            return bytes(_age().passphrase.encrypt(data, word, armored=True))
        case _:
            able = [each.to_public() for each in _identities(str(sibling)) if _opens(kept, each)]
            if not able:
                raise InputError(
                    f"{sibling}: none of the identities at hand opens it",
                    hint="see INCAMERA_IDENTITY_FILE",
                )
            return bytes(_age().encrypt(data, able, armored=True))


def recipient(text: str) -> Any:
    """An age recipient from ``age1...``; :class:`InputError` if it is none."""
    try:
        return _age().x25519.Recipient.from_str(text)
    except _age().RecipientError as error:
        raise InputError(
            f"not an age recipient: {text!r:.80}",
            hint="it begins with age1 and is made with: age-keygen -o identity.txt",
        ) from error


def _opens(data: bytes, identity: Any) -> bool:
    try:
        _age().decrypt(data, [identity])
    except _age().DecryptError:
        return False
    return True


def _content(path: Path, what: str) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(_MAX + 1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such {what}") from error
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read the {what}: {error.strerror}") from error
    if len(data) > _MAX:
        raise InputError(f"{path}: too long for a {what}")
    return data, mode


def _private(path: Path, mode: int, what: str, then: str) -> None:
    if mode & 0o077:
        raise InputError(
            f"{path}: other users may read this {what} (mode {mode:04o})",
            hint=f"chmod 600 {path}; if others may have read it, {then}",
        )


# What opens


def _secret(variable: str, credential: str, what: str) -> tuple[bytes, Path] | None:
    """The content of the file that holds a secret for us, and where it is."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if name := os.environ.get(variable):
        path = Path(name)
    elif folder and (Path(folder) / credential).exists():
        path = Path(folder) / credential
    else:
        return None
    data, mode = _content(path, what)
    if not (folder and path.is_relative_to(folder)):  # systemd guards that folder as a whole
        _private(path, mode, what, "choose a new one")
    return data, path


def _passphrase(where: str, *, new: bool = False) -> str:
    kept = _secret("INCAMERA_PASSPHRASE_FILE", "incamera-passphrase", "passphrase file")
    if kept is None:
        return _asked(where, new)
    data, path = kept
    try:
        word = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the passphrase is not UTF-8") from error
    if not word or "\n" in word:
        raise InputError(f"{path}: expected one line with a passphrase")
    return word


@functools.lru_cache(maxsize=1)
def _asked(where: str, new: bool) -> str:
    """Asked once for each file, and not again while that one is used."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"{where or 'new key file'}: takes a passphrase, and nobody can be asked for it",
            hint="put it into a file of mode 0600 and name that in INCAMERA_PASSPHRASE_FILE",
        )
    word = getpass.getpass(f"passphrase for {where}: " if where else "new passphrase: ")
    if new and word != getpass.getpass("the same again: "):
        raise InputError("the two passphrases differ: nothing was changed")
    if not word:
        raise InputError("an empty passphrase protects nothing")
    return word


def _identities(where: str) -> list[Any]:
    kept = _secret("INCAMERA_IDENTITY_FILE", "incamera-identity", "identity file")
    if kept is None:
        raise InputError(
            f"{where}: closed to an age recipient, and no identity is at hand",
            hint="name the file with AGE-SECRET-KEY-1... (mode 0600) in INCAMERA_IDENTITY_FILE",
        )
    data, path = kept
    try:
        lines = [line.strip() for line in data.decode("utf-8").split("\n")]
        wanted = [line for line in lines if line and not line.startswith("#")]
        found: list[Any] = [_age().x25519.Identity.from_str(line) for line in wanted]
    except (UnicodeDecodeError, _age().IdentityError) as error:
        raise InputError(f"{path}: not a file of age identities (AGE-SECRET-KEY-1...)") from error
    if not found:
        raise InputError(f"{path}: holds no age identity")
    return found
