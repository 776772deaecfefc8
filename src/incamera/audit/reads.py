# SPDX-License-Identifier: Apache-2.0
"""Who asked to read, who granted, and whether that was right by what is public.

What cannot be judged from outside (the notice a trustee waited, its own rate limit) is not
judged here: trustees check it, and one alone cannot open anything.
"""

from __future__ import annotations

from collections import Counter

from incamera.audit.files import Named
from incamera.audit.memory import Memory
from incamera.audit.report import Demand, Findings
from incamera.errors import Error
from incamera.ids import Digest, Name
from incamera.ledger.codec import capsule_list, parse_capsule_list
from incamera.ledger.entries import CapsuleList
from incamera.ledger.queries import DAY
from incamera.ledger.rows import Granted, Requested
from incamera.tlog.fetch import Fetch

__all__ = ["ReadCheck"]

_GRACE = 7 * DAY
"""How long after it was due a trustee's act is called late."""

_ASK = "ask the trustee named here, in public, to explain"


class ReadCheck:
    """Requests, grants, refusals, datasets and freezes of one log."""

    def __init__(self, memory: Memory, fetch: Fetch, findings: Findings) -> None:
        self._state = memory
        self._fetch = fetch
        self._findings = findings
        self._frozen: dict[Name, int] = {}

    def run(self) -> tuple[Demand, ...]:
        """Check all; what was asked and what became of it."""
        self._trustees()
        for freeze in self._state.freezes():
            self._frozen.setdefault(freeze.trustee, freeze.index)
            self._findings.error(
                f"log entry {freeze.index}",
                f"trustee {freeze.trustee} says it holds proof that this log forked",
                f"get the proof {freeze.evidence} from it; until then rely on nothing new here",
            )
        demands = tuple(self._demand(request) for request in self._state.requests())
        self._keys()
        self._expired()
        return demands

    def _trustees(self) -> None:
        region = self._state.region
        if region is None:
            return
        countries = Counter(each.country for each in self._state.parties("trustee"))
        for country, count in sorted(countries.items()):
            if count >= region.threshold:
                self._findings.warning(
                    f"trustees in {country}",
                    f"{count} are in one jurisdiction, where {region.threshold} can open a capsule",
                    "one government could reach enough shares: spread the trustees",
                )
        founded = self._state.founded()
        for each in self._state.parties("trustee"):
            if each.since >= founded:
                self._findings.warning(
                    f"trustee {each.name}",
                    f"enrolled, or given another key, since the founding: log entry {each.since}",
                    "the operator alone decides that, and new capsules can be sealed to it: "
                    "find out who holds its key",
                )

    def _keys(self) -> None:
        """What trustees owe to the clock of the witnesses: a key for today, the end of old ones."""
        region, now = self._state.region, self._state.time
        if region is None:
            return
        for name in (each.name for each in self._state.parties("trustee")):
            where, keys = f"trustee {name}", self._state.epochs(name)
            if not any(each.not_before <= now <= each.not_after for each in keys):
                self._findings.warning(
                    where,
                    "is late: it has announced no key that cars may seal to now",
                    "until it does, nothing new can be sealed to it: ask it why",
                )
            for key in keys:
                due = key.not_after + region.retention * DAY
                if now > due + _GRACE and self._state.destroyed(name, key.epoch) is None:
                    self._findings.warning(
                        where,
                        f"is late: the key of its epoch {key.epoch} should be destroyed by now",
                        "until it says so in the log, old capsules can still be opened: ask it why",
                    )

    def _expired(self) -> None:
        """What the vault destroyed as expired, before its own word for it was true.

        Whether each capsule had expired stands in its header, which only its owner still has.
        """
        early = Counter(each.index for each in self._state.erasures() if each.by == "vault")
        for index, count in sorted(early.items()):
            ahead = self._state.said(index) - self._state.time
            if ahead > 0:
                self._findings.warning(
                    f"log entry {index}",
                    f"the vault erased {count} capsules as expired at a time that was {ahead} s "
                    "ahead of the witnesses",
                    "they were destroyed before their time, or its clock is wrong: ask the "
                    "operator; owners who exported them can show when they were to end",
                )

    def _demand(self, request: Requested) -> Demand:
        where = f"log entry {request.index}"
        reader = self._state.reader(request)
        capsules = self.capsules(request)
        if missing := [each for each in capsules if self._state.capsule(each) is None]:
            self._findings.warning(
                where,
                f"{len(missing)} of the {len(capsules)} capsules asked for are not in this log",
                "nothing can come of that part of the request",
                missing[0],
            )
        if self._state.published("policy", request.entry.policy) is None:
            self._findings.warning(
                where, "names a policy that is not in this log", "trustees refuse such a request"
            )
        grants = list(self._state.grants(request.leaf))
        for grant in grants:
            self._grant(grant, request, capsules)
        if grants and reader.kind == "government":
            self._findings.error(
                where,
                f"a government ({reader.name}, {reader.country}) was granted a read",
                "the promise that no government reads was broken: " + _ASK,
                ", ".join(f"{each.trustee} at entry {each.index}" for each in grants),
            )
        datasets = list(self._state.datasets(request.leaf))
        for dataset in datasets:
            self._dataset(dataset.index, grants)
        refusals = self._state.refusals(request.leaf)
        return Demand(
            index=request.index,
            leaf=request.leaf,
            reader=reader.name,
            kind=reader.kind,
            country=reader.country,
            purpose=request.entry.purpose,
            capsules=len(capsules) or _count(request),
            granted=tuple(sorted({each.trustee for each in grants})),
            refused=tuple((each.trustee, each.code) for each in refusals),
            datasets=len(datasets),
        )

    def capsules(self, request: Requested, *, quiet: bool = False) -> tuple[Digest, ...]:
        """The capsules a request names; empty if its list cannot be read.

        That is an error too, unless ``quiet``: once is enough.
        """
        named = request.entry.capsules
        if not isinstance(named, CapsuleList):
            return named
        try:
            return parse_capsule_list(self._fetch(f"list/{named.digest}"), named)
        except Error as error:
            if quiet:
                return ()
            self._findings.error(
                f"log entry {request.index}",
                f"what it asks for cannot be known: {error.message}",
                "the list beside the log was altered or is withheld: get it from another copy",
            )
            return ()

    def _grant(self, grant: Granted, request: Requested, asked: tuple[Digest, ...]) -> None:
        where = f"log entry {grant.index}"
        frozen = self._frozen.get(grant.trustee, grant.index)
        if frozen < grant.index:
            self._findings.error(where, f"{grant.trustee} granted after it froze", _ASK)
        if asked and grant.count > len(asked):
            self._findings.error(
                where, f"{grant.trustee} granted more capsules than were asked for", _ASK
            )
        if self._state.said(grant.index) > request.entry.expires:
            self._findings.warning(
                where,
                f"by its own clock {grant.trustee} granted after the request had expired",
                "trustees go by witness time, which may lag: compare the two",
            )
        if not asked or grant.capsules != capsule_list(asked)[1].digest:
            return
        for each in asked:
            erased = self._state.erased(each)
            if erased is not None and erased.index < grant.index:
                self._findings.error(
                    where, f"{grant.trustee} granted a capsule that was erased before", _ASK, each
                )

    def _dataset(self, index: int, grants: list[Granted]) -> None:
        region = self._state.region
        before = {each.trustee for each in grants if each.index < index}
        if region is not None and len(before) < region.threshold:
            self._findings.error(
                f"log entry {index}",
                f"a dataset with grants of {len(before)} trustees, where {region.threshold} are "
                "needed to open anything",
                "it was opened by another way than this log: ask the reader how",
                ", ".join(sorted(before)),
            )

    def lists(self) -> tuple[set[Named], set[Named]]:
        """The list files that must be there, and those that may be (a grant's own list)."""
        wanted, optional = set(), set()
        for request in self._state.requests():
            if isinstance(request.entry.capsules, CapsuleList):
                wanted.add(("list", request.entry.capsules.digest))
        for succession in self._state.successions():
            number = succession.entry.number
            wanted.add(("list", succession.entry.capsules.digest))
            # Long, sealed, and of use to the new trustees alone: looked at where they lie.
            optional |= {("dealing", each.file) for each in self._state.reshared(number)}
            optional |= {("commitments", each.file) for each in self._state.accepted(number)}
        for grant in self._state.grants():
            optional.add(("list", grant.capsules))
        return wanted, optional


def _count(request: Requested) -> int:
    named = request.entry.capsules
    return named.count if isinstance(named, CapsuleList) else len(named)
