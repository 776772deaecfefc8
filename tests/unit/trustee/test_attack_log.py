# SPDX-License-Identifier: Apache-2.0
"""Attacks by whoever runs the log, its witnesses or the line between: one test each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from incamera.errors import Error, InputError, IntegrityError, PolicyError, UnavailableError
from incamera.ids import digest
from incamera.ledger.request import GrantRequest
from incamera.sealing.capsule import Capsule
from incamera.tlog import FolderFetch, Policy
from incamera.trustee import RefusedError, Trustee
from world import World, fetch_with


def asked(world: World) -> tuple[Capsule, bytes, int, GrantRequest]:
    """An honest request to ``ch``: capsule, leaf, index, and what is shown."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    return capsule, leaf, index, world.ask("ch", leaf, index, capsule)


def grants(world: World) -> int:
    """How many grants the log shows."""
    return len(list(world.state().grants()))


def test_an_honest_request_is_granted(world: World) -> None:
    """What every attack below changes one thing about."""
    *_, request = asked(world)
    assert len(world.trustees["ch"].decide(request).shares) == 1
    assert grants(world) == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda r: replace(r, proof=(bytes(32), *r.proof[1:])),
        lambda r: replace(r, proof=r.proof[:-1]),
        lambda r: replace(r, proof=(*r.proof, bytes(32))),
        lambda r: replace(r, proof=()),
        lambda r: replace(r, proof=(r.proof[0][:31], *r.proof[1:])),
        lambda r: replace(r, proof=tuple(reversed(r.proof))),
        lambda r: replace(r, index=r.index - 1),
        lambda r: replace(r, index=r.index + 1),
        lambda r: replace(r, index=2**63),
        lambda r: replace(r, index=-1),
    ],
)
def test_attack_forged_inclusion_or_index(
    world: World, forge: Callable[[GrantRequest], GrantRequest]
) -> None:
    """A proof or an index that is not the leaf's own is refused, and nothing is logged."""
    *_, request = asked(world)
    with pytest.raises(IntegrityError):
        world.trustees["ch"].decide(forge(request))
    assert grants(world) == 0


def test_attack_a_request_that_is_not_in_the_log(world: World) -> None:
    """A well-signed request that was never logged is not granted, and not even refused in it."""
    capsule = world.capsule()
    _, index = world.request([capsule])
    unlogged = world.leaf([capsule])
    request = replace(world.ask("ch", unlogged, index, capsule), leaf=unlogged)
    size = world.logs.log.size
    with pytest.raises(IntegrityError, match="inclusion proof"):
        world.trustees["ch"].decide(request)
    assert world.logs.log.size == size


def test_attack_a_note_of_another_log(world: World, tmp_path: Path) -> None:
    """A tree of one's own, signed and witnessed by one's own keys, proves nothing here."""
    _capsule, leaf, _, request = asked(world)
    own = World(tmp_path / "own")
    own.append(leaf)
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from incamera.tlog.note import Signer, sign

    text = request.note.split(b"\n\n")[0] + b"\n"
    stranger = Signer("log.example/other", Ed25519PrivateKey.generate())
    forger = Signer("log.example/eu", Ed25519PrivateKey.generate())
    for signer in (stranger, forger):
        with pytest.raises(IntegrityError, match="not signed"):
            world.trustees["ch"].decide(replace(request, note=sign(text, [signer])))


def test_attack_too_few_witnesses(world: World) -> None:
    """A checkpoint with one cosignature of two needed is no checkpoint, in a request or served."""
    *_, request = asked(world)
    tree = world.logs.log.checkpoint().checkpoint
    lone = world.note(tree.size, tree.root, cosigners=1)
    with pytest.raises(IntegrityError, match="quorum"):
        world.trustees["ch"].decide(replace(request, note=lone))
    serving = fetch_with(FolderFetch(world.public), "checkpoint", lambda: lone)
    with pytest.raises(IntegrityError, match="quorum"):
        world.trustee("ch", fetch=serving).decide(request)


def test_attack_one_key_under_two_names(world: World) -> None:
    """One witness counts once: its line twice, or its key twice in a policy, makes no quorum."""
    *_, request = asked(world)
    tree = world.logs.log.checkpoint().checkpoint
    lone = world.note(tree.size, tree.root, cosigners=1)
    twice = lone + lone.split(b"\n")[-2] + b"\n"
    with pytest.raises(IntegrityError, match="quorum"):
        world.trustees["ch"].decide(replace(request, note=twice))
    lines = world.logs.policy.text.decode().split("\n")
    w1 = next(line for line in lines if line.startswith("witness w1"))
    doubled = "\n".join([lines[0], w1, w1.replace("witness w1", "witness w9"), *lines[2:]])
    with pytest.raises(InputError, match="earlier line"):
        Policy.parse(doubled)


def test_attack_split_view(world: World) -> None:
    """A request shown only in a second view of the log is not granted; the view is kept.

    When the log later reaches that size with its own root, the kept note convicts it.
    """
    capsule = world.capsule()
    trustee = world.trustees["ch"]
    trustee.follower.follow()
    leaf = world.leaf([capsule])
    hidden = world.fork([*world.entries(), leaf])
    index = hidden.log.size - 1
    request = world.ask_in(hidden.public, "ch", leaf, index, capsule)
    with pytest.raises((IntegrityError, UnavailableError)):
        trustee.decide(request)
    assert grants(world) == 0
    assert not trustee.frozen

    world.request([capsule])  # the public view grows, to the same size
    assert world.logs.log.size == hidden.log.size
    with pytest.raises(IntegrityError, match="forked"):
        trustee.decide(request)
    assert trustee.frozen


def test_attack_split_view_of_an_earlier_size(world: World) -> None:
    """A view that was forked off before our last checkpoint is inconsistent with it."""
    capsule = world.capsule()
    leaf = world.leaf([capsule])
    hidden = world.fork([*world.entries(), leaf])
    request = world.ask_in(hidden.public, "ch", leaf, hidden.log.size - 1, capsule)
    for _ in range(3):
        world.append(b"other business")
    with pytest.raises(IntegrityError, match="consistency"):
        world.trustees["ch"].decide(request)
    assert grants(world) == 0


def test_an_older_note_of_the_same_log_is_fine(world: World) -> None:
    """A reader whose checkpoint is a little behind the trustee's is not sent away."""
    *_, request = asked(world)
    world.append(b"other business", b"and more")
    assert world.trustees["ch"].decide(request).shares


def test_a_note_ahead_of_the_served_checkpoint_is_followed(world: World) -> None:
    """A trustee served an older copy reads on to the tree that the request stands in."""
    capsule = world.capsule()
    before = (world.public / "checkpoint").read_bytes()
    leaf, index = world.request([capsule])
    request = world.ask("ch", leaf, index, capsule)
    behind = [before]  # the copy is behind only until our own grant is in
    inner = FolderFetch(world.public)
    lagging = fetch_with(
        inner, "checkpoint", lambda: behind.pop() if behind else inner("checkpoint")
    )
    trustee = world.trustee("ch", fetch=lagging)
    assert trustee.decide(request).shares


def test_attack_same_size_with_another_root(world: World) -> None:
    """Both notes are kept, the trustee is frozen for good, over restarts, and says so in public."""
    _, leaf, index, request = asked(world)
    trustee = world.trustees["ch"]
    trustee.follower.follow()
    tree = world.logs.log.checkpoint().checkpoint
    other = world.note(tree.size, digest(b"other").encode()[:32])
    with pytest.raises(IntegrityError, match="forked"):
        trustee.decide(replace(request, note=other))
    assert trustee.frozen
    kept = trustee.evidence[0].read_bytes()
    assert len(trustee.evidence) == 1
    freezes = list(world.state().freezes())
    assert [(each.trustee, each.evidence) for each in freezes] == [("ch", digest(kept))]

    trustee.close()
    again = world.trustee("ch")
    with pytest.raises(PolicyError, match="forked"):
        again.decide(world.ask("ch", leaf, index))
    with pytest.raises(IntegrityError, match="forked"):
        again.follower.follow()
    assert grants(world) == 0


def test_anyone_can_show_a_trustee_that_the_log_forked(world: World) -> None:
    """Two contradicting notes freeze it, from whomever; notes that prove nothing do not."""
    trustee = world.trustees["is"]
    trustee.follower.follow()
    one = world.note(3, bytes(32), cosigners=0)
    other = world.note(3, b"x" * 32, cosigners=0)
    for ours, theirs in (
        (one, one),
        (one, world.note(4, bytes(32), cosigners=0)),
        (one, other.replace(b"\n3\n", b"\n5\n")),
        (one, b"rubbish"),
        (one, b""),
    ):
        with pytest.raises(IntegrityError):
            trustee.accuse(ours, theirs)
        assert not trustee.frozen
    trustee.accuse(one, other)
    assert trustee.frozen
    assert [each.trustee for each in world.state().freezes()] == ["is"]


def copy(world: World, name: str) -> Path:
    """The public folder as it is now, kept aside."""
    return Path(shutil.copytree(world.public, world.home / name))


def test_attack_checkpoint_rollback(world: World) -> None:
    """A log that serves fewer entries than the trustee has read is refused, whatever it lacks."""
    capsule = world.capsule()
    old = copy(world, "old")
    leaf, index = world.request([capsule])
    world.erase(capsule)
    world.trustees["ch"].follower.follow()
    request = world.ask_in(world.public, "ch", leaf, index, capsule)
    with pytest.raises(IntegrityError, match="went back"):
        world.trustee("ch", fetch=FolderFetch(old)).decide(request)
    assert grants(world) == 0


def test_attack_restored_backup_of_the_log(world: World) -> None:
    """A log restored from a backup and written on otherwise is not followed."""
    capsule = world.capsule()
    before = world.entries()
    world.erase(capsule)
    world.trustees["ch"].follower.follow()
    leaf = world.leaf([capsule])
    restored = world.fork([*before, b"in place of the erasure", leaf])
    request = world.ask_in(restored.public, "ch", leaf, restored.log.size - 1, capsule)
    trustee = world.trustee("ch", fetch=FolderFetch(restored.public))
    with pytest.raises(IntegrityError, match="root"):
        trustee.decide(request)
    assert trustee.state.erased(capsule.digest) is not None


def test_attack_restored_backup_of_the_trustee(world: World) -> None:
    """An old copy of a trustee's own files forgets neither erasures nor what it granted today."""
    capsules = [world.capsule() for _ in range(2)]
    trustee = world.trustees["ch"]
    trustee.follower.follow()
    trustee.close()
    shutil.copytree(world.home / "ch", world.home / "backup")
    world.trustees["ch"] = world.trustee("ch")
    leaf, index = world.request(capsules)
    world.decide("ch", leaf, index, capsules[0])
    world.erase(capsules[1])
    world.trustees["ch"].close()
    shutil.rmtree(world.home / "ch")
    shutil.move(world.home / "backup", world.home / "ch")
    restored = world.trustees["ch"] = world.trustee("ch")
    with pytest.raises(PolicyError, match="erased"):
        world.decide("ch", leaf, index, capsules[1])
    assert restored.state.granted_on("ch", "acme", world.clock.now() // 86_400) == 1


def test_attack_stale_log_replay(world: World) -> None:
    """A log that stands still, with cosignatures of more than an hour ago, grants nothing."""
    _, leaf, index, request = asked(world)
    world.clock.advance(3_601)
    with pytest.raises(IntegrityError, match="stale"):
        world.trustees["ch"].decide(request)
    world.logs.log.refresh()
    with pytest.raises(IntegrityError, match="stale"):
        world.trustees["ch"].decide(request)  # the log is fresh, the note shown is not
    capsule = request.capsules
    fresh = replace(world.ask("ch", leaf, index), capsules=capsule)
    assert world.trustees["ch"].decide(fresh).shares


def test_a_checkpoint_of_an_hour_ago_just_passes(world: World) -> None:
    """3600 s is the last age that is allowed."""
    *_, request = asked(world)
    world.clock.advance(3_600)
    with pytest.raises(IntegrityError, match="stale"):
        world.trustee("ch", clock=type(world.clock)(world.clock.now() + 1)).decide(request)
    assert world.trustees["ch"].decide(request).shares


def test_attack_clock_tricks_a_witness_ahead(world: World) -> None:
    """One fast witness moves nothing; a quorum more than 30 s ahead is refused."""
    capsule = world.capsule()
    leaf, index = world.request([capsule], expires=world.clock.now() + 1_000)
    request = world.ask("ch", leaf, index, capsule)
    tree = world.logs.log.checkpoint().checkpoint
    text = tree.text
    from incamera.tlog.note import sign

    w1, w2, w3 = world.logs.cosigners
    now = world.clock.now()

    def timed(*times: int) -> bytes:
        lines = [w.line(text, t) for w, t in zip((w1, w2, w3), times, strict=True)]
        return sign(text, [world.logs.signer]) + b"".join(lines)

    ahead = replace(request, note=timed(now + 31, now + 31, now))
    with pytest.raises(IntegrityError, match="future"):
        world.trustees["ch"].decide(ahead)
    behind = replace(request, note=timed(now - 3_601, now - 3_601, now))
    with pytest.raises(IntegrityError, match="stale"):
        world.trustees["ch"].decide(behind)
    one_mad = replace(request, note=timed(now + 10**9, now, now))
    assert world.trustees["ch"].decide(one_mad).shares
    assert world.trustees["ch"].state.time == now


def test_attack_clock_tricks_a_served_checkpoint_from_the_future(world: World) -> None:
    """It does not become the trustee's time, which never goes back: all would be expired."""
    *_, request = asked(world)
    tree = world.logs.log.checkpoint().checkpoint
    future = world.note(tree.size, tree.root, time=world.clock.now() + 10**9)
    inner = FolderFetch(world.public)
    trustee = world.trustee("ch", fetch=fetch_with(inner, "checkpoint", lambda: future))
    with pytest.raises(IntegrityError, match="future"):
        trustee.decide(request)
    assert trustee.state.time < world.clock.now() + 1
    trustee.close()
    assert world.trustee("ch").decide(request).shares


def test_attack_entries_withheld(world: World) -> None:
    """A log that shows hashes but not the entries is not decided under."""
    *_, request = asked(world)
    inner = FolderFetch(world.public)

    def withheld() -> bytes:
        raise UnavailableError("gone")

    bundle = f"tile/entries/000.p/{world.logs.log.size}"
    trustee = world.trustee("ch", fetch=fetch_with(inner, bundle, withheld))
    size = trustee.state.size
    with pytest.raises(UnavailableError):
        trustee.decide(request)
    assert trustee.state.size == size
    assert grants(world) == 0


def test_attack_entries_altered(world: World) -> None:
    """An entry with one bit changed on the way leaves the state as it was."""
    *_, request = asked(world)
    inner = FolderFetch(world.public)
    bundle = f"tile/entries/000.p/{world.logs.log.size}"
    data = bytearray(inner(bundle))
    data[-1] ^= 1
    trustee = world.trustee("ch", fetch=fetch_with(inner, bundle, lambda: bytes(data)))
    size = trustee.state.size
    with pytest.raises(IntegrityError):
        trustee.decide(request)
    assert trustee.state.size == size


def test_attack_the_log_swallows_the_grant(world: World) -> None:
    """A log that only says it took the grant gets no share out; asked again, all is well."""
    *_, request = asked(world)
    lying = world.trustee("ch", append=lambda _entry: 7)
    with pytest.raises(IntegrityError, match="does not show it"):
        lying.decide(request)
    assert grants(world) == 0
    lying.close()
    assert world.trustee("ch").decide(request).entries
    assert grants(world) == 1


@pytest.mark.parametrize(
    "mutate",
    [
        lambda note: note.replace(b"\n", b"\r\n"),
        lambda note: note.replace(b"\n", "\u2028".encode(), 1),
        lambda note: note.replace(b"\n1", b"\n01", 1),
        lambda note: note.replace(b"\n1", b"\n+1", 1),
        lambda note: note.replace(b"\n1", "\n１".encode(), 1),  # noqa: RUF001  # the point
        lambda note: note.replace(b"=\n", b"\n", 1),
        lambda note: note.replace(b"\n\n", b"\nextension\n\n", 1),
        lambda note: note + b"\n",
        lambda note: note[:-1],
        lambda note: note * 2,
        lambda note: note + "— w9 AAAAAAAA\n".encode() * 200,
        lambda _note: b"",
        lambda _note: b"\xff" * 40,
        lambda _note: bytes(1 << 17),
    ],
)
def test_attack_parser_tricks_in_the_note(world: World, mutate: Callable[[bytes], bytes]) -> None:
    """Line ends, numbers, base64 and lengths that a lenient reader would take are refused."""
    *_, request = asked(world)
    with pytest.raises((InputError, IntegrityError)):
        world.trustees["ch"].decide(replace(request, note=mutate(request.note)))
    assert grants(world) == 0


def test_attack_exhaustion(world: World) -> None:
    """Oversized leaves, proofs, notes and batches are refused before any work is done."""
    *_, request = asked(world)
    calls = []

    def counting(path: str) -> bytes:
        calls.append(path)
        return FolderFetch(world.public)(path)

    trustee: Trustee = world.trustee("ch", fetch=counting)
    for each in (
        replace(request, leaf=request.leaf + bytes(65_536)),
        replace(request, proof=(bytes(32),) * 64),
        replace(request, note=bytes(1 << 20)),
        replace(request, capsules=()),
        replace(request, capsules=request.capsules * 2),
        replace(request, capsules=request.capsules * 129),
    ):
        with pytest.raises(InputError):
            trustee.decide(each)
    assert calls == []


def test_no_mutated_request_raises_anything_but_our_errors(world: World) -> None:
    """A bit changed in what a trustee is sent: one of our errors, or it did not matter."""
    *_, request = asked(world)
    data = bytearray(request.serialise())
    trustee = world.trustees["ch"]
    for place in range(0, len(data), 211):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        try:
            parsed = GrantRequest.parse(bytes(changed))
            trustee.decide(parsed)
        except RefusedError as error:
            assert error.code == "not-named"  # noqa: PT017  # another header, another digest
        except Error:
            pass
        else:  # a third cosignature's line is of nobody known now: two are enough
            assert replace(parsed, note=request.note) == request
    assert GrantRequest.parse(bytes(data)) == request


def test_attack_a_log_without_our_grant_for_a_trustee_that_forgot(world: World) -> None:
    """State lost, witnesses gone bad: it remembers its grant, but looks for it in what it reads."""
    capsule = world.capsule()
    leaf, index = world.request([capsule])
    before = world.entries()
    world.decide("ch", leaf, index, capsule)
    fork = world.fork(before)
    shutil.copytree(world.public / "policy", fork.public / "policy")
    world.trustees["ch"].close()
    for path in (world.home / "ch").glob("state.db*"):
        path.unlink()
    trustee = world.trustee("ch", fetch=FolderFetch(fork.public))
    asked = world.ask_in(fork.public, "ch", leaf, index, capsule)
    with pytest.raises(IntegrityError, match="does not show it"):
        trustee.decide(asked)
    trustee.close()
