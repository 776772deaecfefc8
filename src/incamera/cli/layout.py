# SPDX-License-Identifier: Apache-2.0
"""Where each party's things lie in a home folder, and the few settings that are not in the log."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from incamera import durable
from incamera.errors import InputError
from incamera.ids import Name, Region, parse_name

__all__ = ["Layout", "Settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """``home.toml``: what `init` was told and each verb needs. Everything else is in the log."""

    region: Region
    witnesses: int  # how many there are
    trustees: tuple[str, ...]
    threshold: int  # of the trustees
    retention: int  # days
    purposes: tuple[str, ...]  # what the owner consents to

    def save(self, path: Path) -> None:
        """Write the settings, durably."""
        lines = ["# written by `incamera init`; the log's first entry binds these values"]
        for name, value in asdict(self).items():
            shown = list(value) if isinstance(value, tuple) else value
            lines.append(f"{name} = {shown!r}".replace("'", '"'))
        durable.write(path, ("\n".join(lines) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Read what :meth:`save` wrote, strictly; the error names the key."""
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise InputError(
                f"{path.parent}: not an incamera home (no home.toml)",
                hint=f"make one with: incamera init {path.parent} --region eu",
            ) from error
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as TOML: {error}") from error
        kinds = {
            "region": str,
            "witnesses": int,
            "trustees": list,
            "threshold": int,
            "retention": int,
            "purposes": list,
        }
        for key in found.keys() ^ kinds.keys():
            raise InputError(f"{path}: {'unknown' if key in found else 'missing'} key {key!r}")
        for key, kind in kinds.items():
            if type(found[key]) is not kind:
                raise InputError(f"{path}: {key} must be of type {kind.__name__}")
        return cls(
            region=Region(parse_name(found["region"], f"{path}: region")),
            witnesses=found["witnesses"],
            trustees=tuple(parse_name(each, f"{path}: trustees") for each in found["trustees"]),
            threshold=found["threshold"],
            retention=found["retention"],
            purposes=tuple(parse_name(each, f"{path}: purposes") for each in found["purposes"]),
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths inside a home. Nobody reaches into another party's folder but through these."""

    root: Path

    @property
    def settings(self) -> Path:
        """``home.toml``."""
        return self.root / "home.toml"

    @property
    def public(self) -> Path:
        """What any static web server may serve."""
        return self.root / "public"

    @property
    def log_policy(self) -> Path:
        """The C2SP tlog-policy: whom to trust to read the log."""
        return self.public / "tlog-policy"

    @property
    def log(self) -> Path:
        """Log key and sequencer state."""
        return self.root / "log"

    @property
    def vault(self) -> Path:
        """Capsules, index, the vault's key."""
        return self.root / "vault"

    @property
    def operator(self) -> Path:
        """The operator's signing key."""
        return self.root / "operator" / "signing.key"

    @property
    def car(self) -> Path:
        """The car: key, consent, spool, journal."""
        return self.root / "car"

    @property
    def consent(self) -> Path:
        """What the owner consented to; without it the car looks at nothing."""
        return self.car / "consent.json"

    @property
    def owner(self) -> Path:
        """The owner's keys."""
        return self.root / "owner"

    def witness(self, number: int) -> Path:
        """Witness ``number`` (1, 2 ...)."""
        return self.root / "witness" / f"witness-{number}"

    def trustee(self, name: str) -> Path:
        """A trustee's keys and its own reading of the log."""
        return self.root / "trustee" / name

    def reader(self, name: str) -> Path:
        """A reader's keys and the grants it received."""
        return self.root / "reader" / parse_name(name, "reader")

    def public_text(self, folder: str, name: Name | str) -> Path:
        """A text beside the log: ``policy/<digest>.cedar``, ``campaign/<digest>.toml`` ..."""
        return self.public / folder / name
