# SPDX-License-Identifier: Apache-2.0
"""Recordings of every known format, told apart by what is there.

A format is one module with ``recognise`` and ``read``, and one line in :data:`READERS`; the
first that recognises a path reads it. ``docs/formats/recordings.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from incamera.errors import InputError
from incamera.recording import mcap_reader, sidecar, teslacam
from incamera.recording.folders import walk
from incamera.recording.model import Recording
from incamera.recording.sidecar import Options

__all__ = ["READERS", "Options", "Reader", "open_recordings"]


@dataclass(frozen=True, slots=True)
class Reader:
    """One format: whether a path is of it, and the recordings in it."""

    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path, Options], Iterator[Recording]]
    others: Callable[[Sequence[str]], list[str]] | None = None
    """Where a path may be a folder: of the names in one, those that ``read`` has no use for."""


def _placed(
    read: Callable[[Path], Iterator[Recording]],
) -> Callable[[Path, Options], Iterator[Recording]]:
    """For formats that may lack positions: those of ``Options.positions``, if it is given."""
    return lambda path, options: sidecar.place(read(path), options)


READERS = (
    Reader("TeslaCam", teslacam.recognise, _placed(teslacam.read), teslacam.others),
    Reader("MCAP", mcap_reader.recognise, _placed(mcap_reader.read)),
    Reader("video or picture, GPX or SRT beside it", sidecar.recognise, sidecar.read),
)


_FILMS = frozenset(
    (
        *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
        *(".flv", ".3gp", ".mcap", ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"),
    )
)


def open_recordings(path: Path, options: Options | None = None) -> Iterator[Recording]:
    """The recordings at ``path``, one after the other.

    ``path``: a file, a folder of a known format, or a folder of files each read on its own; also
    both: what lies loose beside a folder of a known format comes after it.
    :class:`InputError` if there is nothing, or a single file cannot be read. What cannot be read
    in a folder is in its recording's ``faults``.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    options = options or Options()
    found = False
    for recording in _read(path, options):
        found = True
        yield recording
    if not found:
        raise InputError(f"{path}: no recording in it")


def _read(path: Path, options: Options) -> Iterator[Recording]:
    reader = next((reader for reader in READERS if reader.recognise(path)), None)
    if reader is None:
        if options.positions is not None:
            raise InputError(f"{path}: one file of positions cannot serve a folder of recordings")
        yield from _read_each(path, options, list)
        return
    yield from reader.read(path, options)
    if reader.others is not None and path.is_dir():
        yield from _read_each(path, options, reader.others, loose=True)


def _read_each(
    folder: Path,
    options: Options,
    chosen: Callable[[Sequence[str]], list[str]],
    *,
    loose: bool = False,
) -> Iterator[Recording]:
    """The ``chosen`` files of a folder, each on its own; hidden ones and sidecars are left out.

    ``loose``: what lies beside recordings of another format, unreadable folders of which are named
    already. There is music on such a stick, too: only what is called as a film or picture counts.
    """
    refused: list[tuple[Path, str]] = []
    for here, names in walk(folder, refused=lambda where, why: refused.append((where, why))):
        seen = [name for name in chosen(names) if not name.startswith(".")]
        for path in (here / name for name in sidecar.without_sidecars(seen)):
            if loose and path.suffix.lower() not in _FILMS:
                continue
            yield from _read_one(path, folder, options)
    for where, why in () if loose else refused:
        name = where.relative_to(folder).as_posix()
        yield Recording(name, {}, sources=[where], faults=[f"set aside: {why}"])


def _read_one(path: Path, folder: Path, options: Options) -> Iterator[Recording]:
    relative = path.relative_to(folder)
    try:
        if not path.is_file():
            return
        if options.positions is not None:
            raise InputError(f"{path}: beside the recordings that the file of positions is for")
        for recording in _read(path, options):
            yield replace(recording, name=(relative.parent / recording.name).as_posix())
    except InputError as error:
        why = f"{error}" + (f" ({error.hint})" if error.hint else "")
        yield Recording(relative.as_posix(), {}, sources=[path], faults=[f"set aside: {why}"])
    except OSError as error:
        why = f"{path}: cannot read: {error.strerror}"
        yield Recording(relative.as_posix(), {}, sources=[path], faults=[f"set aside: {why}"])
