# SPDX-License-Identifier: Apache-2.0
"""``[blobs]`` of a vault: the bucket its capsules lie in, instead of the folder beside its index.

The credentials lie in a file of their own, TOML, that only its owner may read::

    access_key_id = "..."
    secret_access_key = "..."
    session_token = "..."        # optional: of temporary credentials
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from incamera.errors import InputError
from incamera.service.toml import Table, read_table

if TYPE_CHECKING:
    from incamera.vault.s3 import S3Blobs

__all__ = ["BlobSettings"]

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)/?")


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """A bucket, and the file that opens it."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    credentials: Path
    ca: Path | None

    @classmethod
    def take(cls, table: Table) -> BlobSettings | None:
        """From ``[blobs]`` of a vault's file; None if it has none."""
        blobs = table.optional_table("blobs")
        if not blobs.names():
            return None
        match = _URL.fullmatch(blobs.text("url"))
        if match is None:
            raise InputError(
                f"{blobs.where('url')}: not a bucket", hint='for example "s3://bucket/prefix"'
            )
        endpoint = blobs.text("endpoint").rstrip("/")
        _check_endpoint(endpoint, blobs.where("endpoint"))
        found = cls(
            bucket=match.group(1),
            prefix=match.group(2).strip("/"),
            endpoint=endpoint,
            region=blobs.text("region"),
            credentials=blobs.file("credentials"),
            ca=blobs.optional_file("ca"),
        )
        blobs.done()
        return found

    def open(self, scratch: Path) -> S3Blobs:
        """The bucket, proven; ``scratch``: folder for copies that are read as files.

        :class:`InputError` for what the configuration has wrong, or a bucket that cannot be used;
        :class:`UnavailableError` if it does not answer.
        """
        from incamera.vault.bucket import Bucket
        from incamera.vault.s3 import S3Blobs

        mode = stat.S_IMODE(self.credentials.stat().st_mode)
        if mode & 0o077:
            raise InputError(
                f"{self.credentials}: other users may read these credentials (mode {mode:04o})",
                hint=f"chmod 600 {self.credentials}; if others may have read them, make new ones",
            )
        table = read_table(self.credentials)
        bucket = Bucket(
            name=self.bucket,
            prefix=self.prefix,
            endpoint=self.endpoint,
            region=self.region,
            key_id=table.text("access_key_id"),
            secret=table.text("secret_access_key"),
            token=table.text("session_token", "") or None,
            ca=None if self.ca is None else self.ca.read_bytes(),
        )
        table.done()
        return S3Blobs(bucket, scratch)


def _check_endpoint(endpoint: str, where: str) -> None:
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path or parts.username:
        raise InputError(
            f"{where}: not the URL of a store: {endpoint!r:.200}",
            hint='for example "https://s3.eu-central-1.amazonaws.com"',
        )
    if parts.query or parts.fragment:
        raise InputError(f"{where}: a store's URL has no query or fragment: {endpoint!r:.200}")
