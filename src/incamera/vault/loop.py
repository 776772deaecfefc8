# SPDX-License-Identifier: Apache-2.0
"""Calls of threads into one event loop that has a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

__all__ = ["Loop"]

T = TypeVar("T")


class Loop:
    """An event loop in a thread; any number of threads may wait for what runs in it."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, ask: Callable[..., Awaitable[T]], *values: Any) -> T:
        """What ``ask(*values)``, called and awaited in the loop, returns or raises."""
        return asyncio.run_coroutine_threadsafe(_done(ask, *values), self._loop).result()

    def spawn(self, ask: Callable[..., Awaitable[Any]], *values: Any) -> None:
        """The same, not waited for; what it raises nobody hears."""
        asyncio.run_coroutine_threadsafe(_done(ask, *values), self._loop)

    def close(self) -> None:
        """End the thread; what still runs is dropped."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _done(ask: Callable[..., Awaitable[T]], *values: Any) -> T:
    return await ask(*values)
