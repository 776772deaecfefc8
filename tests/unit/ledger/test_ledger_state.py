# SPDX-License-Identifier: Apache-2.0
"""What each entry does to a state, and who may say it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.ids import Digest, Name, Region, digest
from incamera.ledger.codec import encode
from incamera.ledger.entries import (
    CampaignEntry,
    CapsuleEntry,
    DatasetEntry,
    Entry,
    EpochEntry,
    ErasureEntry,
    FreezeEntry,
    GrantEntry,
    PartyEntry,
    PolicyEntry,
    RefusalEntry,
    RegionEntry,
    RequestEntry,
    RevokeEntry,
    Role,
)
from incamera.ledger.state import State, leaf_digest
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.merkle import leaf_hash, root

T = 1_800_000_000
DAY = 86_400
ONE, TWO = digest(b"one"), digest(b"two")


class Book:
    """A state, and the keys to say things to it."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.state = State(path)
        self.operator, self.vault = SigningKey.generate(), SigningKey.generate()
        self.keys = {name: SigningKey.generate() for name in ("acme", "ch", "ada", "car-7")}
        self.opening = OpeningKey.generate()
        self.entries: list[bytes] = []
        self.tick = T

    def say(self, entry: Entry | bytes, key: SigningKey | None = None) -> str:
        """Apply one entry: ``""``, or why it has no effect."""
        data = entry if isinstance(entry, bytes) else encode(entry, key or self.operator)
        self.entries.append(data)
        finding = self.state.apply(len(self.entries) - 1, data, self.tick)
        return f"{finding.kind}: {finding.text}" if finding else ""

    def said(self) -> dict[str, Any]:
        """What every entry says; each is unlike the one before."""
        return {"region": Region("eu"), "time": len(self.entries)}

    def region(self, **change: Any) -> RegionEntry:
        """The founding."""
        facts: dict[str, Any] = {
            **self.said(),
            "operator_key": self.operator.public,
            "vault_key": self.vault.public,
            "log_policy": ONE,
            "threshold": 2,
            "notice": 60,
            "retention": 30,
            "quota": 10,
        }
        return RegionEntry(**facts | change)

    def party(self, role: Role, who: str, **change: Any) -> PartyEntry:
        """An enrolment under the key kept for ``who``."""
        facts: dict[str, Any] = {
            **self.said(),
            "role": role,
            "name": Name(who),
            "kind": Name("company"),
            "country": "DE",
            "key": self.keys[who].public,
            "opening": b"",
        }
        return PartyEntry(**facts | change)

    def request(self, **change: Any) -> RequestEntry:
        """A request of acme."""
        facts: dict[str, Any] = {
            **self.said(),
            "reader": Name("acme"),
            "capsules": (ONE,),
            "purpose": Name("perception"),
            "policy": ONE,
            "expires": T + DAY,
            "nonce": bytes(16),
            "recipient": self.opening.public,
        }
        return RequestEntry(**facts | change)

    def founded(self) -> Book:
        """With everybody enrolled."""
        assert self.say(self.region()) == ""
        for party in (
            self.party("reader", "acme"),
            self.party("trustee", "ch"),
            self.party("owner", "ada"),
            self.party("car", "car-7"),
        ):
            assert self.say(party) == ""
        return self

    def asked(self) -> Digest:
        """With a request; its leaf hash."""
        data = encode(self.request(nonce=len(self.entries).to_bytes(16)), self.keys["acme"])
        assert self.say(data) == ""
        return leaf_digest(data)


@pytest.fixture
def book() -> Book:
    """A founded region with one party of each role."""
    return Book().founded()


def test_nothing_is_believed_before_a_region_is_founded() -> None:
    """Without a valid entry 0 every later entry is bad, a late founding too."""
    book = Book()
    assert book.say(b"rubbish").startswith("bad")
    assert "nothing is believed" in book.say(book.party("reader", "acme"))
    assert "founded once" in book.say(book.region())
    assert book.state.region is None
    assert book.state.party("reader", "acme") is None


def test_entry_zero_must_be_signed_by_the_operator_it_names() -> None:
    """A founding signed by another key founds nothing; nor does one key for both offices."""
    book = Book()
    assert "another key" in book.say(book.region(), book.vault)
    book = Book()
    assert "must not share" in book.say(book.region(vault_key=book.operator.public))


def test_a_second_founding_has_no_effect(book: Book) -> None:
    """Region keys never change; a new region is a new log."""
    other = SigningKey.generate()
    assert "founded once" in book.say(book.region(operator_key=other.public), other)
    assert book.state.region is not None
    assert book.state.region.operator_key == book.operator.public


def test_each_type_is_for_one_signer_to_say(book: Book) -> None:
    """Every entry signed by somebody else with a key in the log is bad, and has no effect."""
    leaf = book.asked()
    said, ch, acme, ada = book.said(), Name("ch"), Name("acme"), "ada"
    epoch = EpochEntry(
        **said, trustee=ch, epoch=1, key=OpeningKey.generate().public, not_before=1, not_after=2
    )
    erasure = ErasureEntry(**said, capsules=(ONE,), by="owner", name=ada, reason="")
    table: list[tuple[Entry, SigningKey]] = [
        (book.party("reader", "acme", country="FR"), book.operator),
        (RevokeEntry(**said, role="car", name=Name("car-7"), reason=""), book.operator),
        (PolicyEntry(**said, policy=ONE), book.operator),
        (CampaignEntry(**said, campaign=ONE), book.operator),
        (ErasureEntry(**said, capsules=(TWO,), by="operator", name="", reason=""), book.operator),
        (CapsuleEntry(**said, capsule=ONE), book.vault),
        (book.request(nonce=b"n" * 16), book.keys["acme"]),
        (DatasetEntry(**said, reader=acme, request=leaf, manifest=ONE), book.keys["acme"]),
        (epoch, book.keys["ch"]),
        (GrantEntry(**said, trustee=ch, request=leaf, capsules=ONE, count=1), book.keys["ch"]),
        (
            RefusalEntry(**said, trustee=ch, request=leaf, code=Name("x"), reason=""),
            book.keys["ch"],
        ),
        (FreezeEntry(**said, trustee=ch, evidence=ONE), book.keys["ch"]),
        (erasure, book.keys["ada"]),
    ]
    keys = [book.operator, book.vault, *book.keys.values(), SigningKey.generate()]
    for entry, right in table:
        for key in keys:
            if key is not right:
                assert book.say(entry, key).startswith("bad"), (entry.type, key)
        assert book.say(entry, right) == "", entry.type


def test_who_is_not_enrolled_says_nothing(book: Book) -> None:
    """A request, a grant, an erasure by an unknown name are bad."""
    stranger = SigningKey.generate()
    assert "no reader ghost" in book.say(book.request(reader=Name("ghost")), stranger)
    grant = GrantEntry(**book.said(), trustee=Name("zz"), request=ONE, capsules=ONE, count=1)
    assert "no trustee zz" in book.say(grant, stranger)
    erasure = ErasureEntry(**book.said(), capsules=(ONE,), by="owner", name="", reason="")
    assert "no owner" in book.say(erasure, book.operator)


def test_a_revoked_reader_is_heard_no_more(book: Book) -> None:
    """Entries count by the keys that stood when they were logged: before good, after bad."""
    leaf = book.asked()
    revoke = RevokeEntry(**book.said(), role="reader", name=Name("acme"), reason="lost")
    assert book.say(revoke) == ""
    assert "no reader acme" in book.say(book.request(nonce=b"x" * 16), book.keys["acme"])
    assert book.state.request(leaf) is not None
    assert "is enrolled" in book.say(
        RevokeEntry(**book.said(), role="reader", name=Name("acme"), reason="again")
    )


def test_replaying_an_enrolment_does_not_undo_a_revocation(book: Book) -> None:
    """The operator's old, well-signed entry again is a repeat; a revoked key never returns."""
    enrolment = book.entries[1]
    book.say(RevokeEntry(**book.said(), role="reader", name=Name("acme"), reason="lost"))
    assert book.say(enrolment).startswith("repeat")
    assert "used before" in book.say(book.party("reader", "acme"))
    assert book.state.party("reader", "acme") is None


def test_replaying_an_old_change_does_not_undo_a_newer_one(book: Book) -> None:
    """A reader that became a government does not become a company again by a replay."""
    assert book.say(book.party("reader", "acme", kind=Name("government"))) == ""
    assert book.say(book.entries[1]).startswith("repeat")
    party = book.state.party("reader", "acme")
    assert party is not None
    assert party.kind == "government"


def test_one_key_is_never_two_parties(book: Book) -> None:
    """No second name, no second role, not the operator's or the vault's key; nor an old own."""
    for key in (book.keys["acme"], book.operator, book.vault, book.keys["ch"]):
        entry = book.party("reader", "acme", name=Name("twin"), key=key.public)
        assert "used before" in book.say(entry)
    new = SigningKey.generate()
    assert book.say(book.party("reader", "acme", key=new.public)) == ""
    assert "used before" in book.say(book.party("reader", "acme"))


def test_one_opening_key_is_never_two_holders(book: Book) -> None:
    """Neither two readers, nor a reader and a trustee's epoch, nor two epochs share one."""
    key, other = book.opening.public, SigningKey.generate()
    assert book.say(book.party("reader", "acme", opening=key)) == ""
    twin = book.party("reader", "acme", name=Name("twin"), key=other.public, opening=key)
    assert "somebody else's" in book.say(twin)
    epoch: dict[str, Any] = {"trustee": Name("ch"), "not_before": 1, "not_after": 2}
    taken = EpochEntry(**book.said(), epoch=1, key=key, **epoch)
    assert "somebody else's" in book.say(taken, book.keys["ch"])
    fresh = OpeningKey.generate().public
    assert book.say(EpochEntry(**book.said(), epoch=1, key=fresh, **epoch), book.keys["ch"]) == ""
    again = EpochEntry(**book.said(), epoch=2, key=fresh, **epoch)
    assert "somebody else's" in book.say(again, book.keys["ch"])


def test_an_epoch_key_is_announced_once(book: Book) -> None:
    """A second key for an epoch is bad, as is an epoch that ends before it begins."""
    epoch: dict[str, Any] = {"trustee": Name("ch"), "epoch": 1, "not_before": 1}
    first = EpochEntry(**book.said(), key=OpeningKey.generate().public, not_after=9, **epoch)
    assert book.say(first, book.keys["ch"]) == ""
    second = EpochEntry(**book.said(), key=OpeningKey.generate().public, not_after=9, **epoch)
    assert "already" in book.say(second, book.keys["ch"])
    odd = EpochEntry(**book.said(), key=book.opening.public, not_after=1, **epoch | {"epoch": 2})
    assert "ends before" in book.say(odd, book.keys["ch"])
    assert [each.index for each in book.state.epochs("ch")] == [5]
    assert [each.epoch for each in book.state.epochs("ch", at=10)] == []


def test_another_regions_entry_is_bad_here(book: Book) -> None:
    """An entry for ``cn`` has no effect in the log of ``eu``, whoever signed it."""
    entry = book.party("reader", "acme", region=Region("cn"), country="CN")
    assert "for region cn" in book.say(entry)


def test_answers_need_a_request_that_stands_before_them(book: Book) -> None:
    """Grants, refusals and datasets of unknown requests, or of another's request, are bad."""
    grant = GrantEntry(**book.said(), trustee=Name("ch"), request=ONE, capsules=ONE, count=1)
    assert "no request" in book.say(grant, book.keys["ch"])
    leaf, other = book.asked(), SigningKey.generate()
    book.say(book.party("reader", "acme", name=Name("pixel"), key=other.public))
    dataset = DatasetEntry(**book.said(), reader=Name("pixel"), request=leaf, manifest=ONE)
    assert "was acme's" in book.say(dataset, other)


def test_a_repeated_leaf_changes_nothing(book: Book) -> None:
    """A request keeps its first index and time; a grant is not counted twice."""
    leaf = book.asked()
    first = book.state.request(leaf)
    grant = GrantEntry(**book.said(), trustee=Name("ch"), request=leaf, capsules=ONE, count=3)
    assert book.say(grant, book.keys["ch"]) == ""
    book.tick += 500
    assert book.say(book.entries[5]).startswith("repeat")
    assert book.say(book.entries[6]).startswith("repeat")
    assert book.state.request(leaf) == first
    assert book.state.granted_on("ch", "acme", T // DAY) == 3
    assert [each.kind for each in book.state.findings()] == ["repeat", "repeat"]


def test_a_capsule_is_admitted_once_and_stays_erased(book: Book) -> None:
    """The first index counts; logging it again after an erasure does not bring it back."""
    assert book.say(CapsuleEntry(**book.said(), capsule=ONE), book.vault) == ""
    erasure = ErasureEntry(**book.said(), capsules=(ONE,), by="owner", name="ada", reason="mine")
    assert book.say(erasure, book.keys["ada"]) == ""
    assert book.say(CapsuleEntry(**book.said(), capsule=ONE), book.vault).startswith("repeat")
    admitted, erased = book.state.capsule(ONE), book.state.erased(ONE)
    assert admitted is not None
    assert admitted.index == 5
    assert erased is not None
    assert (erased.index, erased.by, erased.name) == (6, "owner", "ada")
    assert [each.capsule for each in book.state.capsules()] == [ONE]
    assert [each.capsule for each in book.state.erasures()] == [ONE]


def test_a_key_is_judged_by_when_it_signed(book: Book) -> None:
    """``holder`` tells whose key it was at an index, and that it is nobody's now."""
    key = book.keys["car-7"].public
    book.say(RevokeEntry(**book.said(), role="car", name=Name("car-7"), reason="sold"))
    assert book.state.holder(key) is None
    assert book.state.holder(key, at=4) is None  # its own enrolment
    then = book.state.holder(key, at=5)
    assert then is None  # the entry that revoked it is the first without it
    book.say(b"x")
    assert book.state.holder(key, at=6) is None


def test_the_root_is_that_of_all_entries_good_and_bad(book: Book) -> None:
    """Bad entries have no effect but are part of the tree."""
    book.say(b"rubbish")
    book.say(b"")
    expected = root([leaf_hash(each) for each in book.entries])
    assert book.state.frontier.root() == expected
    book.state.accept(b"note", expected, T)
    assert book.state.note == b"note"
    with pytest.raises(IntegrityError, match="not that of the entries"):
        book.state.accept(b"other", bytes(32), T)
    assert book.state.note == b"note"
    assert book.state.checkpoint(7) == (expected, b"note")


def test_what_is_asked_is_answered(book: Book) -> None:
    """Requests, grants, refusals, datasets, freezes and documents are found again."""
    leaf, said, ch = book.asked(), book.said(), Name("ch")
    book.say(GrantEntry(**said, trustee=ch, request=leaf, capsules=TWO, count=2), book.keys["ch"])
    refusal = RefusalEntry(**said, trustee=ch, request=leaf, code=Name("notice"), reason="wait")
    book.say(refusal, book.keys["ch"])
    dataset = DatasetEntry(**said, reader=Name("acme"), request=leaf, manifest=TWO)
    book.say(dataset, book.keys["acme"])
    book.say(FreezeEntry(**said, trustee=ch, evidence=TWO), book.keys["ch"])
    book.say(PolicyEntry(**said, policy=TWO))
    state = book.state
    assert [each.leaf for each in state.requests()] == [leaf]
    assert [(g.trustee, g.capsules, g.count, g.index) for g in state.grants(leaf)] == [
        ("ch", TWO, 2, 6)
    ]
    assert [(r.code, r.reason) for r in state.refusals()] == [("notice", "wait")]
    assert [d.manifest for d in state.datasets(leaf)] == [TWO]
    assert [f.evidence for f in state.freezes()] == [TWO]
    assert state.published("policy", TWO) == 10
    assert state.published("campaign", TWO) is None
    assert state.documents("policy") == [TWO]
    assert list(state.grants(ONE)) == []
    assert [each.name for each in state.parties("trustee")] == ["ch"]
    assert state.index_of(leaf) == 5


def test_a_state_is_kept_in_its_file_and_continues(tmp_path: Path) -> None:
    """Closed and opened again it stands where it stood, frontier included."""
    book = Book(tmp_path / "state.db").founded()
    leaf = book.asked()
    before = book.state.frontier.root()
    book.state.close()
    book.state = State(tmp_path / "state.db")
    assert book.state.frontier.root() == before
    assert book.state.request(leaf) is not None
    assert book.say(CapsuleEntry(**book.said(), capsule=ONE), book.vault) == ""


def test_an_error_takes_back_the_whole_transaction(book: Book) -> None:
    """Either all entries of a transaction and its checkpoint are kept, or none."""
    size, before = book.state.size, book.state.frontier.root()
    data = encode(CapsuleEntry(**book.said(), capsule=ONE), book.vault)

    def half_way() -> None:
        with book.state.transaction():
            book.state.apply(size, data, T)
            assert book.state.capsule(ONE) is not None
            book.state.accept(b"note", bytes(32), T)

    with pytest.raises(IntegrityError):
        half_way()
    assert (book.state.size, book.state.frontier.root()) == (size, before)
    assert book.state.capsule(ONE) is None
    assert book.say(data) == ""


def test_entries_are_handed_in_in_order(book: Book) -> None:
    """A gap or a repetition of an index is the caller's mistake."""
    for index in (0, book.state.size - 1, book.state.size + 1, -1):
        with pytest.raises(InputError, match="comes next"):
            book.state.apply(index, b"x", T)


def test_two_processes_take_turns_on_one_file(tmp_path: Path) -> None:
    """A second connection sees what the first committed and continues from there."""
    book = Book(tmp_path / "state.db").founded()
    other = State(tmp_path / "state.db")
    assert other.size == 5
    other.apply(5, b"rubbish", T)
    book.entries.append(b"rubbish")
    assert book.say(CapsuleEntry(**book.said(), capsule=ONE), book.vault) == ""
    assert other.capsule(ONE) is not None


def test_a_file_that_is_no_state_is_refused_without_harm(tmp_path: Path) -> None:
    """Another program's file, or a damaged one, gives one of our errors."""
    path = tmp_path / "state.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(UnavailableError, match=r"state\.db"):
        State(path)
    import sqlite3

    path.unlink()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE theirs (x)")
    with pytest.raises(IntegrityError, match="not a state"):
        State(path)
    with pytest.raises(UnavailableError):
        State(tmp_path / "missing" / "state.db")


def test_a_state_is_opened_while_another_process_is_reading_on(tmp_path: Path) -> None:
    """A million entries are one transaction of a minute: a vault that starts meanwhile starts."""
    path = tmp_path / "state.db"
    with contextlib.closing(State(path)) as busy, busy.transaction():
        began = time.monotonic()
        with contextlib.closing(State(path)) as state:
            assert state.size == 0
        assert time.monotonic() - began < 20  # SQLite gives up after 30
