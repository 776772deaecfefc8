# SPDX-License-Identifier: Apache-2.0
"""What of a party's folder may be backed up: what cannot be made again, and must not move.

Kept: long-term keys, the log's token, settings, evidence of a fork. Left out, and never asked for:

- epoch keys: a copy would outlive their destruction, and with it the promise that capsules end.
  What a lost disk costs is one share of each capsule, which the threshold allows for;
- what is public, but for the tlog-policy that the party believes;
- what moves on (a witness's state, a log's tree, what a trustee remembers): put back, it would
  claim less than was signed since. It is read again, from the log and its witnesses.

The file is a tar, closed with age: ``age -d FILE | tar x`` opens it without us.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from incamera import durable, keyfile
from incamera.errors import InputError, IntegrityError

__all__ = ["back_up", "kept", "put_back"]

_NAMES = ("consent.json", "card.json", "tlog-policy", "token")
_SUFFIXES = (".key", ".toml", ".fork.json", ".suspect.note")
_LEFT = ("epochs", "public", "blobs")
_MAX_FILE = 1 << 22
_MAX_ALL = 1 << 26


def kept(name: PurePosixPath) -> bool:
    """True if the file of this name, relative to a party's folder, belongs in a backup."""
    if name.is_absolute() or ".." in name.parts or not name.parts:
        return False
    if any(part in _LEFT for part in name.parts[:-1]):
        return False
    return name.name in _NAMES or name.name.endswith(_SUFFIXES)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(each for each in folders if each not in _LEFT)
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder)


def back_up(folder: Path, dest: Path, recipients: Sequence[str]) -> list[str]:
    """Close what is to be kept of ``folder`` into the new file ``dest``; the names in it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if dest.exists():
        raise InputError(f"{dest}: exists already", hint="name a file that does not exist yet")
    names = [each for each in _files(folder) if kept(PurePosixPath(each))]
    if not names:
        raise InputError(f"{folder}: holds nothing to back up", hint="name a party's folder")
    durable.write(
        dest, keyfile.closed(_packed(folder, names), recipients, armored=False), mode=0o600
    )
    return [each.as_posix() for each in names]


def _packed(folder: Path, names: Sequence[Path]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            data = (folder / name).read_bytes()
            if len(data) > _MAX_FILE or packed.tell() > _MAX_ALL:
                raise InputError(f"{folder / name}: too long for a backup of keys")
            info = tarfile.TarInfo(name.as_posix())
            info.size, info.mode = len(data), 0o600
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def put_back(source: Path, folder: Path) -> list[str]:
    """Open the backup ``source`` into ``folder``; the names of the files that were not there.

    A file that is there with other bytes is never replaced: :class:`IntegrityError`, and nothing
    is written. :class:`InputError` for what is no backup of ours.
    """
    try:
        data = source.read_bytes()
    except OSError as error:
        raise InputError(f"{source}: cannot read the backup: {error.strerror}") from error
    if keyfile.protection(data) == "no":
        raise InputError(f"{source}: not a backup: it is not closed with age")
    found = _unpacked(keyfile.opened(data, str(source)), str(source))
    for name, content in found.items():
        path = folder / name
        if path.exists() and path.read_bytes() != content:
            raise IntegrityError(
                f"{path}: is there with other bytes: nothing was put back",
                hint="name an empty folder, and compare",
            )
    new = [name for name in found if not (folder / name).exists()]
    for name in new:
        durable.folder((folder / name).parent, mode=0o700)
        durable.create(folder / name, found[name], mode=0o600)
    return new


def _unpacked(data: bytes, where: str) -> dict[str, bytes]:
    """Name to content. Links, other names and epoch keys, however they got in, are refused."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for info in tar:
                file = tar.extractfile(info) if info.isreg() else None
                if file is None or not kept(PurePosixPath(info.name)) or info.size > _MAX_FILE:
                    raise InputError(f"{where}: holds {info.name!r:.80}, which no backup may hold")
                found[info.name] = file.read()
    except tarfile.TarError as error:
        raise InputError(f"{where}: holds no tar: {error}") from error
    if not found:
        raise InputError(f"{where}: an empty backup")
    return found
