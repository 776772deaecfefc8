# SPDX-License-Identifier: Apache-2.0
"""Who may read, as Cedar decides it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from incamera.errors import InputError
from incamera.ids import Name, Region, digest
from incamera.ledger.policies import COUNTRIES, KINDS, default_policy
from incamera.ledger.rows import Party
from incamera.sealing.capsule import Capsule
from incamera.sealing.header import Header
from incamera.trustee.cedar import check_policy, permits
from sealed import Fleet

EU = Region("eu")
READER = Party("reader", Name("acme"), Name("company"), "DE", bytes(32), b"", 1)


@pytest.fixture
def header(tmp_path: Path) -> Header:
    """A capsule's header, for the purpose ``perception``."""
    capsule: Capsule = Fleet().capsule(tmp_path / "x")
    return capsule.header


def allowed(header: Header, text: str, reader: Party = READER, purpose: str = "perception") -> bool:
    """The answer for one reader and purpose."""
    return permits(text, reader, EU, digest(b"capsule"), header, purpose)


@pytest.mark.parametrize("region", COUNTRIES)
def test_every_regions_default_policy_type_checks(region: str) -> None:
    """The texts that ``init`` publishes are usable, and differ by region."""
    check_policy(default_policy(region), region)
    assert f'resource.region == "{region}"' in default_policy(region)


def test_a_region_without_a_country_list_has_no_default_policy() -> None:
    """An unknown region is an error that names the known ones, never an open policy."""
    with pytest.raises(InputError, match="no default policy") as caught:
        default_policy("atlantis")
    assert "eu" in (caught.value.hint or "")


@pytest.mark.parametrize("kind", KINDS)
def test_listed_kinds_of_the_region_may_read_for_a_purpose_of_the_capsule(
    header: Header, kind: str
) -> None:
    """A company, a journalist, a researcher in the region: permitted."""
    assert allowed(header, default_policy("eu"), replace(READER, kind=Name(kind)))


@pytest.mark.parametrize(
    ("change", "purpose"),
    [
        ({"kind": Name("government")}, "perception"),
        ({"kind": Name("hobby")}, "perception"),
        ({"country": "US"}, "perception"),
        ({"country": "CN"}, "perception"),
        ({"country": "GB"}, "perception"),
        ({}, "advertising"),
        ({"kind": Name("government"), "country": "US"}, "perception"),
    ],
)
def test_everybody_else_is_refused(header: Header, change: dict[str, str], purpose: str) -> None:
    """A government, an unlisted kind, a foreigner, a wrong purpose: refused."""
    reader = replace(READER, **change)  # type: ignore[arg-type]
    assert not allowed(header, default_policy("eu"), reader, purpose)


def test_a_capsule_of_another_region_is_refused(header: Header) -> None:
    """The policy holds within its region only."""
    foreign = replace(header, region=Region("cn"))
    assert not allowed(foreign, default_policy("eu"))
    assert not permits(
        default_policy("eu"), READER, Region("cn"), digest(b"c"), header, "perception"
    )


def test_a_government_is_refused_even_where_all_is_permitted(header: Header) -> None:
    """The forbid beats an added permit."""
    text = default_policy("eu") + "\npermit (principal, action, resource);\n"
    assert allowed(header, text, purpose="anything")
    assert not allowed(header, text, replace(READER, kind=Name("government")))
    assert not allowed(header, text, replace(READER, country="US"))


def test_an_empty_policy_permits_nobody(header: Header) -> None:
    """What no permit allows is refused."""
    assert not allowed(header, "")
    assert not allowed(header, "// nothing\n")


@pytest.mark.parametrize(
    "text",
    [
        "permit (",
        "permit (principal, action, resource) when { principal.office == 1 };",
        "permit (principal, action, resource) when { resource.purposes == context.purpose };",
        "permit (principal is Government, action, resource);",
        "\0",
        "permit (principal, action, resource);" + " " * 70_000,
    ],
)
def test_a_policy_that_does_not_type_check_is_no_policy(header: Header, text: str) -> None:
    """An error while deciding could drop a forbid, so such a text is refused when it is loaded."""
    with pytest.raises(InputError, match="policy"):
        check_policy(text, "a policy")
    with pytest.raises(InputError, match="policy"):
        allowed(header, text)


def test_names_are_data_not_policy(header: Header) -> None:
    """A purpose full of Cedar syntax is a string like any other."""
    tricky = 'x" || true || "'
    assert not allowed(header, default_policy("eu"), purpose=tricky)
