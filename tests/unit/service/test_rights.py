# SPDX-License-Identifier: Apache-2.0
"""Who may do what at the vault's service, as a table: Cedar says no to everything else."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from incamera.service.callers import Caller
from incamera.service.public import KINDS
from incamera.service.rights import ACTIONS, ROLES, NotYoursError, check, permits

BY = ("key", "token", "certificate")

OF_ANYBODY_KNOWN = ("see-exclusions", "set-exclusions", "sweep", "see-status")

MAY: dict[tuple[str, str], set[str]] = {
    ("operator", "key"): {
        "list-capsules",
        "fetch-capsule",
        "publish-policy",
        "publish-campaign",
        "publish-list",
        *OF_ANYBODY_KNOWN,
    },
    ("operator", "token"): {*OF_ANYBODY_KNOWN},
    ("operator", "certificate"): {*OF_ANYBODY_KNOWN},
    ("reader", "key"): {"list-capsules", "fetch-capsule", "publish-list"},
    ("trustee", "key"): {
        "list-capsules",
        "fetch-capsule",
        "publish-list",
        "publish-dealing",
        "publish-commitments",
    },
    ("owner", "key"): {"list-capsules", "publish-list"},
    ("car", "key"): {"begin-upload", "publish-list"},
}
"""Others' things; an owner's own capsule is the one exception."""


@pytest.mark.parametrize(("role", "by"), MAY)
def test_each_role_may_this_and_nothing_else(role: str, by: str) -> None:
    """Every role, however it is known, for every action."""
    assert {each for each, _ in MAY} == set(ROLES)
    may = {action for action in ACTIONS if permits(role, by, action, own=False)}
    assert may == MAY[role, by]
    own = {action for action in ACTIONS if permits(role, by, action, own=True)}
    assert own - may == ({"fetch-capsule"} if role == "owner" else set())


def test_what_nobody_thought_of_is_refused() -> None:
    """A role, an action, or a way to be known that there is not; errors of Cedar's too."""
    for role, by, action in (
        ("mayor", "key", "list-capsules"),
        ("operator", "rumour", "fetch-capsule"),
        ("operator", "key", "delete-everything"),
        ("", "", ""),
    ):
        assert not permits(role, by, action, own=True)
    with pytest.raises(NotYoursError, match="sweep is not for this reader") as caught:
        check(Caller("reader", "acme", None), "sweep")
    assert caught.value.code == "not-yours"


def test_every_text_beside_the_log_has_an_action() -> None:
    """A kind that is added is refused to everybody until the policies name it."""
    assert {f"publish-{kind}" for kind in KINDS} <= set(ACTIONS)


def test_the_page_of_operating_has_the_same_table() -> None:
    """docs/operating/parties.md, row by row."""
    page = (Path(__file__).parents[3] / "docs" / "operating" / "parties.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|$", page, re.MULTILINE)
    told = {action: {each.strip() for each in who.split(",")} for action, who in rows}
    for action, role in itertools.product(ACTIONS, ROLES):
        by = {way for way in BY if (role, way) in MAY and permits(role, way, action, own=True)}
        all_ways = {way for each, way in MAY if each == role}
        expected = all_ways if role in told[action] else set()
        if f"{role} (key)" in told[action]:
            expected = {"key"}
        assert by == expected, (action, role)
