# SPDX-License-Identifier: Apache-2.0
"""Addresses as an operator says them, and as a list declares them; and the list as a packet filter.

Names are looked up once, when the list is made: what is declared is where they led then. A name
that leads elsewhere later is refused until the operator declares that, in public.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping, Sequence

import click
import httpx

from incamera.errors import InputError, UnavailableError
from incamera.ids import Name, parse_name
from incamera.ledger.entries import Address, AddressesEntry

__all__ = ["allow_option", "missing", "nftables", "of_url", "parse_allow", "shown"]

_ALLOW = re.compile(r"([^=]+)=(\[[0-9A-Fa-f:./]+\]|[^:\s\[\]]+):([0-9]{1,5})", re.ASCII)
_PORTS = {"http": 80, "https": 443}

allow_option = click.option(
    "--allow",
    "allow",
    multiple=True,
    metavar="NAME=HOST:PORT",
    help="An address that the region's parties may connect to, and whose it is; a network too: "
    "store=192.0.2.0/28:443. Once for each; a host's name is looked up now.",
)


def parse_allow(text: str) -> list[Address]:
    """The addresses that ``NAME=HOST:PORT`` means now."""
    found = _ALLOW.fullmatch(text)
    if found is None or not 1 <= int(found[3]) <= 65_535:
        raise InputError(
            f"--allow {text:.100}: not NAME=HOST:PORT",
            hint="for example vault=vault.example:8443 or store=192.0.2.0/28:443",
        )
    party = parse_name(found[1], "--allow")
    return _addresses(party, found[2].strip("[]").lower(), int(found[3]))


def of_url(party: Name, url: str) -> list[Address]:
    """The addresses of the party at ``url``."""
    parsed = httpx.URL(url)
    return _addresses(party, parsed.host.lower(), parsed.port or _PORTS.get(parsed.scheme, 443))


def _addresses(party: Name, host: str, port: int) -> list[Address]:
    try:
        return [Address(party, "", str(ipaddress.ip_network(host)), port)]
    except ValueError:
        if "/" in host:
            raise InputError(f"{host}: not a network", hint="for example 192.0.2.0/28") from None
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{host:.100} cannot be looked up: {error}") from error
    networks = {str(ipaddress.ip_network(str(each[4][0]).partition("%")[0])) for each in answers}
    return [Address(party, host, each, port) for each in sorted(networks)]


def missing(allowed: Sequence[Address], parties: Mapping[Name, str]) -> list[str]:
    """Which parties could not be reached under this list, in words."""
    return [
        f"{name} ({url})"
        for name, url in parties.items()
        if not any(_covers(allowed, each) for each in of_url(name, url))
    ]


def _covers(allowed: Iterable[Address], wanted: Address) -> bool:
    network = ipaddress.ip_network(wanted.network)
    for each in allowed:
        other = ipaddress.ip_network(each.network)
        same_kind = other.version == network.version and each.port == wanted.port
        if same_kind and network.subnet_of(other):  # type: ignore[arg-type]  # of one version
            return True
    return False


def shown(each: Address) -> str:
    """One address, as everybody is shown it."""
    host = f" ({each.host})" if each.host else ""
    return f"{each.party}{host}: {each.network} port {each.port}"


_RULES = """\
#!/usr/sbin/nft -f
# incamera: all that a machine of region {region} may connect to, as declared in log entry {index}.
# Load it with `nft -f FILE` on each machine of the region; a newer list wants a newer file.
# Answers to whoever connected to this machine pass; what begins here goes to these addresses only.

table inet incamera
delete table inet incamera

table inet incamera {{
  chain out {{
    type filter hook output priority filter; policy drop;
    oifname "lo" accept
    ct state established,related accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
{rules}
    counter log prefix "incamera foreign: " reject with icmpx admin-prohibited
  }}
}}
"""


def nftables(entry: AddressesEntry, index: int) -> str:
    """The list as a ruleset for nftables: the kernel refuses what a party should not have asked."""
    rules = []
    for each in entry.allowed:
        family = "ip6" if ":" in each.network else "ip"
        match = f"{family} daddr {each.network} meta l4proto {{ tcp, udp }} th dport {each.port}"
        rules.append(f'    {match} accept comment "{each.party}"')
    return _RULES.format(region=entry.region, index=index, rules="\n".join(rules))
