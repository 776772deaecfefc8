# SPDX-License-Identifier: Apache-2.0
"""However a log comes to be read, in visits, processes or at once, the audit says the same."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incamera.audit import Report, audit
from incamera.audit.visit import Visitor
from incamera.clock import FixedClock
from incamera.ids import Name, Region, digest
from incamera.ledger.codec import capsule_list, encode
from incamera.ledger.entries import (
    CampaignEntry,
    CapsuleEntry,
    DatasetEntry,
    ErasureEntry,
    GrantEntry,
    PartyEntry,
    RegionEntry,
    RequestEntry,
    RevokeEntry,
)
from incamera.ledger.state import leaf_digest
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog import FolderFetch
from world import quick_folder
from world_tlog import START, LogWorld, log_world

OPERATOR, VAULT, READER, TRUSTEE = (SigningKey(bytes([n]) * 32) for n in range(4))
OPENING = OpeningKey.generate()
SAID: dict[str, Any] = {"region": Region("eu"), "time": START}
TEXT = b"a campaign"
NAMES = [digest(b"%d" % number) for number in range(40)]
REQUEST = encode(
    RequestEntry(
        **SAID,
        reader=Name("acme"),
        capsules=(NAMES[0],),
        purpose=Name("perception"),
        policy=digest(b"no such policy"),
        expires=START,
        nonce=bytes(16),
        recipient=OPENING.public,
    ),
    READER,
)


def party(role: str, name: str, key: SigningKey) -> bytes:
    """An enrolment."""
    return encode(
        PartyEntry(
            **SAID,
            role=role,  # type: ignore[arg-type]
            name=Name(name),
            kind=Name("government"),
            country="DE",
            key=key.public,
            opening=b"",
        ),
        OPERATOR,
    )


GRANT = GrantEntry(
    **{**SAID, "time": START + 1},
    trustee=Name("ch"),
    request=leaf_digest(REQUEST),
    capsules=capsule_list([NAMES[0]])[1].digest,
    count=1,
)
DATASET = DatasetEntry(
    **SAID, reader=Name("acme"), request=leaf_digest(REQUEST), manifest=digest(b"m")
)
ERASURE = ErasureEntry(**SAID, capsules=(NAMES[0],), by="operator", name="", reason="asked for")
PIECES = st.one_of(
    st.sampled_from(NAMES).map(lambda each: encode(CapsuleEntry(**SAID, capsule=each), VAULT)),
    st.sampled_from(NAMES).map(lambda each: encode(CapsuleEntry(**SAID, capsule=each), READER)),
    st.sampled_from(
        [
            party("reader", "acme", READER),
            party("trustee", "ch", TRUSTEE),
            REQUEST,
            encode(GRANT, TRUSTEE),
            encode(DATASET, READER),
            encode(ERASURE, OPERATOR),
            encode(CampaignEntry(**SAID, campaign=digest(TEXT)), OPERATOR),
            encode(CampaignEntry(**SAID, campaign=digest(b"withheld")), OPERATOR),
            encode(RevokeEntry(**SAID, role="reader", name=Name("acme"), reason="over"), OPERATOR),
            b"rubbish",
        ]
    ),
)
BULK = [encode(CapsuleEntry(**SAID, capsule=digest(b"bulk %d" % n)), VAULT) for n in range(600)]


class Region0:
    """A log that grows by hand, and the files beside it."""

    def __init__(self, home: Path) -> None:
        self.clock = FixedClock(START)
        self.logs: LogWorld = log_world(home / "log", clock=self.clock)
        self.used = 0
        founding = RegionEntry(
            **SAID,
            operator_key=OPERATOR.public,
            vault_key=VAULT.public,
            log_policy=digest(self.logs.policy.text),
            threshold=2,
            notice=0,
            retention=30,
            quota=9,
        )
        place = self.logs.public / "campaign" / f"{digest(TEXT)}.toml"
        place.parent.mkdir()
        place.write_bytes(TEXT)
        self.logs.log.append([encode(founding, OPERATOR)])

    def grow(self, entries: Sequence[bytes], bulk: int) -> None:
        """Append these, and so many capsules more, in one batch."""
        more = BULK[self.used : self.used + bulk]
        self.used += len(more)
        if entries or more:
            self.logs.log.append([*entries, *more])

    def at_once(self, **how: Any) -> Report:
        """The whole log in one pass."""
        return audit(FolderFetch(self.logs.public), self.logs.policy.text, self.clock, **how)


GROWTHS = st.lists(
    st.tuples(st.lists(PIECES, max_size=12), st.sampled_from([0, 0, 1, 100, 200, 255])),
    min_size=1,
    max_size=5,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GROWTHS, st.data())
def test_visits_find_what_one_pass_finds(
    growths: list[tuple[list[bytes], int]], data: st.DataObject
) -> None:
    """Whatever the log holds and wherever it is cut, the last visit's report is the whole one."""
    with quick_folder() as home:
        region = Region0(home)
        remote = FolderFetch(region.logs.public)
        visitor = Visitor(
            home / "mirror", remote, region.clock, policy_text=region.logs.policy.text
        )
        for entries, bulk in growths:
            region.grow(entries, bulk)
            if data.draw(st.booleans()):
                region.clock.advance(1)
                assert plain(visitor.visit().report) == plain(region.at_once())
        assert plain(visitor.visit().report) == plain(region.at_once())
        assert plain(visitor.visit().report) == plain(region.at_once())


def plain(report: Report) -> dict[str, Any]:
    """The report; of what is withheld, only that it is (the message names a folder)."""
    told = report.to_json()
    for each in told["findings"]:
        if "withheld" in each["what"]:
            each["hint"] = ""
    return told


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 600), st.integers(0, 300), st.data())
def test_an_altered_file_is_found_by_the_visit_that_first_needs_it(
    before: int, after: int, data: st.DataObject
) -> None:
    """Any byte of any file beyond the last visit: what one pass blames, the visit blames."""
    with quick_folder() as home:
        region = Region0(home)
        public, text = region.logs.public, region.logs.policy.text
        region.grow([], before)
        visitor = Visitor(home / "mirror", FolderFetch(public), region.clock, policy_text=text)
        if data.draw(st.booleans()):
            assert visitor.visit().report.ok
        kept = {path.relative_to(visitor.public) for path in visitor.public.rglob("*")}
        region.grow([], after)
        files = [p.relative_to(public) for p in sorted(public.rglob("*")) if p.is_file()]
        place = public / data.draw(st.sampled_from([p for p in files if p not in kept]))
        raw = place.read_bytes()
        at = data.draw(st.integers(0, len(raw) - 1))
        place.write_bytes(
            raw[:at] + bytes([raw[at] ^ 1 << data.draw(st.integers(0, 7))]) + raw[at + 1 :]
        )
        whole, visited = region.at_once(), visitor.visit().report
        assert errors(visited) >= errors(whole)
        place.write_bytes(raw)
        assert plain(visitor.visit().report) == plain(region.at_once())


def errors(report: Report) -> set[str]:
    """Where errors were found."""
    return {each.where for each in report.findings if each.severity == "error"}


def test_processes_say_what_one_process_says(tmp_path: Path) -> None:
    """A log long enough for several, with entries of all sorts; then files altered and missing."""
    region = Region0(tmp_path)
    batch = [
        encode(CapsuleEntry(**SAID, capsule=digest(b"long %d" % n)), VAULT) for n in range(200)
    ]
    odd = [party("reader", "acme", READER), REQUEST, b"rubbish", batch[7]]
    region.logs.log.append([each for n in range(100) for each in [*batch, b"bad %d" % n]] + odd)
    one, two = region.at_once(), region.at_once(processes=2)
    assert one.to_json() == two.to_json()
    assert one.counts["repeated entries"] == 99 * 200 + 1
    assert one.counts["bad entries"] == 101
    path = region.logs.public / "tile" / "0" / "007"
    path.write_bytes(bytes(8192))
    assert errors(region.at_once(processes=2)) >= {"tile/0/007"}
    (region.logs.public / "tile" / "entries" / "030").unlink()
    report = region.at_once(processes=2)
    assert "tile/entries/030" in errors(report)
    shutil.rmtree(region.logs.public / "tile" / "entries")
    assert not region.at_once(processes=2).ok
