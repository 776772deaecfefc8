# SPDX-License-Identifier: Apache-2.0
"""What a trustee says in the public log: grants, refusals, and that it froze."""

from __future__ import annotations

from collections.abc import Iterable

from incamera.errors import Error
from incamera.ids import Digest, digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.entries import FreezeEntry, GrantEntry, RefusalEntry, RegionEntry
from incamera.ledger.evidence import found
from incamera.ledger.state import leaf_digest
from incamera.trustee.desk import Desk
from incamera.trustee.rules import RefusedError

__all__ = ["announce_freeze", "append_refusals", "append_unlogged", "grant_entry"]

_MAX_REASON = 300


def grant_entry(
    desk: Desk, region: RegionEntry, request: Digest, capsules: Iterable[Digest]
) -> bytes:
    """The entry that says we are about to re-seal our shares of ``capsules``, signed."""
    _, listed = capsule_list(capsules)
    entry = GrantEntry(
        region=region.region,
        time=desk.clock.now(),
        trustee=desk.name,
        request=request,
        capsules=listed.digest,
        count=listed.count,
    )
    return encode(entry, desk.keys.signing)


def append_unlogged(desk: Desk, entries: Iterable[bytes]) -> None:
    """Append those entries that the log does not show yet, all at once, and read it again."""
    new = [each for each in entries if desk.state.index_of(leaf_digest(each)) is None]
    if new:
        desk.append(new)
        desk.follow()


def append_refusals(desk: Desk, refused: Iterable[tuple[Digest, RefusedError]]) -> None:
    """Say in public that requests (by leaf hash) are refused, once for each request and code.

    Only of requests that stand in the log, and only where the request itself is at fault. A
    refusal stands without its entry: what the log does not take now is said when asked again.
    """
    try:
        if entries := _refusals(desk, refused):
            desk.append(entries)
    except Error:
        return


def _refusals(desk: Desk, refused: Iterable[tuple[Digest, RefusedError]]) -> list[bytes]:
    entries: dict[tuple[Digest, str], bytes] = {}
    for leaf, refusal in refused:
        said = (leaf, refusal.code)
        if not refusal.public or said in entries or desk.state.request(leaf) is None:
            continue
        before = (each for each in desk.state.refusals(leaf) if each.trustee == desk.name)
        if refusal.code in {each.code for each in before}:
            continue
        entry = RefusalEntry(
            region=desk.region.region,
            time=desk.clock.now(),
            trustee=desk.name,
            request=leaf,
            code=refusal.code,
            reason=refusal.message[:_MAX_REASON],
        )
        entries[said] = encode(entry, desk.keys.signing)
    return list(entries.values())


def announce_freeze(desk: Desk) -> None:
    """Tell the public, if the log still takes entries; being frozen does not hang on it."""
    region, folder = desk.state.region, desk.follower.folder
    kept = found(folder) if folder else []
    if region is None or not kept:
        return
    entry = FreezeEntry(
        region=region.region,
        time=desk.clock.now(),
        trustee=desk.name,
        evidence=digest(kept[0].read_bytes()),
    )
    try:
        desk.append([encode(entry, desk.keys.signing)])
    except Error:
        return
