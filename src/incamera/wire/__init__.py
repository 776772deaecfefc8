# SPDX-License-Identifier: Apache-2.0
"""How a party reaches the others: one bounded HTTP client, and where it may connect at all.

>>> with Client("http://127.0.0.1:9", seconds=1.0, attempts=1) as nobody:
...     nobody.get("checkpoint", limit=100)
Traceback (most recent call last):
incamera.errors.UnavailableError: 127.0.0.1:9 does not answer: [Errno 111] Connection refused

Which addresses those are is declared in the region's log; :mod:`incamera.wire.egress` holds every
connection of this process to it.
"""

from incamera.wire.client import (
    Answer,
    BusyError,
    Client,
    MissingError,
    RefusedError,
    Stream,
    problem,
)

__all__ = ["Answer", "BusyError", "Client", "MissingError", "RefusedError", "Stream", "problem"]
