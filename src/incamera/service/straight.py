# SPDX-License-Identifier: Apache-2.0
"""The one call that comes hundreds of times a second, past the router and all that stands round it.

The route is declared as every other one and answers the same; here it is only found at once. Of
the samples that held the interpreter in a vault at 400/s, a quarter were in the layers between.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from incamera.errors import Error
from incamera.service.answers import counted

__all__ = ["Straight"]


class Straight:
    """ASGI: ``POST path`` goes to ``handler``, everything else on to ``app``."""

    def __init__(
        self, app: ASGIApp, path: str, handler: Callable[[Request], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._path = path
        self._route = SimpleNamespace(path=path)  # what the journal calls it
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is not our error goes on to who notes faults, outside of here."""
        ours = scope["type"] == "http" and scope["path"] == self._path
        if not ours or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route
        try:
            response = await self._handler(Request(scope, receive, send))
        except Error as error:
            response = counted(error)
        await response(scope, receive, send)
