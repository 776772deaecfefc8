# SPDX-License-Identifier: Apache-2.0
"""A campaign is read strictly, and a refusal says where."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from incamera.errors import InputError
from incamera.trigger import Campaign, default_campaign
from incamera.trigger.campaign import _RANGES, RULES, HardBrake, Rule

HEAD = 'version = 1\nname = "test"\n'
ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "version"),
        ('version = 2\nname = "x"\n[honk]', "line 1: version"),
        ('version = true\nname = "x"\n[honk]', "line 1: version"),
        ('version = 1\nname = "Not A Name"\n[honk]', "name: not a name"),
        ("version = 1\n[honk]", "name: not a name"),
        (HEAD, "no trigger is on"),
        (HEAD + "[honk] 3", "not TOML.*line 3"),
        (HEAD + "[honk]\n[honk]", "not TOML"),
        (HEAD + "[horn]", r"line 3: horn: unknown"),
        (HEAD + "honk = 1", r"line 3: honk: has to be a table"),
        (HEAD + "[[honk]]", r"line 3: honk: has to be a table"),
        (HEAD + "[honk]\nbefore = 5\nbeyond = 3", r"line 5: \[honk\] beyond: unknown"),
        (HEAD + "[honk]\nrate = 30", r"line 4: \[honk\] rate: unknown"),
        (HEAD + '[honk]\nbefore = "5"', r"line 4: \[honk\] before: has to be a number"),
        (HEAD + "[honk]\nbefore = true", "line 4.*has to be a number"),
        (HEAD + "[honk]\nbefore = nan", "line 4.*out of range 0 to 120"),
        (HEAD + "[honk]\nbefore = inf", "line 4.*out of range"),
        (HEAD + "[honk]\nbefore = -1", "line 4.*out of range"),
        (HEAD + "[honk]\n[hard-brake]\ndeceleration = 99", r"line 5: \[hard-brake\] deceleration"),
        (HEAD + "[sample]\nevery = 2.5", "line 4.*whole number"),
        (HEAD + "[sample]\nevery = 0", "line 4.*out of range"),
        (HEAD + "[sample]\nkey = 7", "line 4.*text"),
        (HEAD + f'[sample]\nkey = "{"k" * 65}"', "line 4.*64"),
        (HEAD + "[honk.deep]\nbefore = 1", r"\[honk\] deep: unknown"),
        (HEAD + "#" * 65536, "at most 65536 bytes"),
    ],
)
def test_a_flaw_is_refused_with_its_place(text: str, complaint: str) -> None:
    """Every flaw is InputError, and the message names the file, the line and the key."""
    with pytest.raises(InputError, match=complaint) as caught:
        Campaign.parse(text.encode(), "c.toml")
    assert caught.value.message.startswith("c.toml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """Broken UTF-8, absurd nesting and a missing file are InputError, too."""
    for data in (b"\xff\xfe", HEAD.encode() + b"a = " + b"[" * 5000):
        with pytest.raises(InputError, match="not TOML"):
            Campaign.parse(data)
    with pytest.raises(InputError, match="cannot read the campaign"):
        Campaign.load(tmp_path / "none.toml")


def test_what_is_left_out_has_its_default() -> None:
    """Whole numbers may stand for decimals; keys left out keep their defaults."""
    text = HEAD + "[hard-brake]\nbefore = 7\n['honk']\n"
    campaign = Campaign.parse(text.encode())
    assert campaign.rules == {"hard-brake": HardBrake(before=7.0), "honk": Rule()}
    assert type(campaign.rules["hard-brake"].before) is float
    assert campaign.digest is not None
    assert len(campaign.digest) == 64


def test_the_default_campaign_says_what_the_code_does(tmp_path: Path) -> None:
    """``default.toml`` lists every key of its motion triggers with the code's own defaults."""
    path = ROOT / "src/incamera/trigger/default.toml"
    campaign = Campaign.load(path)
    assert campaign == default_campaign()
    tables = tomllib.loads(path.read_text())
    for tag in ("hard-brake", "take-over", "swerve"):
        assert campaign.rules[tag] == RULES[tag]()
        assert set(tables[tag]) == set(RULES[tag].__dataclass_fields__)


def test_the_document_names_every_trigger_key_and_range() -> None:
    """docs/formats/campaign.md has a section for each trigger and a row for each key."""
    text = (ROOT / "docs/formats/campaign.md").read_text()
    for tag, rule in RULES.items():
        assert f"`[{tag}]`" in text
        for key in rule.__dataclass_fields__:
            assert f"| `{key}` |" in text
    for key, (low, high) in _RANGES.items():
        assert f"| `{key}` | {low:g} to {high}" in text.replace(" 000", "000"), key
    example = text.split("```toml\n")[1].split("```")[0]
    assert Campaign.parse(example.encode()).rules["hard-brake"] == HardBrake()
