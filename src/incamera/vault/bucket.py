# SPDX-License-Identifier: Apache-2.0
"""One S3 bucket: who it is asked as, that it is inside the region, and what its errors mean.

The library (``obstore``, Rust) retries by itself: connections that break, times out, 5xx and 503
SlowDown, five times at most and no longer than one attempt may take. It would also take endpoints,
credentials and proxies from the environment; it is not let.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from incamera.clock import monotonic
from incamera.errors import InputError, UnavailableError
from incamera.wire import egress

__all__ = ["Bucket", "BucketError", "OpenBucket"]

_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>", re.ASCII)
_STATUS = re.compile(r"status code: ([0-9]{3})", re.ASCII)
_FROM_OUTSIDE = re.compile(r"AWS_.*|(HTTP|HTTPS|ALL|NO)_PROXY|REQUEST_METHOD", re.IGNORECASE)

_CONNECT_SECONDS = 5.0
_RETRIES = 5
_EGRESS_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where capsules lie, and as whom to ask."""

    name: str
    prefix: str  # of all keys; may be empty
    endpoint: str  # https://host[:port]
    region: str  # the store's own, which signatures name
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)  # of temporary credentials
    ca: bytes | None = field(default=None, repr=False)  # PEM, believed besides the system's

    @property
    def where(self) -> str:
        """For messages."""
        return f"s3://{self.name}/{self.prefix} at {self.endpoint}"


class BucketError(UnavailableError):
    """Whoever runs the bucket must mend it; trying again does not."""


class OpenBucket:
    """A bucket that can be asked. For any number of threads."""

    def __init__(self, bucket: Bucket, seconds: float) -> None:
        """``seconds``: for one attempt of a call, and for its retries. Nothing is asked yet."""
        self.where = bucket.where
        address = urlsplit(bucket.endpoint)
        self._host = address.hostname or ""
        self._port = address.port or (443 if address.scheme == "https" else 80)
        self._allowed = (0, 0.0)  # by which list, and until when, the endpoint may be asked
        self.store = _store(bucket, seconds)

    def _inside(self) -> None:
        """:class:`PolicyError` if the region does not declare the endpoint's address.

        Looked at once a second, and not in the moment of connecting: the library connects itself.
        """
        version, (by, until) = egress.version(), self._allowed
        if version and (by != version or monotonic() >= until):
            egress.check(self._host, self._port)
            self._allowed = (version, monotonic() + _EGRESS_SECONDS)

    @contextlib.contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """The library's errors as ours: :class:`InputError` if the store says there is no ``key``.

        All others are :class:`UnavailableError`: nothing is known then of what the store holds.
        """
        self._inside()
        where = self.where
        try:
            yield
        except FileNotFoundError as error:
            if _said(error) == "NoSuchKey":
                raise InputError(f"no capsule {key.rpartition('/')[2]} is kept here") from error
            raise BucketError(
                f"{where}: no such bucket ({_said(error)})", hint="make it, or see its name"
            ) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise BucketError(
                f"{where}: refuses us ({_said(error)})",
                hint="these credentials must be right, and may get, put, delete and list below "
                "the prefix; the clock must be right too",
            ) from error
        except BaseError as error:
            raise UnavailableError(
                f"{where}: {_said(error)}",
                hint="see that the store runs and can be reached; nothing was acknowledged",
            ) from error


def _said(error: Exception) -> str:
    """The store's own code, or the status, or what went wrong on the way; one line."""
    text = str(error).split("\n\nDebug source", 1)[0]
    if match := _CODE.search(text) or _STATUS.search(text):
        return match.group(1)
    return " ".join(text.rpartition(" - ")[2].split())[:200]


_building = threading.Lock()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """The library takes endpoints, credentials and proxies from the environment: not from ours."""
    with _building:
        heard = {key: os.environ.pop(key) for key in list(os.environ) if _FROM_OUTSIDE.match(key)}
        try:
            yield
        finally:
            os.environ.update(heard)


def _store(bucket: Bucket, seconds: float) -> S3Store:
    with _deaf():
        try:
            return S3Store(
                bucket.name,
                prefix=bucket.prefix or None,
                config={
                    "endpoint": bucket.endpoint,
                    "region": bucket.region,
                    "access_key_id": bucket.key_id,
                    "secret_access_key": bucket.secret,
                    **({"session_token": bucket.token} if bucket.token else {}),
                    "checksum_algorithm": "SHA256",
                    "disable_bulk_delete": True,  # not every store has it
                },
                client_options={
                    "allow_http": bucket.endpoint.startswith("http://"),
                    "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, seconds)),
                    "timeout": timedelta(seconds=seconds),
                    "user_agent": "incamera",
                    **({"root_certificate": bucket.ca} if bucket.ca else {}),
                },
                retry_config={
                    "max_retries": _RETRIES,
                    "retry_timeout": timedelta(seconds=seconds),
                    "backoff": {
                        "init_backoff": timedelta(milliseconds=100),
                        "max_backoff": timedelta(seconds=5),
                        "base": 2,
                    },
                },
            )
        except (BaseError, ValueError) as error:
            raise InputError(
                f"{bucket.where}: cannot be used: {_said(error)}",
                hint="see [blobs] of the configuration",
            ) from error
