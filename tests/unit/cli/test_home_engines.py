# SPDX-License-Identifier: Apache-2.0
"""A home whose parties work with more than its folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from incamera.cli.main import cli
from incamera.errors import InputError


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A founded region."""
    place = tmp_path_factory.mktemp("engines") / "home"
    made = CliRunner().invoke(cli, ["init", str(place), "--region", "eu"])
    assert made.exit_code == 0, made.output
    return place


@pytest.mark.parametrize(
    ("party", "engine"),
    [
        ("vault", '[blobs]\nurl = "s3://capsules"\n'),
        ("vault", '[database]\nurl = "postgresql://db.example.org/incamera"\n'),
        ("log", '[leader]\ndatabase = "postgresql://db.example.org/incamera"\n'),
    ],
)
def test_a_home_is_not_worked_in_past_the_engines_its_parties_are_served_with(
    home: Path, party: str, engine: str
) -> None:
    """Else capsules in a bucket would be called lost, and a log written past its leader."""
    config = home / party / "serve.toml"
    before = config.read_text()
    config.write_text(f"{before}\n{engine}")
    try:
        said = CliRunner().invoke(cli, ["list", "--home", str(home), "--json"])
    finally:
        config.write_text(before)
    assert isinstance(said.exception, InputError), said.output
    assert "--url" in str(said.exception.hint)
    assert json.loads(CliRunner().invoke(cli, ["list", "--home", str(home), "--json"]).stdout)
