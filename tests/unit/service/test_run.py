# SPDX-License-Identifier: Apache-2.0
"""Where a server listens."""

from __future__ import annotations

import socket

import pytest

from incamera.errors import UnavailableError
from incamera.service.run import _bind
from incamera.service.settings import Listen, parse_listen


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_listens_without_delay(host: str) -> None:
    """As TCP by name, so that asyncio switches Nagle's algorithm off; on a free port."""
    with _bind(Listen(host, 0, None, None, 8)) as place:
        assert place.proto == socket.IPPROTO_TCP
        port = place.getsockname()[1]
        with socket.create_connection((host, port), timeout=5):
            pass
        with pytest.raises(UnavailableError, match=str(port)):
            _bind(Listen(host, port, None, None, 8))


def test_a_host_that_does_not_exist_is_unavailable() -> None:
    """Said with what to do."""
    with pytest.raises(UnavailableError, match="cannot listen"):
        _bind(Listen("host.invalid", 0, None, None, 8))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("[::1]:0", ("::1", 0)),
        ("a.example:1", ("a.example", 1)),
    ],
)
def test_an_address_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """IPv6 stands in brackets."""
    assert parse_listen(text, "test") == expected
