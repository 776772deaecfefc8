# SPDX-License-Identifier: Apache-2.0
"""Visits to a log behind a URL: copy what is new, check it, remember it.

A visitor's folder::

    public/     the mirror: the log and its texts, as it serves them
    state.db    what was read and checked (a ledger state and a little more)
    suspects    what the log served wrong, to be asked for again
    policy      the tlog-policy of the first visit, by which later ones judge
    evidence/   proof that the log forked; where it lies, nothing more is believed

Order, for a crash at any moment: tiles and bundles (each verified, each durable), then the
checkpoint, then the state in one transaction. Whatever is missing then is fetched or read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from incamera import durable
from incamera.audit import forks
from incamera.audit.log import check_checkpoint
from incamera.audit.memory import Memory
from incamera.audit.mirror import Mirror, MirrorFetch
from incamera.audit.report import Findings, Report
from incamera.audit.workflow import Scope, audit_once
from incamera.clock import Clock
from incamera.encoding import canonical, parse_canonical
from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ledger import evidence
from incamera.ledger.evidence import Split
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.fetch import Fetch, FolderFetch
from incamera.tlog.frontier import Frontier
from incamera.tlog.policy import Policy, Witnessed
from incamera.tlog.tree import TileTree

__all__ = ["Visit", "Visitor"]

Advance = Callable[[str, int, int], object]
"""Told what is being done (``fetching``, ``reading``), and how many entries of how many."""

_PUBLISH = "publish the proof and show it to the trustees, who then freeze; rely on nothing here"


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit's report; ``since``: how many entries were known before it."""

    report: Report
    since: int
    #: Proof that the log forked, if it did.
    evidence: Path | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """Where the last visit stood."""

    checkpoint: Checkpoint
    note: bytes
    frontier: Frontier


class Visitor:
    """Audits one log, again and again, from a folder of its own."""

    def __init__(
        self,
        folder: Path,
        remote: Fetch,
        clock: Clock,
        *,
        policy_text: bytes | None = None,
        processes: int = 1,
    ) -> None:
        """``policy_text``: whom to believe; by default what was first published is believed."""
        self.folder = folder
        self.public = folder / "public"
        self.evidence = folder / "evidence"
        self._remote = remote
        self._clock = clock
        self._given = policy_text
        self._processes = processes

    def visit(
        self,
        datasets: Sequence[Path] = (),
        advance: Advance | None = None,
        *,
        extracts: Sequence[Path] = (),
    ) -> Visit:
        """Go there, and report all that is and was found; the checks are those of a full audit.

        :class:`UnavailableError` if the log does not answer, or another visit is under way: what
        was fetched is kept, and the next visit goes on. :class:`InputError` for a useless policy.
        """
        durable.folder(self.public)
        with durable.lock(self.folder / "lock"):
            if kept := evidence.found(self.evidence):
                return self._frozen(kept[0])
            note = self._remote("checkpoint")
            text = self._policy()
            return self._visit(note, text, datasets, extracts, advance)

    def _policy(self) -> bytes:
        kept = self.folder / "policy"
        if self._given is not None:
            return self._given
        if not kept.exists():
            text = self._remote("tlog-policy")
            Policy.parse(text)
            durable.write(kept, text)
        return kept.read_bytes()

    def _visit(
        self,
        note: bytes,
        text: bytes,
        datasets: Sequence[Path],
        extracts: Sequence[Path],
        advance: Advance | None,
    ) -> Visit:
        policy, findings = Policy.parse(text), Findings()
        known = self._known(policy)
        since = known.checkpoint.size if known else 0
        witnessed = check_checkpoint(lambda _: note, policy, self._clock, findings)
        if witnessed is None:
            return Visit(_report(findings), since)
        findings = Findings()  # the audit below says the same of the checkpoint again
        mirror = Mirror(self.public, self._remote)
        if told := self._contradicts(known, witnessed, policy, self._remote):
            return told
        edge = mirror.edge(witnessed.checkpoint)
        if edge is not None:
            # Now that its edge is known, tiles that were served wrong hide a fork no more.
            if told := self._contradicts(known, witnessed, policy, mirror.served(edge)):
                return told
            # A mirror that somebody emptied is filled again.
            have = since if (self.public / "checkpoint").exists() else 0
            mirror.update(edge, have, _named(advance, "fetching"))
        mirror.again(self._suspects())
        self._suspect(mirror)
        for each in sorted(set(mirror.problems)):
            findings.error(*each)
        if not mirror.whole:
            return Visit(_report(findings, witnessed, policy), since)
        self._publish(note)
        fetch = MirrorFetch(self.public, self._remote)
        scope = Scope(
            fetch,
            text,
            datasets=datasets,
            extracts=extracts,
            processes=self._processes,
            advance=_named(advance, "reading"),
            tiles=FolderFetch(self.public),
            memory=self.folder / "state.db",
        )
        report = audit_once(scope, self._clock, findings)
        if fetch.away is not None:
            raise fetch.away
        return Visit(report, since)

    def _publish(self, note: bytes) -> None:
        """The mirror shows this tree from here on."""
        try:
            durable.write(self.public / "tlog-policy", self._remote("tlog-policy"))
        except UnavailableError:
            self._remote("checkpoint")  # raises where the log is away, not only its policy
            durable.remove(self.public / "tlog-policy")
        durable.write(self.public / "checkpoint", note)

    # What was seen before

    def _known(self, policy: Policy) -> _Known | None:
        memory = Memory(self.folder / "state.db")
        try:
            if (note := memory.note) is None:
                return None
            # It was checked when it was kept; the policy may have changed since.
            text = note[: note.rfind(b"\n\n") + 1]
            checkpoint = Checkpoint.parse(text, str(self.folder))
            if all(each.name != checkpoint.origin for each in policy.logs):
                raise InputError(
                    f"{self.folder}: mirrors {checkpoint.origin!r:.80}, which this policy does not "
                    "name",
                    hint="use a folder of its own for each log",
                )
            return _Known(checkpoint, note, memory.frontier)
        finally:
            memory.close()

    def _contradicts(
        self, known: _Known | None, witnessed: Witnessed, policy: Policy, served: Fetch
    ) -> Visit | None:
        """The report on a log that is no longer the one that was seen before."""
        if known is None or known.checkpoint == witnessed.checkpoint:
            return None
        ours, theirs = known.checkpoint, witnessed.checkpoint
        if ours.origin != theirs.origin:
            raise InputError(
                f"{self.folder}: mirrors {ours.origin!r:.80}, not {theirs.origin!r:.80}",
                hint="use a folder of its own for each log",
            )
        split: Split | None = None
        if ours.size != theirs.size:
            try:
                split = self._split(known, theirs, served)
            except (IntegrityError, UnavailableError):
                split = None
            if split is None and ours.size <= theirs.size:
                return None
        findings = Findings()
        notes = f"{known.note.decode()}\n{witnessed.note.decode()}"
        if split is None and theirs.size < ours.size:
            findings.error(
                "checkpoint",
                f"the log went back: it shows {theirs.size} entries, and had {ours.size}",
                "it was restored from an old copy, or you are shown a stale one: ask elsewhere",
                notes,
            )
            return Visit(_report(findings, witnessed, policy), ours.size)
        name = forks.keep(self.evidence, known.note, witnessed.note, split, self._clock.now())
        path = self.evidence / f"{name}.fork.json"
        findings.error(
            f"checkpoint of size {theirs.size}",
            f"the log forked: this tree contradicts the one of size {ours.size} seen before; the "
            f"proof is {path}",
            _PUBLISH,
            notes,
        )
        return Visit(_report(findings, witnessed, policy), ours.size, path)

    def _split(self, known: _Known, theirs: Checkpoint, served: Fetch) -> Split | None:
        ours = known.checkpoint
        other = TileTree(served, theirs.size).get
        if ours.size < theirs.size:
            mine = dict(zip(evidence.places(ours.size), known.frontier.hashes, strict=True))
            return forks.split_of(ours, lambda *at: mine[at], theirs, other)
        local = TileTree(FolderFetch(self.public), ours.size).get
        return forks.split_of(theirs, other, ours, local)

    def _frozen(self, path: Path) -> Visit:
        findings = Findings()
        findings.error("checkpoint", f"this log forked; the proof is kept in {path}", _PUBLISH)
        return Visit(_report(findings), 0, path)

    # What was served wrong

    def _suspects(self) -> list[str]:
        path = self.folder / "suspects"
        if not path.exists():
            return []
        value = parse_canonical(path.read_bytes(), str(path))
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise InputError(f"{path}: not a list of paths", hint="move it away")
        return value

    def _suspect(self, mirror: Mirror) -> None:
        paths = sorted({where for where, _, _ in mirror.problems} - {"tile"})
        if paths != self._suspects():
            durable.write(self.folder / "suspects", canonical(paths))


def _named(advance: Advance | None, what: str) -> Callable[[int, int], object] | None:
    if advance is None:
        return None
    return lambda done, total: advance(what, done, total)


def _report(
    findings: Findings, witnessed: Witnessed | None = None, policy: Policy | None = None
) -> Report:
    counts = Counter({"errors": findings.errors, "warnings": findings.warnings})
    if witnessed is None or policy is None:
        return Report("", 0, 0, tuple(findings.kept), counts)
    checkpoint, time = witnessed.checkpoint, witnessed.time(policy)
    return Report(checkpoint.origin, checkpoint.size, time, tuple(findings.kept), counts)
