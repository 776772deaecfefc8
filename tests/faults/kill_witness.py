# SPDX-License-Identifier: Apache-2.0
"""A witness is killed: from its first checkpoint on, and as it keeps the proof of a fork.

The log goes on with the two others. Then the witness starts again: it still cosigns the log, and
does not cosign another tree of a size it once answered for.
"""

from __future__ import annotations

import shutil
from multiprocessing.connection import Connection
from pathlib import Path

from kill_log import FIRST, Notes, make_base
from killing import Child, Fate

from incamera.encoding import base64_text
from incamera.errors import UnavailableError
from incamera.tlog import Log, Witness, merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.log import WitnessClient
from incamera.tlog.note import Signature, open_note, sign
from world_tlog import ORIGIN, LogWorld, check_log, log_world

SIZE = len(FIRST)
BATCHES = ([b"one", b"two"], [b"three"])


class Killed:
    """The witness in the child; it keeps each cosignature that came out of it."""

    def __init__(self, world: LogWorld) -> None:
        self.world = world
        self.line: Connection | None = None
        self.roots: dict[int, set[bytes]] = {}

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """As the witness, while it lives."""
        assert self.line is not None
        try:
            self.line.send_bytes(body)
            status, _, answer = self.line.recv_bytes().partition(b" ")
        except (EOFError, OSError) as error:
            raise UnavailableError("no answer") from error
        self.see(body, int(status), answer)
        return int(status), answer

    def see(self, body: bytes, status: int, answer: bytes) -> None:
        """Remember the tree that an answer cosigns."""
        if status == 200:
            text = body.partition(b"\n\n")[2].partition(b"\n\n")[0] + b"\n"
            (cosigned,) = verified(text + b"\n" + answer, self.world)
            assert cosigned.verifier == self.world.cosigners[0].verifier
            tree = Checkpoint.parse(text)
            self.roots.setdefault(tree.size, set()).add(tree.root)
            assert len(self.roots[tree.size]) == 1, f"two trees of {tree.size} cosigned"


def verified(note: bytes, world: LogWorld) -> list[Signature]:
    """The cosignatures in a note."""
    return list(open_note(note, [each.verifier for each in world.cosigners]).verified)


def fork(world: LogWorld, size: int, old: int) -> bytes:
    """A request to cosign another tree of ``size``, which the log signed too, after ``old``."""
    leaves = [merkle.leaf_hash(each) for each in FIRST]
    leaves += [merkle.leaf_hash(b"forked %d" % number) for number in range(size - SIZE)]
    text = Checkpoint(ORIGIN, size, merkle.root(leaves)).text
    proof = b""
    if 0 < old < size:
        hashes = merkle.consistency_proof(old, size, lambda level, at: part(leaves, level, at))
        proof = "".join(f"{base64_text(each)}\n" for each in hashes).encode()
    return b"old %d\n" % old + proof + b"\n" + sign(text, [world.signer])


def part(leaves: list[bytes], level: int, at: int) -> bytes:
    """The root of a complete subtree."""
    return merkle.root(leaves[at << level : (at + 1) << level])


def run(folder: Path, fate: Fate) -> list[int] | None:
    """One life; None: it was killed."""
    base, home = folder / "base", folder / "home"
    if not base.exists():
        make_base(base)
        shutil.rmtree(base / "w1")  # this witness hears of the log for the first time
    shutil.copytree(base, home)
    world = log_world(home)
    killed = Killed(world)

    def act(lines: dict[str, Connection]) -> None:
        witness = world.witnesses[0].inner
        while body := lines["ask"].recv_bytes():
            status, answer = witness.add_checkpoint(body)
            lines["ask"].send_bytes(b"%d " % status + answer)

    child = Child(["ask"], act, fate)  # type: ignore[arg-type]
    killed.line = child.lines["ask"]
    witnesses: list[WitnessClient] = [killed, *world.witnesses[1:]]
    rest = (world.signer, witnesses, world.policy, world.clock)
    log = Log(world.public, world.state, *rest)
    for batch in BATCHES:
        log.append(batch)  # the others make the quorum: this never fails
    try:
        status, _ = killed.add_checkpoint(fork(world, SIZE + 3, SIZE + 3))
        told = status == 422
        killed.line.send_bytes(b"")
    except UnavailableError:
        told = False
    counts = child.end()
    _still_refuses(world, killed)
    _still_serves(world, told)
    shutil.rmtree(home)
    return counts


def _still_refuses(world: LogWorld, killed: Killed) -> None:
    """Whatever it answered for, it cosigns no other tree of that size: asked on a copy of it."""
    copy = world.home / "copy"
    if (world.home / "w1").exists():
        shutil.copytree(world.home / "w1", copy)
    again = Witness(copy, world.cosigners[0], {ORIGIN: world.signer.verifier}, world.clock)
    for size in (SIZE + 2, SIZE + 3):
        status, answer = again.add_checkpoint(fork(world, size, 0))
        if status == 409:
            old = int(answer)
            if old > size:
                continue
            body = fork(world, size, old)
            status, answer = again.add_checkpoint(body)
            killed.see(body, status, answer)
    shutil.rmtree(copy)


def _still_serves(world: LogWorld, told: bool) -> None:
    """Started again it catches up with the log, and the proof it said it kept is there."""
    log = world.reopened()
    log.refresh()
    note = (world.public / "checkpoint").read_bytes()
    assert len(verified(note, world)) == 3
    world.log = log
    check_log(world)
    Notes().see_files(world)
    if told:
        kept = [path for path in (world.home / "w1").glob("*/conflict/*") if path.suffix != ".tmp"]
        roots = {open_note(each.read_bytes(), [world.signer.verifier]).text for each in kept}
        assert len(roots) == 2, "it said 422, but does not hold both trees"
