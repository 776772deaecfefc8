# SPDX-License-Identifier: Apache-2.0
"""Which files of a folder are done, so that a run that was stopped goes on where it was.

Lives in ``DEST/.incamera-redact`` while a run is unfinished, and goes when it ends. For each
source file two files, named by the digest of its relative path:

- ``<name>.jsonl``: its lines of the report;
- ``<name>.json``: the seal, written last: digests of the source, of the settings (models, fill,
  thresholds) and of the output. A file is done only if all three still hold, so an output of
  another source, of another setting, or altered since, is made again.

Order of writing: output, lines, seal; each appears whole or not at all. A crash in between
repeats one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from incamera import durable
from incamera.encoding import canonical, exact_keys, parse_json
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, digest

__all__ = ["FOLDER", "Done", "Journal", "file_digest", "settings_digest"]

FOLDER = ".incamera-redact"
_KEYS = ("source", "settings", "output", "frames", "boxes")


@dataclass(frozen=True, slots=True)
class Done:
    """What was counted in one finished file."""

    frames: int
    boxes: int
    kept: bool = False  # by an earlier run


class Journal:
    """The journal of one run over a folder."""

    def __init__(self, dest: Path, settings: Digest) -> None:
        self._folder = dest / FOLDER
        self._settings = settings

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Hold the journal for one run; it is removed if the run comes to its end."""
        durable.folder(self._folder)
        with durable.lock(self._folder / "lock"):
            yield
            shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, relative: str, suffix: str) -> Path:
        name = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).hexdigest()
        return self._folder / (name + suffix)

    def done(self, relative: str, source: Path, output: Path) -> Done | None:
        """The counts of ``relative`` if an earlier run finished it and nothing changed since."""
        seal = self._path(relative, ".json")
        if not seal.is_file() or not output.is_file() or output.is_symlink():
            return None
        try:
            said = exact_keys(parse_json(seal.read_bytes(), str(seal)), _KEYS, str(seal))
            holds = (
                self._path(relative, ".jsonl").is_file()
                and said["settings"] == self._settings
                and said["source"] == file_digest(source)
                and said["output"] == file_digest(output)
            )
            return Done(int(said["frames"]), int(said["boxes"]), kept=True) if holds else None
        except (InputError, OSError, ValueError, TypeError):
            return None  # torn, or not ours: the file is simply made again

    @contextlib.contextmanager
    def lines(self, relative: str) -> Iterator[BinaryIO]:
        """Where the report lines of ``relative`` go."""
        with durable.atomic(self._path(relative, ".jsonl")) as file:
            yield file

    def seal(self, relative: str, source: Path, output: Path, done: Done) -> None:
        """``relative`` is finished: its output and its lines are on disk."""
        said = {
            "source": file_digest(source),
            "settings": self._settings,
            "output": file_digest(output),
            "frames": done.frames,
            "boxes": done.boxes,
        }
        durable.write(self._path(relative, ".json"), canonical(said))

    def write_report(self, relatives: list[str], report: Path) -> None:
        """All lines, file after file, as one report."""
        with durable.atomic(report) as file:
            for relative in relatives:
                with self._path(relative, ".jsonl").open("rb") as part:
                    shutil.copyfileobj(part, file)


def file_digest(path: Path) -> Digest:
    """SHA-256 of a file, read in pieces."""
    try:
        with path.open("rb") as file:
            return Digest(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise UnavailableError(f"{path}: cannot read: {error.strerror}") from error


def settings_digest(*parts: object) -> Digest:
    """One digest for all that shapes an output besides its source."""
    return digest("\n".join(map(repr, parts)).encode())
