# SPDX-License-Identifier: Apache-2.0
"""Where the region's parties may connect, as the log declares it, and how that changed."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from incamera.audit.report import Findings
from incamera.ledger.entries import Address
from incamera.ledger.queries import Queries
from incamera.tlog.policy import Policy

__all__ = ["check_residency", "told_addresses"]

_WIDE = 1 << 16  # addresses
_WIDE_6 = 48  # bits of prefix: what one site is given (RFC 6177)


def told_addresses(state: Queries) -> Iterator[str]:
    """One sentence for each list that was declared: what it allows, or what it changed."""
    before: frozenset[Address] = frozenset()
    for number, each in enumerate(state.addresses()):
        now = frozenset(each.entry.allowed)
        if not number:
            yield f"log entry {each.index} allows {_listed(now)}"
        else:
            added, gone = now - before, before - now
            changes = [f"allows {_listed(added)} too"] * bool(added)
            changes += [f"takes back {_listed(gone)}"] * bool(gone)
            yield f"log entry {each.index} {', and '.join(changes) or 'changes nothing'}"
        before = now


def _listed(places: frozenset[Address]) -> str:
    return ", ".join(_shown(each) for each in sorted(places))


def _shown(each: Address) -> str:
    host = f" {each.host}" if each.host else ""
    return f"{each.party}{host} ({each.network} port {each.port})"


def check_residency(state: Queries, policy: Policy, findings: Findings) -> tuple[str, ...]:
    """The sentences of :func:`told_addresses`; a warning for what they leave open."""
    told = tuple(told_addresses(state))
    lists = list(state.addresses())
    if not lists:
        if b"://" in policy.text:  # a log that names no address is a home's: nothing connects
            findings.warning(
                "addresses",
                "nothing in this log says where the region's parties may connect",
                "ask the operator for it: incamera addresses --parties",
            )
        return told
    for each in lists[-1].entry.allowed:
        network = ipaddress.ip_network(each.network)
        wide = (
            network.prefixlen < _WIDE_6 if network.version == 6 else network.num_addresses > _WIDE
        )
        if wide:
            findings.warning(
                f"log entry {lists[-1].index}",
                f"{_shown(each)} is so wide that it says little about where data may go",
                "ask the operator which addresses in it are the region's",
            )
    return told
