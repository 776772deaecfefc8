# SPDX-License-Identifier: Apache-2.0
"""An outsider is told where the region's parties may connect, and each time that changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.audit import Report, audit
from incamera.audit.report import Findings
from incamera.audit.residency import check_residency
from incamera.audit.transparency import gather, markdown, page
from incamera.ids import Name
from incamera.ledger.entries import Address, AddressesEntry
from incamera.tlog import FolderFetch, Policy
from world import World

HERE = ("vault", "vault.example", "192.0.2.7/32", 443)
THERE = ("store", "", "198.51.100.0/24", 9000)


def declare(world: World, *places: tuple[str, str, str, int]) -> int:
    """The operator declares these."""
    allowed = tuple(sorted(Address(Name(a), b, c, d) for a, b, c, d in places))
    return world.say(AddressesEntry(**world.facts(), allowed=allowed), world.operator)


def look(world: World) -> Report:
    """An audit of what is public."""
    fetch = FolderFetch(world.public)
    return audit(fetch, fetch("tlog-policy"), world.clock)


def test_each_list_and_each_change_is_told_in_words(tmp_path: Path) -> None:
    """In the audit, its JSON and the transparency report, from the log alone."""
    world = World(tmp_path)
    first, second = declare(world, HERE), declare(world, HERE, THERE)
    third = declare(world, THERE)
    report = look(world)
    assert report.findings == ()
    assert report.addresses == (
        f"log entry {first} allows vault vault.example (192.0.2.7/32 port 443)",
        f"log entry {second} allows store (198.51.100.0/24 port 9000) too",
        f"log entry {third} takes back vault vault.example (192.0.2.7/32 port 443)",
    )
    assert report.to_json()["addresses"] == list(report.addresses)
    made = gather(world.state(), world.logs.policy, (), now=world.clock.now())
    for text in (markdown(made), page(made)):
        assert "Where the region's parties may connect" in text.replace("&#x27;", "'")
        assert all(each in text for each in report.addresses)


def test_a_served_region_that_declares_nothing_is_warned_of(tmp_path: Path) -> None:
    """A home, whose policy names no address, connects nowhere: nothing to warn of."""
    world = World(tmp_path)
    assert look(world).findings == ()
    served = Policy.parse(world.logs.policy.text.replace(b"\n", b" https://log.example\n", 1))
    findings = Findings()
    assert check_residency(world.state(), served, findings) == ()
    assert [each.where for each in findings.kept] == ["addresses"]
    declare(world, HERE)
    quiet = Findings()
    check_residency(world.state(), served, quiet)
    assert quiet.kept == []


@pytest.mark.parametrize("network", ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"])
def test_a_network_that_says_little_is_warned_of(tmp_path: Path, network: str) -> None:
    """More than 65,536 addresses, or more than one site's."""
    world = World(tmp_path)
    declare(world, HERE, ("all", "", network, 443))
    report = look(world)
    assert report.ok
    (warning,) = report.findings
    assert f"all ({network} port 443) is so wide" in warning.what
