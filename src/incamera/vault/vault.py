# SPDX-License-Identifier: Apache-2.0
"""The vault: takes capsules in, shows what it keeps, destroys on order. It holds no key to open.

The log rules. What the vault stores and indexes follows from what stands in the log, by one
module (``account``) that runs after every append and at every opening, so a crash at any step
is mended by going on:

======================================  =========================================================
admitting, crash after                  what is there, and what happens next
======================================  =========================================================
1. the rules held                       nothing
2. the blob is durable                  an orphan: admitting again replaces it; ``sweep`` removes it
3. a pending row holds the signed entry an orphan too; admitting again appends these very bytes
4. the entry is in the log              opening the vault makes the row ``kept``
5. the row is ``kept``                  admitting again answers with the receipt
======================================  =========================================================

Erasing: the entry goes to the log first, then the blob is unlinked and the row emptied. After a
crash in between, opening the vault completes the destruction.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from incamera import durable
from incamera.clock import Clock
from incamera.errors import Error, InputError, UnavailableError
from incamera.ids import Digest, parse_digest
from incamera.ledger import fold
from incamera.ledger.codec import decode, encode
from incamera.ledger.entries import CapsuleEntry, ErasureEntry
from incamera.ledger.follower import Follower
from incamera.ledger.receipt import make_receipt
from incamera.ledger.state import State, leaf_digest
from incamera.sealing.capsule import Capsule, read_capsule
from incamera.sealing.keys import SigningKey
from incamera.tlog.fetch import Fetch
from incamera.tlog.log import Appended
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.reader import LogReader
from incamera.vault import admission, submission
from incamera.vault.account import Account
from incamera.vault.blobs import Blobs, FileBlobs
from incamera.vault.exclusion import Exclusions
from incamera.vault.index import Index, Row, Status
from incamera.vault.refusal import RefusedError

__all__ = ["PublicLog", "Vault"]


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

    def entry(self, index: int) -> bytes:
        """One entry."""
        ...

    def proof(self, index: int) -> bytes:
        """Its ``.tlog-proof``."""
        ...


class Vault:
    """One region's capsules. Any number of objects and processes may share one folder.

    In ``home``: ``blobs/``, ``index.db``, ``state.db`` (this vault's own reading of the log),
    ``excluded`` (the exclusion list, if any) and ``lock``, which every act that writes holds.
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
    ) -> None:
        """Open the vault and complete what a crash cut short.

        ``fetch`` reads what ``log`` publishes. :class:`InputError` if ``key`` is not the vault key
        of the log's region entry; errors of the log as :meth:`Follower.follow` raises them.
        """
        self._home = durable.folder(home, 0o700)
        self._key = key
        self._log = log
        self._fetch = fetch
        self._clock = clock
        self._blobs: Blobs = blobs or FileBlobs(home / "blobs")
        self._index = Index(home / "index.db")
        self._state = State(home / "state.db")
        follower = Follower(LogReader(fetch, log.policy), self._state, clock)
        self._account = Account(follower, self._index, self._blobs)
        with self._locked():
            if admission.region_of(self._state).vault_key != key.public:
                raise InputError(f"{home}: this key is not the vault key of the log's region")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """The only writer, on the present state of the log."""
        with durable.lock(self._home / "lock", wait=True):
            self._account.catch_up()
            yield

    def follow(self) -> None:
        """Read what is new in the log, and obey it: erasures may come by other ways than ours."""
        with self._locked():
            pass

    # Admitting

    def admit(self, path: Path) -> bytes:
        """Take in the capsule at ``path``; the receipt, a ``.tlog-proof`` (``ledger.receipt``).

        When this returns the capsule is on disk and in the witnessed log. The same capsule again
        gives a receipt for the same log entry. :class:`RefusedError` if a rule forbids it,
        :class:`IntegrityError` if it was altered, :class:`UnavailableError` if disk, log or
        witnesses are: then admit it again later.
        """
        capsule = read_capsule(path)
        with self._locked():
            if self._state.capsule(capsule.digest) is None:
                self._take_in(capsule)
            elif self._state.erased(capsule.digest) is not None:
                raise RefusedError("erased", f"capsule {capsule.digest[:16]}... was erased")
            elif not self._account.sound(capsule.digest):
                # On this receipt the car deletes its copy: what is damaged here is mended first.
                self._blobs.put(capsule.digest, capsule.pieces())
                self._account.settle(capsule.digest)
            return self._receipt(capsule.digest)

    def _take_in(self, capsule: Capsule) -> None:
        name, header = capsule.digest, capsule.header
        owner = self._index.owner_of(header.owner.key)
        twin = self._index.holder_of(header.capsule_id)
        exclusions = Exclusions.load(self._home / "excluded")
        now = self._clock.now()
        admission.check(admission.Case(name, header, self._state, exclusions, owner, twin, now))
        # Copied from what was read and checked, and the copy fails if the ciphertext's digest is
        # not the header's: so no other bytes can slip in between check and store.
        self._blobs.put(name, capsule.pieces())
        region = admission.region_of(self._state).region
        entry = encode(CapsuleEntry(region=region, time=now, capsule=name), self._key)
        entry = self._index.begin(name, header, capsule.size, entry)
        self._log.append([entry])
        self._account.catch_up()

    def _receipt(self, name: Digest) -> bytes:
        admitted = self._state.capsule(name)
        if admitted is None:
            raise UnavailableError(
                f"capsule {name[:16]}... is stored, but the log does not show it yet",
                hint="admit it again",
            )
        return make_receipt(self._log.proof(admitted.index), self._log.entry(admitted.index))

    def receipt(self, name: Digest) -> bytes:
        """A fresh receipt for a capsule admitted before; :class:`InputError` if it never was."""
        parse_digest(name, "capsule")
        with self._locked():
            if self._state.capsule(name) is None:
                raise InputError(f"no capsule {name} was admitted here")
            return self._receipt(name)

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
        with self._locked():
            for at, entry in enumerate(entries):
                try:
                    answers[at] = self._stands(entry)
                    if answers[at] is None:
                        new.setdefault(entry, []).append(at)
                except Error as error:
                    answers[at] = error
            try:
                first = self._log.append(list(new)).first_index if new else 0
                self._account.catch_up()
            except Error as error:
                logged: Iterable[int | Error] = itertools.repeat(error, len(new))
            else:
                logged = [self._took(entry, first + n) for n, entry in enumerate(new)]
            for same, answer in zip(new.values(), logged, strict=True):
                for at in same:
                    answers[at] = answer
        return [answer for answer in answers if answer is not None]

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
        """Rows by hour: all, or those that match. ``since``, ``until``: hours, inclusive."""
        return self._index.rows(
            status=status,
            since=since,
            until=until,
            owner=owner,
            camera=camera,
            tag=tag,
            purpose=purpose,
        )

    def row(self, name: Digest) -> Row | None:
        """What the index knows of one capsule."""
        return self._index.get(parse_digest(name, "capsule"))

    def path(self, name: Digest) -> Path:
        """The stored file; :class:`RefusedError` if erased, :class:`InputError` if not admitted."""
        row = self.row(name)
        if row is not None and row.status == "erased":
            raise RefusedError("erased", f"capsule {name[:16]}... was erased")
        if row is None or row.status == "pending":
            raise InputError(f"no capsule {name} was admitted here")
        return self._blobs.path(name)

    # Housekeeping

    def orphans(self) -> list[Digest]:
        """Blobs whose entry is not in the log: admissions that were cut short."""
        with self._locked():
            return [name for name in self._blobs.names() if self._state.capsule(name) is None]

    def scrub(self) -> list[Digest]:
        """Read every kept capsule through; the digests of those missing or damaged.

        They are ``lost`` from then on: admitting such a capsule again mends it.
        """
        suspects = [r.digest for r in self.find(status="kept") if not self._account.sound(r.digest)]
        with self._locked():
            bad = []
            for name in suspects:
                row = self.row(name)  # erased meanwhile, or mended?
                if row and row.status == "kept" and not self._account.sound(name):
                    self._index.lose(name, row.index)
                    bad.append(name)
            return bad

    def sweep(self) -> list[Digest]:
        """Destroy orphans and what dying writers left behind; the digests destroyed.

        Only what is not in the log: an append that was cut short is finished first, so that no
        capsule is destroyed whose entry was about to appear.
        """
        with durable.lock(self._home / "lock", wait=True):
            self._log.refresh()
            self._account.catch_up()
            gone = [name for name in self._blobs.names() if self._state.capsule(name) is None]
            for name in gone:
                self._blobs.remove(name)
                self._index.forget(name)
            self._blobs.tidy()
            return gone

    def close(self) -> None:
        """Let go of the databases."""
        self._index.close()
        self._state.close()
