# SPDX-License-Identifier: Apache-2.0
"""Ranges of a capsule, as RFC 9110 section 14 reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from incamera.errors import InputError, UnavailableError
from incamera.service.answers import problem
from incamera.service.download import Blob, Download, RangeError, wanted
from incamera.service.guard import Pool


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, (0, 100)),
        ({"range": "bytes=0-"}, (0, 100)),
        ({"range": "bytes=10-19"}, (10, 20)),
        ({"range": "bytes=10-1000"}, (10, 100)),
        ({"range": "bytes=99-"}, (99, 100)),
        ({"range": "bytes=-7"}, (93, 100)),
        ({"range": "bytes=-700"}, (0, 100)),
        ({"range": "bytes=0-1,5-6"}, (0, 100)),
        ({"range": "lines=1-2"}, (0, 100)),
        ({"range": "bytes=10-19", "if-range": '"abc"'}, (10, 20)),
        ({"range": "bytes=10-19", "if-range": '"abd"'}, (0, 100)),
        ({"range": "bytes=10-19", "if-range": "Wed, 21 Oct 2026 07:28:00 GMT"}, (0, 100)),
    ],
)
def test_one_range_is_given_and_what_is_not_is_the_whole(
    said: dict[str, str], expected: tuple[int, int]
) -> None:
    """The last so many, from here on, to there; an old tag wants the whole."""
    raw = [(key.encode(), value.encode("utf-8")) for key, value in said.items()]
    assert wanted(Headers(raw=raw), "abc", 100) == expected


@pytest.mark.parametrize("said", ["bytes=-", "bytes=20-10", "bytes=x-", "bytes=1", "bytes=1 -2"])
def test_what_is_no_range_is_refused(said: str) -> None:
    """400: who asks so would take the whole for a part."""
    with pytest.raises(InputError, match="not a range"):
        wanted(Headers({"range": said}), "abc", 100)


@pytest.mark.parametrize("said", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_beyond_the_end_is_told_how_long_it_is(said: str) -> None:
    """416, with the length in ``Content-Range``."""
    with pytest.raises(RangeError) as caught:
        wanted(Headers({"range": said}), "abc", 100)
    answer = problem(caught.value)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */100"
    assert answer.media_type == "application/problem+json"


def test_what_ends_early_is_not_completed() -> None:
    """A blob that is erased while it is read: the reader sees that bytes are missing."""

    def pieces() -> Iterator[bytes]:
        yield b"12345"
        raise UnavailableError("gone")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError

    answer = Download(Blob("abc", 10, pieces(), 0, 10), Pool(1, 1), "text/plain")
    asyncio.run(answer({"type": "http", "method": "GET"}, receive, send))
    assert [each.get("body") for each in sent] == [None, b"12345"]
    assert sent[-1]["more_body"] is True
