# SPDX-License-Identifier: Apache-2.0
"""``[residency]`` of a vault: from where its capsules may be read."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from incamera.errors import InputError
from incamera.service.toml import Table

__all__ = ["Residency"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Residency:
    """Networks inside the region; none: read from anywhere (the policy still asks who reads)."""

    networks: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed

    @classmethod
    def take(cls, table: Table) -> Residency:
        """From ``networks`` and ``proxies``."""
        found = cls(_networks(table, "networks"), _networks(table, "proxies"))
        if found.proxies and not found.networks:
            raise InputError(f"{table.where('proxies')}: goes with networks")
        return found


def _networks(table: Table, key: str) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(each) for each in table.texts(key))
    except ValueError as error:
        raise InputError(
            f"{table.where(key)}: {error}", hint='for example ["192.0.2.0/24", "2001:db8::/32"]'
        ) from error
