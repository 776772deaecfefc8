# SPDX-License-Identifier: Apache-2.0
"""What an owner meant to erase by vehicle and hours, noted until it is certified.

An erasure empties the vault's rows: from then on nobody can tell what a vehicle's hours held. So it
is noted here first, or an erasure that was interrupted could not be certified whole.

===========================  ===============================  =================================
dies                         on disk                          the same command again
===========================  ===============================  =================================
before the note has a name   nothing                          begins
before all is in the log     the note                         erases what is left
before the certificate       the note                         certifies all that the note names
before the note is removed   note and certificate             the same certificate again
===========================  ===============================  =================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.cli.desk import Desk
from incamera.encoding import canonical, exact_keys, is_version, parse_canonical
from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, digest, parse_digest

__all__ = ["Meant"]


@dataclass(frozen=True, slots=True)
class Meant:
    """The note of one choice, in the folder of the owner's keys."""

    path: Path
    chosen: dict[str, str | None]

    @classmethod
    def of(
        cls, desk: Desk, *, vehicle: str | None, since: str | None, until: str | None
    ) -> Meant | None:
        """None if nothing of it is given: digests, and all, are found in the log again."""
        chosen = {"vehicle": vehicle, "since": since, "until": until}
        if all(each is None for each in chosen.values()):
            return None
        home = desk.home_paths
        folder = desk.folder(desk.owner().name) if home is None else home.owner
        return cls(folder / f"erasing-{digest(canonical(chosen))[:16]}.json", chosen)

    @property
    def names(self) -> list[Digest]:
        """The capsules noted; :class:`InputError` if the file is not as it was written."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnavailableError(f"{self.path}: cannot be read: {error.strerror}") from error
        where = str(self.path)
        said = exact_keys(parse_canonical(data, where), ("v", "capsules", *self.chosen), where)
        names = said["capsules"]
        if not is_version(said["v"], 1) or not isinstance(names, list):
            raise InputError(f"{where}: not a note of what is to be erased", hint="remove it")
        return [parse_digest(each, where) for each in names]

    def note(self, names: Sequence[Digest]) -> None:
        """These are meant, until :meth:`done`."""
        value = {"v": 1, **self.chosen, "capsules": list(names)}
        durable.write(self.path, canonical(value), mode=0o600)

    def done(self) -> None:
        """They are certified."""
        durable.remove(self.path)
