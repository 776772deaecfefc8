# SPDX-License-Identifier: Apache-2.0
"""What a server counts of itself, for Prometheus: ``GET /metrics`` of each party.

No label names a car, a person, a capsule or an address, and each has few values: a route, a
status, one of our codes. One process is one party, so there is one registry.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = [
    "ADMITTED",
    "ADMITTED_BYTES",
    "STAGE",
    "call",
    "exposed",
    "gauge",
    "refused",
]

REGISTRY = CollectorRegistry()

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 60.0)

CALLS = Counter(
    "incamera_calls",
    "Calls answered (status 0: nobody was left to answer).",
    ["method", "route", "status"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "incamera_call_seconds",
    "From a call's head to the end of its answer.",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
REFUSED = Counter(
    "incamera_refused",
    "Calls refused, by the code of the rule, or by the kind of the error.",
    ["code"],
    registry=REGISTRY,
)
ADMITTED = Counter("incamera_admitted", "Capsules admitted, again or anew.", registry=REGISTRY)
ADMITTED_BYTES = Counter("incamera_admitted_bytes", "Bytes of them.", registry=REGISTRY)
STAGE = Histogram(
    "incamera_stage_seconds",
    "Of a capsule: receive its bytes, wait for its batch; of a batch: admit it.",
    ["stage"],
    buckets=_SECONDS,
    registry=REGISTRY,
)

_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
_CODE = re.compile(r"[a-z][a-z-]{0,39}", re.ASCII)
_MOST_CODES = 100
_codes: set[str] = set()
_gauges: dict[str, Gauge] = {}


def call(method: str, route: str | None, status: int, seconds: float) -> None:
    """A call was answered; ``route``: its template, None if there was none."""
    CALLS.labels(method if method in _METHODS else "other", route or "none", status).inc()
    SECONDS.labels(route or "none").observe(seconds)


def refused(code: str) -> None:
    """A call was refused. Codes of other parties pass through here: their number is bounded."""
    if not _CODE.fullmatch(code) or (code not in _codes and len(_codes) >= _MOST_CODES):
        code = "other"
    _codes.add(code)
    REFUSED.labels(code).inc()


def gauge(name: str, means: str, read: Callable[[], float]) -> None:
    """``incamera_<name>`` is what ``read`` says when it is asked; the last to say so counts."""
    if name not in _gauges:
        _gauges[name] = Gauge(f"incamera_{name}", means, registry=REGISTRY)
    _gauges[name].set_function(read)


def exposed() -> bytes:
    """All of it, in the text format 0.0.4."""
    return generate_latest(REGISTRY)
