# SPDX-License-Identifier: Apache-2.0
"""A call that is given up in the middle of a write."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from incamera.service.uploads import Uploads


class _SlowFile:
    """A part whose disk answers when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.data = b""

    def append(self, data: bytes) -> int:
        self.let.wait(10)
        self.data += data
        return len(data)


def test_a_call_that_is_given_up_keeps_its_turn_until_its_bytes_are_in_the_file() -> None:
    """Else the next call reads an offset that is about to be wrong, and bytes come twice."""
    keep: Any = SimpleNamespace(parts=None)
    part: Any = _SlowFile()

    async def journey() -> None:
        uploads = Uploads(keep)
        call = asyncio.ensure_future(uploads._append(part, b"held"))
        await asyncio.sleep(0.05)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.05)
            assert not call.done()
        part.let.set()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(journey())
    assert part.data == b"held"
