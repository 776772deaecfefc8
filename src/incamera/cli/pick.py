# SPDX-License-Identifier: Apache-2.0
"""Which capsule or request a person means: a digest, or enough of its beginning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from incamera.cli.desk import Desk
from incamera.errors import InputError
from incamera.ids import Digest
from incamera.ledger.codec import parse_capsule_list
from incamera.ledger.entries import CapsuleList, RequestEntry
from incamera.ledger.rows import Requested
from incamera.vault import Row

__all__ = ["capsules_of", "pick_capsules", "pick_requests"]

_PREFIX = re.compile(r"[0-9a-f]{4,64}", re.ASCII)


def _match(word: str, known: Sequence[Digest], what: str, hint: str) -> Digest:
    if not _PREFIX.fullmatch(word):
        raise InputError(f"{word!r:.80} does not name a {what}", hint=hint)
    found = [each for each in known if each.startswith(word)]
    if len(found) != 1:
        many = "no" if not found else f"{len(found)}"
        raise InputError(f"{word}: {many} {what}s begin like this", hint=hint)
    return found[0]


def pick_capsules(desk: Desk, words: Iterable[str], rows: Sequence[Row]) -> list[Row]:
    """The rows that ``words`` name, all of ``rows`` if there are no words."""
    by_digest = {row.digest: row for row in rows}
    hint = f"incamera list {desk.words} shows them"
    found = [by_digest[_match(word, list(by_digest), "capsule", hint)] for word in words]
    chosen = found or list(rows)
    if not chosen:
        raise InputError("the vault keeps no such capsule", hint=hint)
    return chosen


def pick_requests(desk: Desk, words: Iterable[str]) -> list[Requested]:
    """The requests that ``words`` name (leaf hashes), all in the log if there are no words."""
    known = {each.leaf: each for each in desk.state().requests()}
    hint = f"incamera list --requests {desk.words} shows them"
    found = [known[_match(word, list(known), "request", hint)] for word in words]
    return found or list(known.values())


def capsules_of(desk: Desk, entry: RequestEntry) -> tuple[Digest, ...]:
    """The capsules a request names, from its list file if it has one."""
    if isinstance(entry.capsules, CapsuleList):
        return parse_capsule_list(desk.fetch(f"list/{entry.capsules.digest}"), entry.capsules)
    return entry.capsules
