# SPDX-License-Identifier: Apache-2.0
"""The vault: takes capsules in, shows what it keeps, destroys on order. It holds no key to open.

The log rules. What the vault stores and lists follows from what stands in the log, by one module
(``account``) that runs before and after every append and at every opening, so a crash at any step
is mended by going on; ``admit`` has the steps of taking in.

Erasing: the entry goes to the log first, then the blob is destroyed and the row emptied. After a
crash in between, whichever vault reads on completes the destruction.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, parse_digest
from incamera.ledger import fold
from incamera.ledger.codec import decode
from incamera.ledger.entries import ErasureEntry
from incamera.ledger.state import leaf_digest
from incamera.sealing.keys import SigningKey
from incamera.tlog.fetch import Fetch
from incamera.tlog.log import Appended
from incamera.tlog.policy import Policy, Witnessed
from incamera.vault import admission, submission
from incamera.vault.account import Account
from incamera.vault.admit import Admitting, Source
from incamera.vault.blobs import Blobs, FileBlobs
from incamera.vault.index import LONGEST_PAGE, Index, Row, Status, Wanted
from incamera.vault.reading import Reading, receipts
from incamera.vault.refusal import RefusedError
from incamera.vault.scrub import Scrub
from incamera.vault.sqlite import SqliteIndex

__all__ = ["PublicLog", "Source", "Vault"]


class PublicLog(Protocol):
    """What the vault needs of :class:`incamera.tlog.log.Log`."""

    @property
    def policy(self) -> Policy:
        """Whose signatures make a checkpoint count."""
        ...

    def append(self, entries: Sequence[bytes]) -> Appended:
        """Entries into the published log; on :class:`UnavailableError` ask again with the same."""
        ...

    def refresh(self, older_than: int = 0) -> Witnessed:
        """Finish what was begun, and have the present tree cosigned."""
        ...


class Vault:
    """One region's capsules. For any number of threads.

    In ``home``: ``blobs/`` and ``index.db``, unless others are given; ``state.db`` (this vault's
    own reading of the log); ``excluded`` (the exclusion list, if any); ``lock``. Any number of
    processes may share one folder, or have one each and share an index and blobs.
    """

    def __init__(
        self,
        home: Path,
        key: SigningKey,
        log: PublicLog,
        fetch: Fetch,
        clock: Clock,
        *,
        blobs: Blobs | None = None,
        index: Index | None = None,
        recent: float = 0.0,
    ) -> None:
        """Open the vault and complete what a crash cut short.

        ``recent``: seconds for which a look at the log serves for admitting. What another vault
        logs, a revocation say, holds here that much later; what comes by this one, at once.
        ``fetch`` reads what ``log`` publishes. :class:`InputError` if ``key`` is not the vault key
        of the log's region entry; errors of the log as :meth:`Follower.follow` raises them.
        """
        durable.folder(home, 0o700)
        self._log = log
        self._fetch = fetch
        self._clock = clock
        self._blobs: Blobs = blobs or FileBlobs(home / "blobs")
        self._index: Index = index or SqliteIndex(home / "index.db")
        try:
            self._reading = Reading(home / "state.db", fetch, log.policy, clock)
        except BaseException:  # a damaged file; who tries again opens the index again
            self._index.close()
            raise
        self._state = self._reading.state
        self._account = Account(self._reading, self._index, self._blobs)
        #: Guards the reading of the log and what is made of it.
        self._turn = threading.Lock()
        self._admitting = Admitting(
            *(key, home / "excluded", log.append, log.refresh, clock),
            *(self._reading, self._account, self._index, self._blobs, self._turn),
            recent=recent,
        )
        self._scrub = Scrub(home / "scrubbed", self._index, self._account, self._turn)
        try:
            self.follow()
            if admission.region_of(self._state).vault_key != key.public:
                raise InputError(f"{home}: this key is not the vault key of the log's region")
        except BaseException:
            self.close()
            raise

    def follow(self) -> None:
        """Read what is new in the log, and obey it: erasures may come by other ways than ours."""
        with self._turn:
            self._account.catch_up()

    # Admitting

    def admit(self, path: Path) -> bytes:
        """Take in the capsule at ``path``; the receipt, a ``.tlog-proof`` (``ledger.receipt``).

        When this returns the capsule is durable and in the witnessed log. The same capsule again
        gives a receipt for the same log entry. :class:`RefusedError` if a rule forbids it,
        :class:`IntegrityError` if it was altered, :class:`UnavailableError` if store, log or
        witnesses are: then admit it again later.
        """
        (answer,) = self.admit_all([path])
        if isinstance(answer, Error):
            raise answer
        return answer

    def admit_all(self, paths: Sequence[Path]) -> list[bytes | Error]:
        """For each path, in order, what :meth:`admit` would return or raise; as one batch.

        What is refused or damaged holds up no other.
        """
        return self.admit_sources([*map(Source, paths)])

    def admit_sources(self, sources: Sequence[Source]) -> list[bytes | Error]:
        """As :meth:`admit_all`, of capsules that may be held in memory."""
        return self._admitting.admit_all(sources) if sources else []

    def receipt(self, name: Digest) -> bytes:
        """A fresh receipt for a capsule admitted before; :class:`InputError` if it never was."""
        parse_digest(name, "capsule")
        with self._turn:
            self._account.catch_up()
            admitted = self._state.capsule(name)
            if admitted is None:
                raise InputError(f"no capsule {name} was admitted here")
            entry = self._reading.entry(admitted.index)
            fetch, witnessed = self._reading.present()
        return next(receipts(fetch, witnessed, [(admitted.index, entry)]))

    # Other entries

    def submit(self, entry: bytes) -> int:
        """Log an entry that somebody else signed, and obey it; its log index.

        The same bytes again give the same index. :class:`InputError` or :class:`IntegrityError`
        if it would have no effect (malformed, not the signer's to say), :class:`RefusedError` for
        what is not to be said here.
        """
        (answer,) = self.submit_all([entry])
        if isinstance(answer, Error):
            raise answer
        return answer

    def submit_all(self, entries: Sequence[bytes]) -> list[int | Error]:
        """For each entry, in order, what :meth:`submit` would return or raise; as one batch.

        Each is judged by the log as it stands before the batch. One that the batch itself leaves
        without effect (two that contradict each other) has that as its error.
        """
        answers: list[int | Error | None] = [None] * len(entries)
        new: dict[bytes, list[int]] = {}
        with self._index.alone():
            with self._turn:
                self._account.catch_up()
                for at, entry in enumerate(entries):
                    try:
                        answers[at] = self._stands(entry)
                        if answers[at] is None:
                            new.setdefault(entry, []).append(at)
                    except Error as error:
                        answers[at] = error
            for same, answer in zip(new.values(), self._logged(list(new)), strict=True):
                for at in same:
                    answers[at] = answer
        return [answer for answer in answers if answer is not None]

    def _logged(self, entries: Sequence[bytes]) -> Iterable[int | Error]:
        """Where each is, now that it was appended."""
        if not entries:
            return []
        try:
            put = self._log.append(entries)
            self._reading.ahead.told(entries, put)
            places = put.indices or range(put.first_index, put.first_index + len(entries))
            with self._turn:
                self._account.catch_up(told=True)
                if any(self._state.index_of(leaf_digest(each)) is None for each in entries):
                    self._account.catch_up()
                return [self._took(each, at) for each, at in zip(entries, places, strict=True)]
        except Error as error:
            return itertools.repeat(error, len(entries))

    def _stands(self, entry: bytes) -> int | None:
        """The index of an entry that says nothing new; None if it is to be logged."""
        signed = decode(entry, "submitted entry")
        logged = self._state.index_of(leaf_digest(entry))
        if logged is not None:
            return logged
        submission.check_kind(signed.entry)
        fold.check(self._state, signed, self._state.size)
        submission.check_documents(signed.entry, self._fetch)
        if isinstance(signed.entry, ErasureEntry):
            if (before := submission.erased_before(signed.entry, self._state)) is not None:
                return before
            submission.check_erasure(signed.entry, self._state, self._index)
        return None

    def _took(self, entry: bytes, said: int) -> int | Error:
        """Where an entry took effect, as the log that we read has it; ``said``: as it told us."""
        index = self._state.index_of(leaf_digest(entry))
        if index is not None:
            return index
        if said >= self._state.size:
            return UnavailableError("the log does not show the entry yet", hint="submit it again")
        return InputError(
            "the entry has no effect: another one that came with it said otherwise",
            hint="look at the log as it is now",
        )

    def erase(self, entry: bytes) -> int:
        """Log a signed erasure, then destroy what it names; its log index.

        After a crash, opening the vault completes the destruction; submitting the same bytes
        again gives the same index. Owners erase what is theirs, the operator anything.
        """
        if not isinstance(decode(entry, "erasure").entry, ErasureEntry):
            raise InputError("this entry is not an erasure")
        return self.submit(entry)

    # Finding

    def find(
        self,
        *,
        status: Status | None = None,
        since: str | None = None,
        until: str | None = None,
        owner: str | None = None,
        camera: str | None = None,
        tag: str | None = None,
        purpose: str | None = None,
    ) -> Iterator[Row]:
        """Rows by hour: all, or those that match. ``since``, ``until``: hours, inclusive.

        They are looked up a page at a time: what is erased meanwhile may be left out.
        """
        wanted = Wanted(status, since, until, owner, camera, tag, purpose)
        after = ""
        while rows := self._index.page(wanted, LONGEST_PAGE, after=after):
            yield from rows
            after = rows[-1].cursor

    def page(self, wanted: Wanted, count: int, *, after: str = "", skip: int = 0) -> list[Row]:
        """``count`` rows by hour, those after the cursor ``after`` (:attr:`Row.cursor`).

        ``skip`` rows are left out, at the cost of looking at them. :class:`InputError` for what is
        no cursor.
        """
        return self._index.page(wanted, count, after=after, skip=skip)

    def due(self, until: int, count: int) -> list[Digest]:
        """Capsules not erased that had expired by ``until`` (POSIX seconds), the oldest first."""
        return self._index.due(until, count)

    def row(self, name: Digest) -> Row | None:
        """What the index knows of one capsule."""
        return self._index.get(parse_digest(name, "capsule"))

    def path(self, name: Digest) -> Path:
        """The stored file; :class:`RefusedError` if erased, :class:`InputError` if not admitted.

        Of a vault that keeps files; :meth:`local` and :meth:`pieces` serve any.
        """
        self._check_admitted(name)
        if not isinstance(self._blobs, FileBlobs):
            raise InputError(f"capsule {name[:16]}... is no file here, but in a bucket")
        return self._blobs.path(name)

    @contextlib.contextmanager
    def local(self, name: Digest) -> Iterator[Path]:
        """The capsule as a file, for as long as the context lasts; errors as :meth:`path`."""
        self._check_admitted(name)
        with self._blobs.local(name) as path:
            yield path

    def pieces(self, name: Digest, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Its bytes ``start`` to ``end`` (exclusive), in pieces; errors as :meth:`path`."""
        self._check_admitted(name)
        return self._blobs.pieces(name, start, end)

    def size(self, name: Digest) -> int:
        """Its length in bytes; errors as :meth:`path`."""
        self._check_admitted(name)
        return self._blobs.size(name)

    def _check_admitted(self, name: Digest) -> None:
        row = self.row(name)
        if row is not None and row.status == "erased":
            raise RefusedError("erased", f"capsule {name[:16]}... was erased")
        if row is None or row.status == "pending":
            raise InputError(f"no capsule {name} was admitted here")

    # Housekeeping

    def orphans(self) -> list[Digest]:
        """Blobs whose entry is not in the log: admissions that were cut short."""
        with self._turn:
            self._account.catch_up()
            return [name for name in self._blobs.names() if self._state.capsule(name) is None]

    def read_through(self, count: int, most: int = 1 << 40) -> list[Digest]:
        """Read the next ``count`` kept capsules through; the digests of those missing or damaged.

        Fewer, once they make ``most`` bytes. The bad ones are ``lost`` from then on: admitting
        such a capsule again mends it. The next call goes on behind the last one, of an earlier
        process too, and at the end begins anew.
        """
        return self._scrub.read(count, most)

    def sweep(self, older_than: int = 0) -> list[Digest]:
        """Destroy what was begun ``older_than`` seconds ago, or before, and never logged.

        Only what nobody holds and what is not in the log: an append that was cut short is
        finished first, so that no capsule is destroyed whose entry was about to appear. Where
        no other process can be writing, also blobs that nothing is known of. The digests.
        """
        before = self._clock.now() - older_than
        with self._index.alone() as alone:
            stale = self._index.begun_before(before, LONGEST_PAGE)
            gone = set[Digest]()
            thorough = alone and not older_than
            if stale or thorough:
                self._log.refresh()
            if stale:
                with self._index.resume(stale, wait=False) as left:
                    gone |= self._undo(left)
            if thorough:
                gone |= self._undo_unknown()
            return sorted(gone)

    def _undo(self, names: Iterable[Digest]) -> set[Digest]:
        """End what was begun as the log says; those whose blobs were destroyed."""
        with self._turn:
            self._account.catch_up()
            gone = {n for n in names if self._state.capsule(n) is None or self._state.erased(n)}
            for name in gone:
                self._blobs.remove(name)
            with self._index.accounting() as book:
                for name in set(names) - gone:
                    self._account.settle(book, name)
            self._index.give_up(list(names))
        return gone

    def _undo_unknown(self) -> set[Digest]:
        """While nobody else writes: blobs without an entry, and what dying writers left."""
        with self._turn:
            self._account.catch_up()
            gone = {name for name in self._blobs.names() if self._state.capsule(name) is None}
            for name in gone:
                self._blobs.remove(name)
            self._blobs.tidy()
        return gone

    def tidy(self, older_than: int, part: int) -> int:
        """Remove what killed writers left ``older_than`` seconds ago or before; how many files.

        ``part``: 0 to 255, of the whole. Others may write meanwhile.
        """
        return self._blobs.tidy_old(self._clock.now() - older_than, part)

    def close(self) -> None:
        """Let go of the databases."""
        self._admitting.close()
        self._index.close()
        self._state.close()
