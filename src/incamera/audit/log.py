# SPDX-License-Identifier: Apache-2.0
"""The log itself: its checkpoint, and every entry read, hashed and folded into a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from incamera.audit.report import Findings
from incamera.audit.tiles import TileCheck
from incamera.clock import Clock
from incamera.encoding import base64_bytes, parse_json
from incamera.errors import Error, IntegrityError, UnavailableError
from incamera.ids import Digest, digest
from incamera.ledger.codec import decode
from incamera.ledger.entries import DatasetEntry, Entry, GrantEntry, RequestEntry
from incamera.ledger.rows import Party
from incamera.ledger.state import State, leaf_digest
from incamera.tlog import tile
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch
from incamera.tlog.merkle import leaf_hash
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.tree import TileTree, fetch_tile

__all__ = ["Readings", "check_checkpoint", "check_earlier", "check_region", "read_entries"]

_FRESH = 3_600  # seconds; what trustees ask for
_AHEAD = 30


@dataclass
class Readings:
    """What is needed later and stands in no table: who readers were at the time they spoke."""

    #: Leaf hash of a request -> its reader as enrolled when it was logged.
    readers: dict[Digest, Party] = field(default_factory=dict)
    #: Manifest digest -> index of the dataset entry and the reader as enrolled then.
    datasets: dict[Digest, tuple[int, Party]] = field(default_factory=dict)
    #: Index of a grant -> the trustee's own clock when it signed.
    granted_at: dict[int, int] = field(default_factory=dict)


def check_checkpoint(
    fetch: Fetch, policy: Policy, clock: Clock, findings: Findings
) -> Witnessed | None:
    """The published checkpoint; None (and an error) if it does not hold."""
    try:
        witnessed = policy.check(fetch("checkpoint"))
    except Error as error:
        findings.error(
            "checkpoint",
            f"does not hold: {error.message}",
            error.hint or "what this log shows now must not be relied on",
        )
        return None
    if witnessed.unknown:
        findings.error(
            "checkpoint",
            f"{witnessed.unknown} signature lines are by keys that the policy does not name",
            "a line was altered, or somebody signs here who is not listed: fetch it again",
        )
    age = clock.now() - witnessed.time(policy)
    if age > _FRESH:
        findings.warning(
            "checkpoint",
            f"stale: last cosigned {age} seconds ago, so there may be newer entries",
            "trustees refuse one older than an hour: fetch it anew, or have it cosigned again",
        )
    elif age < -_AHEAD:
        findings.warning(
            "checkpoint",
            f"cosigned {-age} seconds in the future, by your clock",
            "set this machine's clock right, or ask the witnesses about theirs",
        )
    return witnessed


def check_earlier(
    notes: Sequence[bytes], policy: Policy, witnessed: Witnessed, findings: Findings
) -> dict[int, Checkpoint]:
    """The checkpoints in ``notes``, seen before or elsewhere, by size; for :func:`read_entries`.

    One that is larger than what the log now shows, or a second root for one size, is an error.
    """
    earlier = {witnessed.checkpoint.size: witnessed.checkpoint}
    for number, note in enumerate(notes, 1):
        where = f"earlier checkpoint {number}"
        try:
            seen = policy.check(note, where).checkpoint
        except IntegrityError as error:
            findings.warning(where, error.message, "it proves nothing, so it was left out")
            continue
        if seen.size > witnessed.checkpoint.size:
            findings.error(
                where,
                f"has {seen.size} entries, but the log now shows {witnessed.checkpoint.size}",
                "the log went back: keep that note, and ask where the entries are",
                note.decode("utf-8"),
            )
        elif earlier.setdefault(seen.size, seen) != seen:
            _forked(findings, seen)
    return earlier


def _forked(findings: Findings, seen: Checkpoint) -> None:
    findings.error(
        f"checkpoint of size {seen.size}",
        "two checkpoints of this log contradict each other: it forked",
        "keep both notes and show them to the trustees, who then freeze: this is the proof",
        seen.text.decode("utf-8"),
    )


def read_entries(
    fetch: Fetch,
    policy: Policy,
    witnessed: Witnessed,
    earlier: Mapping[int, Checkpoint],
    state: State,
    tiles: TileCheck,
    findings: Findings,
    counts: Counter[str],
) -> Readings | None:
    """Fold every entry into ``state``; None (and an error) unless they give the signed root."""
    readings, noted = Readings(), Findings()
    differing: list[Checkpoint] = []
    time = witnessed.time(policy)
    try:
        with state.transaction():
            for index, data in enumerate(_entries(fetch, witnessed.checkpoint.size)):
                tiles.add(data)
                seen = earlier.get(index + 1)
                if seen is not None and seen.root != tiles.edge.root():
                    differing.append(seen)
                finding = state.apply(index, data, time)
                if finding is None:
                    _remember(state, index, data, readings, counts)
                elif finding.kind == "bad":
                    counts["bad entries"] += 1
                    _bad(noted, index, finding.text)
                else:
                    counts["repeated entries"] += 1
            state.accept(witnessed.note, witnessed.checkpoint.root, time)
    except (IntegrityError, UnavailableError) as error:
        where = _blame(fetch, witnessed) or "tile"
        findings.error(
            where,
            f"the entries are not those that the witnesses saw: {error.message}",
            error.hint or "entries were altered or are withheld: fetch the log from another copy",
        )
        return None
    # Only now are the entries known to be the log's: an altered bundle would blame good tiles,
    # and make the log's entries look void.
    findings.add(noted)
    for seen in differing:
        _forked(findings, seen)
    tiles.finish()
    return readings


def _blame(fetch: Fetch, witnessed: Witnessed) -> str | None:
    """The first bundle that the hash tiles contradict, if those tiles make the signed root."""
    size = witnessed.checkpoint.size
    tree = TileTree(fetch, size)
    try:
        if tree.root() != witnessed.checkpoint.root:
            return None
    except Error:
        return None
    for index in range(-(-size // tile.WIDTH)):
        width = tile.width_at(tile.ENTRIES, index, size)
        where = tile.path(tile.ENTRIES, index, width)
        try:
            entries = tile.decode_bundle(fetch_tile(fetch, tile.ENTRIES, index, width), where)
            if [leaf_hash(entry) for entry in entries] != tree.tile(0, index):
                return where
        except Error:
            return where
    return None


def _entries(fetch: Fetch, size: int) -> Iterator[bytes]:
    """Every entry; their root is compared at the end, by :meth:`State.accept`."""
    for index in range(-(-size // tile.WIDTH)):
        width = tile.width_at(tile.ENTRIES, index, size)
        where = tile.path(tile.ENTRIES, index, width)
        entries = tile.decode_bundle(fetch_tile(fetch, tile.ENTRIES, index, width), where)
        if len(entries) != width:
            raise IntegrityError(f"{where}: {len(entries)} entries where there must be {width}")
        yield from entries


def _bad(findings: Findings, index: int, text: str) -> None:
    findings.error(
        f"log entry {index}",
        f"is void: {text.removeprefix(f'log entry {index}: ')}",
        "it has no effect, but the log should never have taken it in: ask the operator",
    )


def _remember(
    state: State, index: int, data: bytes, readings: Readings, counts: Counter[str]
) -> None:
    where = f"log entry {index}"
    # A glance is enough for most: that the entry is well formed, the state has just checked.
    kind = parse_json(base64_bytes(parse_json(data, where)["payload"], where), where)["type"]
    counts[f"{kind} entries"] += 1
    if kind not in (GrantEntry.type, RequestEntry.type, DatasetEntry.type):
        return
    entry: Entry = decode(data, where).entry
    if isinstance(entry, GrantEntry):
        readings.granted_at[index] = entry.time
    elif isinstance(entry, RequestEntry | DatasetEntry):
        reader = state.party("reader", entry.reader)
        if reader is None:
            raise IntegrityError(f"{where}: its reader is not enrolled")
        if isinstance(entry, RequestEntry):
            readings.readers[leaf_digest(data)] = reader
        else:
            readings.datasets.setdefault(entry.manifest, (index, reader))


def check_region(state: State, policy: Policy, findings: Findings) -> None:
    """Entry 0 founds the region and pins the policy this audit judges by."""
    region = state.region
    if region is None:
        findings.error(
            "log entry 0",
            "does not found a region, so no entry of this log counts",
            "this is not an incamera log, or its first entry was never right",
        )
    elif region.log_policy != digest(policy.text):
        findings.error(
            "tlog-policy",
            "is not the policy that the region was founded under",
            "witnesses or quorum were changed silently: get the original policy",
            f"entry 0 names {region.log_policy}, this one is {digest(policy.text)}",
        )
