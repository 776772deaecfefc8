# SPDX-License-Identifier: Apache-2.0
"""A log in another process, for the vault that writes to it: ``vault.PublicLog`` over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from incamera.encoding import canonical, exact_keys, parse_json
from incamera.errors import InputError, UnavailableError
from incamera.service.auth import Token
from incamera.tlog import LogReader, Policy, Proof, Witnessed, tile
from incamera.tlog.log import Appended
from incamera.tlog.remote import HttpFetch
from incamera.wire import Client

__all__ = ["LogClient"]

_MAX_ANSWER = 1 << 10


class LogClient:
    """Appends by the log's token, reads what the log publishes. For any number of threads.

    Its answers are not believed: what it returns of the log's tree is verified under ``policy``,
    and where an entry stands is seen by who follows the log.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        policy: Policy,
        *,
        ca: Path | None = None,
        seconds: float = 30.0,
    ) -> None:
        """``url``: the log's prefix."""
        self._client = Client(url, ca=ca, token=token.secret, seconds=seconds)
        self._policy = policy
        self.fetch = HttpFetch(url, ca=ca, seconds=seconds)

    @property
    def policy(self) -> Policy:
        """Whose signatures make a checkpoint of this log count."""
        return self._policy

    def append(self, entries: Sequence[bytes]) -> Appended:
        """Into the published log. The same entries again are not taken in twice."""
        found = self._post("add", tile.encode_bundle(entries), ("first", "size"))
        return Appended(found["first"], found["size"])

    def refresh(self, older_than: int = 0) -> Witnessed:
        """Finish what was begun, and have the present tree cosigned."""
        self._post("refresh", canonical({"older_than": older_than}), ("size",))
        return self._policy.check(self.fetch("checkpoint"))

    def entry(self, index: int) -> bytes:
        """The entry at ``index`` of the published tree, verified."""
        reader = LogReader(self.fetch, self._policy)
        size = reader.checkpoint().checkpoint.size
        return next(reader.entries(index, index + 1, size))

    def proof(self, index: int) -> bytes:
        """The ``.tlog-proof`` file of entry ``index`` under the published checkpoint, verified."""
        reader = LogReader(self.fetch, self._policy)
        witnessed = reader.checkpoint()
        hashes = reader.inclusion(index, witnessed.checkpoint.size)
        return Proof(index, hashes, witnessed.note).format()

    def publish(self, kind: str, name: str, data: bytes) -> None:
        """Put a text beside the log: ``list/<digest>``, ``policy/<digest>.cedar`` ..."""
        self._client.send("PUT", f"{kind}/{name}", data, limit=_MAX_ANSWER)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
        self.fetch.close()

    def _post(self, path: str, body: bytes, keys: Sequence[str]) -> dict[str, int]:
        answer = self._client.send("POST", path, body, limit=_MAX_ANSWER)
        where = f"{self._client.where}/{path}"
        try:
            found = exact_keys(parse_json(answer.body, where), keys, where)
        except InputError as error:
            raise UnavailableError(error.message) from error
        if any(type(each) is not int for each in found.values()):
            raise UnavailableError(f"{where}: not an answer of a log")
        return found
