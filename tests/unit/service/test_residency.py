# SPDX-License-Identifier: Apache-2.0
"""From where a vault is read, and where its process may connect: by setting, and by the log."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from incamera.errors import InputError
from incamera.ids import Name
from incamera.ledger.addresses import found_under
from incamera.ledger.entries import Address, AddressesEntry
from incamera.service.residency import Inside, hold_to_region
from incamera.service.settings import LogSettings, TrusteeSettings, VaultSettings, WitnessSettings
from incamera.service.settings_residency import Residency
from incamera.service.toml import read_table
from incamera.wire import egress
from serving import Region as Served
from world import EU

Told = WitnessSettings | LogSettings | VaultSettings | TrusteeSettings
HERE, THERE, PROXY = "192.0.2.9", "203.0.113.9", "10.0.0.1"


def answers(residency: Residency, address: str, method: str, path: str, **headers: str) -> int:
    """The status of a call from ``address``: 200 wherever the app is reached."""

    async def reached(request: Request) -> Response:
        del request
        return PlainTextResponse("reached")

    routes = [Route("/{path:path}", reached, methods=["GET", "POST", "PUT", "PATCH"])]
    app = Inside(Starlette(routes=routes), residency)

    async def ask() -> httpx.Response:
        caller = httpx.ASGITransport(app, client=(address, 5))
        async with httpx.AsyncClient(transport=caller, base_url="http://vault") as client:
            return await client.request(method, path, headers=headers)

    answer = asyncio.run(ask())
    if answer.status_code == 403 and method != "HEAD":
        assert answer.json()["code"] == "abroad"
    return answer.status_code


def setting(networks: str, proxies: str = "") -> Residency:
    """From networks as text."""
    taken = (tuple(map(ipaddress.ip_network, each.split())) for each in (networks, proxies))
    return Residency(*taken)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/capsules"),
        ("HEAD", "/capsules/" + "0" * 64),
        ("GET", "/capsules/" + "0" * 64),
        ("POST", "/evidence"),
        ("POST", "/bundle"),
        ("GET", "/operator/status"),
        ("GET", "/whatever-comes-later"),
    ],
)
def test_what_is_kept_is_read_from_inside_only(method: str, path: str) -> None:
    """Catalogue, ciphertext and all that is not named as public, by the caller's address."""
    inside = setting("192.0.2.0/24 2001:db8::/32")
    assert answers(inside, THERE, method, path) == 403
    assert answers(inside, HERE, method, path) == 200
    assert answers(inside, "2001:db8::7", method, path) == 200
    assert answers(inside, f"::ffff:{HERE}", method, path) == 200
    assert answers(inside, "testclient", method, path) == 403  # nobody knows where that is
    assert answers(Residency(), THERE, method, path) == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/region"),
        ("GET", "/healthz"),
        ("POST", "/entries"),
        ("POST", "/capsules"),
        ("PATCH", "/uploads/7"),
        ("GET", "/capsules/" + "0" * 64 + "/receipt"),
        ("PUT", "/list/" + "0" * 64),
    ],
)
def test_what_is_public_or_comes_in_is_for_callers_anywhere(method: str, path: str) -> None:
    """A car on a journey delivers; an auditor anywhere asks where the log is."""
    assert answers(setting("192.0.2.0/24"), THERE, method, path) == 200


def test_only_a_proxy_of_ours_says_who_called() -> None:
    """Of X-Forwarded-For what our own proxies wrote; a caller's own header moves nobody."""
    plain = setting("192.0.2.0/24")
    proxied = setting("192.0.2.0/24", f"{PROXY}/32")
    for said, behind, expected in (
        (HERE, plain, 403),
        (HERE, proxied, 200),
        (THERE, proxied, 403),
        (f"{HERE}, {THERE}", proxied, 403),  # the first is what the caller wrote
        (f"{THERE}, {HERE}", proxied, 200),
        (f"{HERE}, {PROXY}", proxied, 200),
        ("rubbish", proxied, 403),
        ("", proxied, 403),
    ):
        found = answers(behind, PROXY, "GET", "/capsules", **{"X-Forwarded-For": said})
        assert found == expected, (said, behind)
    assert answers(proxied, THERE, "GET", "/capsules", **{"X-Forwarded-For": HERE}) == 403


def test_networks_are_read_strictly(tmp_path: Path) -> None:
    """A list of networks; proxies alone mean nothing."""

    def take(text: str) -> Residency:
        file = tmp_path / "vault.toml"
        file.write_text(text)
        table = read_table(file)
        found = Residency.take(table)
        table.done()
        return found

    assert take("") == Residency()
    both = take('networks = ["192.0.2.0/24"]\nproxies = ["10.0.0.1/32"]')
    assert both == setting("192.0.2.0/24", "10.0.0.1/32")
    for wrong in ('networks = "192.0.2.0/24"', 'networks = ["192.0.2.1/24"]', "networks = [7]"):
        with pytest.raises(InputError, match="networks"):
            take(wrong)
    with pytest.raises(InputError, match="proxies"):
        take('proxies = ["10.0.0.1/32"]')


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """A region as files: no server runs."""
    return Served(tmp_path_factory.mktemp("region"))


@pytest.fixture(autouse=True)
def free() -> Iterator[None]:
    """No list beyond a test."""
    yield
    egress.guard(None)


@pytest.mark.parametrize("party", ["log", "vault", "witness-1", "trustee-de"])
def test_each_party_is_held_to_what_it_was_founded_under(served: Served, party: str) -> None:
    """Without a list: anywhere. With one in its folder: there, and not abroad."""
    config = served.parties[party].config
    load: dict[str, Callable[[Path], Told]] = {
        "log": LogSettings.load,
        "vault": VaultSettings.load,
        "witness": WitnessSettings.load,
        "trustee": TrusteeSettings.load,
    }
    told = load[served.parties[party].kind](config)
    hold_to_region(told)
    assert egress.check(THERE, 443) == [THERE]
    home = told.home if isinstance(told, VaultSettings | TrusteeSettings) else told.key.parent
    allowed = (Address(Name("log"), "", f"{HERE}/32", 443),)
    found_under(home, AddressesEntry(region=EU, time=1, allowed=allowed))
    hold_to_region(told)
    assert egress.check(HERE, 443) == [HERE]
    with pytest.raises(egress.ForeignError):
        egress.check(THERE, 443)
