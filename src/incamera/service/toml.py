# SPDX-License-Identifier: Apache-2.0
"""Reading a party's TOML file: each key is asked for once, and what nobody asked for is refused."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from incamera.errors import InputError

__all__ = ["Table", "parse_listen", "read_table"]

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):([0-9]{1,5})", re.ASCII)
_MAX_BYTES = 1 << 20


def parse_listen(text: str, where: str) -> tuple[str, int]:
    """Host and port of ``host:port``; port 0 takes a free one."""
    match = _LISTEN.fullmatch(text)
    if match is None or int(match.group(2)) > 65_535:
        raise InputError(
            f"{where}: not an address: {text!r:.80}", hint="for example 127.0.0.1:8080"
        )
    return match.group(1).strip("[]"), int(match.group(2))


class Table:
    """One table of the file. Each key is asked for once; what nobody asked for is refused."""

    def __init__(self, file: Path, values: Mapping[str, Any], name: str = "") -> None:
        self._file = file
        self._left = dict(values)
        self._name = f"{name}." if name else ""

    def where(self, key: str) -> str:
        """How ``key`` is called in messages."""
        return f"{self._file}: {self._name}{key}"

    def _take(self, key: str, kind: type, default: Any = None) -> Any:
        if key not in self._left:
            if default is None:
                raise InputError(f"{self._file}: missing key {self._name + key!r}")
            return default
        value = self._left.pop(key)
        if type(value) is not kind:
            raise InputError(f"{self.where(key)} must be of type {kind.__name__}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A string."""
        value: str = self._take(key, str, default)
        return value

    def texts(self, key: str) -> list[str]:
        """A list of strings; empty if it is not given."""
        found = self._take(key, list, [])
        if any(type(each) is not str for each in found):
            raise InputError(f"{self.where(key)} must be a list of strings")
        return list(found)

    def one_or_more(self, key: str) -> list[str]:
        """A string, or a list of strings that is not empty."""
        if type(self._left.get(key)) is str:
            return [self.text(key)]
        found = self._take(key, list)
        if not found or any(type(each) is not str for each in found):
            raise InputError(f"{self.where(key)} must be a string, or a list of strings")
        return list(found)

    def number(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number, ``low`` to ``high``."""
        value: int = self._take(key, int, default)
        if not low <= value <= high:
            raise InputError(f"{self.where(key)} must be {low} to {high}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value: bool = self._take(key, bool, default)
        return value

    def folder(self, key: str) -> Path:
        """A path, from the folder of the file."""
        return self._file.parent / self.text(key)

    def file(self, key: str) -> Path:
        """A path to a file that is there."""
        path = self.folder(key)
        if not path.is_file():
            raise InputError(f"{self.where(key)}: no such file: {path}")
        return path

    def optional_file(self, key: str) -> Path | None:
        """As :meth:`file`; None if the key is not given."""
        return self.file(key) if key in self._left else None

    def table(self, key: str) -> Table:
        """A table that must be there."""
        return Table(self._file, self._take(key, dict), f"{self._name}{key}")

    def optional_table(self, key: str) -> Table:
        """A table; empty if it is not given."""
        return Table(self._file, self._take(key, dict, {}), f"{self._name}{key}")

    def tables(self, key: str, *, optional: bool = False) -> list[Table]:
        """An array of tables."""
        found = self._take(key, list, [] if optional else None)
        if not (found or optional) or any(type(each) is not dict for each in found):
            raise InputError(f"{self.where(key)} must be one or more [[{key}]] tables")
        return [Table(self._file, each, f"{key}[{at}]") for at, each in enumerate(found)]

    def names(self) -> list[str]:
        """The keys nobody asked for yet."""
        return sorted(self._left)

    def done(self) -> None:
        """Refuse what nobody asked for."""
        if self._left:
            unknown = ", ".join(repr(self._name + key) for key in sorted(self._left))
            raise InputError(f"{self._file}: unknown key {unknown:.300}")


def read_table(file: Path) -> Table:
    """The whole file; :class:`InputError` if it is no TOML."""
    try:
        data = file.read_bytes()
        if len(data) > _MAX_BYTES:
            raise ValueError(f"longer than {_MAX_BYTES} bytes")
        return Table(file, tomllib.loads(data.decode("utf-8")))
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file}: not valid TOML: {error}") from error
