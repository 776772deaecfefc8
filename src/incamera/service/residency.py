# SPDX-License-Identifier: Apache-2.0
"""Where a served party may connect to, and from where a vault may be read.

The second shows only where a connection came from: a reader abroad who has a machine inside reads
through that. What it stops is the ordinary case, a screen abroad, which counts as an export too
(GB/T 44464; the GDPR's transfers): and it is said in one place, for an auditor to look at.
"""

from __future__ import annotations

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from incamera.errors import PolicyError
from incamera.ledger import addresses
from incamera.service.answers import problem
from incamera.service.settings import LogSettings, TrusteeSettings, VaultSettings, WitnessSettings
from incamera.service.settings_residency import Network, Residency
from incamera.tlog.policy import Policy
from incamera.wire import egress

__all__ = ["AbroadError", "Inside", "hold_to_region"]

_PUBLIC = ("/region", "/extract", "/entries", "/healthz", "/readyz", "/openapi.json", "/metrics")
"""What is public, or says nothing of what the vault keeps: for callers anywhere."""
_READS = ("/evidence", "/bundle")
"""Calls that read with a body; every other call with one brings something in."""


def hold_to_region(told: WitnessSettings | LogSettings | VaultSettings | TrusteeSettings) -> None:
    """From now on this process connects only where the region's log says it may."""
    if isinstance(told, LogSettings):
        policy = Policy.parse(told.policy.read_bytes(), str(told.policy))
        scan = addresses.Scan(
            told.public, policy, told.state / "addresses.scan", floor=told.key.parent
        )
        egress.guard(scan)
    elif isinstance(told, WitnessSettings):
        addresses.hold(told.key.parent)  # it reads no entries: only the list of the founding
    else:
        addresses.hold(told.home)


class AbroadError(PolicyError):
    """403: the call came from outside the networks of the region."""

    code = "abroad"


class Inside:
    """Wraps a vault's app: what it keeps is read from the region's networks only."""

    def __init__(self, app: ASGIApp, residency: Residency) -> None:
        self._app = app
        self._residency = residency

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        app = self._app
        if scope["type"] == "http" and _reads(scope) and not self._inside(scope):
            error = AbroadError(
                "capsules are read from inside the region only, and this call comes from outside",
                hint="a view from abroad is an export: read from a machine in the region",
            )
            app = problem(error)
        await app(scope, receive, send)

    def _inside(self, scope: Scope) -> bool:
        if not self._residency.networks:
            return True
        address = _caller(scope, self._residency.proxies)
        return address is not None and _within(address, self._residency.networks)


def _reads(scope: Scope) -> bool:
    """True for a call that may be answered with something of a capsule."""
    path, method = scope["path"], scope["method"]
    if method not in ("GET", "HEAD"):
        return path in _READS
    return not (path in _PUBLIC or path.startswith("/uploads/") or path.endswith("/receipt"))


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found.version == each.version and found in each for each in networks)


def _caller(scope: Scope, proxies: tuple[Network, ...]) -> str | None:
    """Who called: of ``X-Forwarded-For`` only what proxies of ours wrote, which is its end."""
    client = scope.get("client")
    if not client:
        return None
    came = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = [each.strip() for each in b",".join(came).decode("latin-1").split(",") if came]
    hops.append(str(client[0]))
    while len(hops) > 1 and _within(hops[-1], proxies):
        hops.pop()
    return hops[-1]
