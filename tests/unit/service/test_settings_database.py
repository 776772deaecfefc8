# SPDX-License-Identifier: Apache-2.0
"""``[database]`` of a vault: where it is, and nothing secret in the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.errors import InputError
from incamera.service.settings_database import DatabaseSettings
from incamera.service.toml import read_table


def taken(folder: Path, text: str) -> DatabaseSettings | None:
    """From a file with this text."""
    file = folder / "vault.toml"
    file.write_text(text)
    table = read_table(file)
    found = DatabaseSettings.take(table)
    table.done()
    return found


def test_without_a_database_there_is_none(tmp_path: Path) -> None:
    """The embedded default."""
    assert taken(tmp_path, "") is None


def test_a_database_and_its_password_file_are_read(tmp_path: Path) -> None:
    """The password's file goes along in the URL, as libpq has it."""
    (tmp_path / "pgpass").write_text("db:5432:eu:vault:secret")
    (tmp_path / "pgpass").chmod(0o600)
    url = "postgresql://vault@db/eu?sslmode=verify-full"
    found = taken(tmp_path, f'[database]\nurl = "{url}"\npassfile = "pgpass"\nconnections = 3\n')
    assert found == DatabaseSettings(f"{url}&passfile={tmp_path / 'pgpass'}", 3)
    assert taken(tmp_path, '[database]\nurl = "postgresql://db/eu"\n') == DatabaseSettings(
        "postgresql://db/eu", 8
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('url = "mysql://db/eu"', "not a database"),
        ('url = "postgresql://db"', "not a database"),
        ('url = "postgresql:///eu"', "not a database"),
        ('url = "postgresql://vault:secret@db/eu"', "holds a password"),
        ('url = "postgresql://vault@db/eu?password=secret"', "holds a password"),
        ('url = "postgresql://vault@db/eu"\nconnections = 1', "connections"),
        ('url = "postgresql://vault@db/eu"\npassfile = "open"', "other users"),
        ('url = "postgresql://vault@db/eu"\nuser = "x"', "unknown key"),
        ("connections = 3", "url"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    """And a password is never repeated."""
    (tmp_path / "open").write_text("x")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(InputError, match=said) as caught:
        taken(tmp_path, f"[database]\n{text}\n")
    assert "secret" not in str(caught.value)
