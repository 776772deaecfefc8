# SPDX-License-Identifier: Apache-2.0
"""The writer's side of witnessing: submit a checkpoint to each witness and gather cosignatures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Protocol

from incamera.encoding import base64_text, decimal
from incamera.errors import Error, InputError, IntegrityError, UnavailableError
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import Signature, open_note
from incamera.tlog.policy import Policy

__all__ = ["WitnessClient", "Witnesses"]

Prove = Callable[[int], Sequence[bytes]]
"""From an old size, the consistency proof to the tree being submitted."""

Answer = list[Signature] | UnavailableError
Call = Future[Answer]

_MOMENT = 0.25
"""Seconds that the others get to answer when a quorum has."""

_TURNS = 3
"""Submissions to one witness: it may move on in between, if another process submits as well."""


def _answered() -> Call:
    call: Call = Future()
    call.set_result([])
    return call


class WitnessClient(Protocol):
    """One witness, in this process or behind HTTP. All are asked at once, each by one thread."""

    def add_checkpoint(self, body: bytes) -> tuple[int, bytes]:
        """Submit; HTTP status and body. UnavailableError where the witness does not answer."""
        ...


class Witnesses:
    """All witnesses of a log."""

    def __init__(self, clients: Sequence[WitnessClient], policy: Policy) -> None:
        self._clients = list(clients)
        self._policy = policy
        self._pool = ThreadPoolExecutor(max(1, len(self._clients)), "witness")
        #: The last call of each witness. INVARIANT: one at a time; who still has not answered
        #: the last one is left alone while the others are enough.
        self._calls: list[Call] = [_answered() for _ in self._clients]
        #: The size each client last told us it cosigned; 0 until it told: a 409 corrects it.
        self._sizes = [0] * len(self._clients)
        #: What a witness said that no quorum of others outweighs, whenever it said so: another
        #: tree of ours (for good), or more entries than we know (while we know fewer).
        self._forks: list[IntegrityError] = []
        self._larger: dict[int, int] = {}

    def close(self) -> None:
        """Let go of the threads; who is being asked still ends by its own time-out."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def heard(self, origin: str, size: int) -> None:
        """:class:`IntegrityError` if a witness has shown that ``size`` is not our log's latest.

        Asked before anything is signed: an answer that came after its round had its quorum, and
        was not waited for, is heard here.
        """
        if self._forks:
            raise self._forks[0]
        for number, told in list(self._larger.items()):
            if told > size:
                raise _smaller(f"witness {number + 1}", told, origin, size)

    def cosign(self, checkpoint: Checkpoint, note: bytes, prove: Prove) -> list[Signature]:
        """Fresh cosignatures over ``note`` by a quorum of the policy's witnesses.

        Raises :class:`UnavailableError` below the quorum, :class:`IntegrityError` if a witness
        knows a larger tree or another root: then this log's state is not its latest.
        """
        turn = threading.Lock()

        def prove_alone(old: int) -> Sequence[bytes]:
            with turn:  # proofs are read from one cache of tiles
                return prove(old)

        def ask(number: int) -> Answer:
            try:
                return self._ask(number, checkpoint, note, prove_alone)
            except UnavailableError as error:
                return error

        calls = self._begin(ask, [n for n, call in enumerate(self._calls) if call.done()])
        late = [number for number in range(len(self._clients)) if number not in calls]
        self._wait(calls.values())
        if late and not self._enough(calls.values()):
            wait([self._calls[number] for number in late])  # their own time-outs end them
            calls |= self._begin(ask, late)
            self._wait(calls.values())
        return self._quorum(checkpoint, [call.result() for call in calls.values() if call.done()])

    def _begin(self, ask: Callable[[int], Answer], numbers: Sequence[int]) -> dict[int, Call]:
        """Ask these witnesses, each in a thread of its own."""
        for number in numbers:
            self._calls[number] = self._pool.submit(ask, number)
        return {number: self._calls[number] for number in numbers}

    def _wait(self, calls: Collection[Call]) -> None:
        """Until all have answered; or a quorum has, and the others a moment more.

        A machine that is cut off, unlike one that refuses, shows that only by silence: an append
        is as slow as its quorum, not as the slowest witness.
        """
        pending = {call for call in calls if not call.done()}
        while pending and not self._enough(calls):
            _, pending = wait(pending, return_when=FIRST_COMPLETED)
        wait(pending, timeout=_MOMENT)

    def _enough(self, calls: Iterable[Call]) -> bool:
        """True if the quorum has answered, or somebody has said what ends the append anyway."""
        done = [call for call in calls if call.done()]
        if any(call.exception() is not None for call in done):
            return True
        answers = [call.result() for call in done]
        return self._policy.quorum_met(self._found(answers))

    def _found(self, answers: Iterable[Answer]) -> dict[str, Signature]:
        """Cosignatures by the witness's name in the policy."""
        names = {verifier: name for name, verifier in self._policy.witnesses.items()}
        lines = (each for answer in answers if isinstance(answer, list) for each in answer)
        return {names[each.verifier]: each for each in lines}

    def _quorum(self, checkpoint: Checkpoint, answers: Sequence[Answer]) -> list[Signature]:
        found = self._found(answers)
        if not self._policy.quorum_met(found):
            reasons = [each.message for each in answers if isinstance(each, UnavailableError)]
            raise UnavailableError(
                f"{checkpoint.origin}: only {len(found)} witnesses cosigned size "
                f"{checkpoint.size}, which does not make the quorum"
                + "".join(f"; {reason}" for reason in reasons),
                hint="what was submitted is kept; try again when the witnesses answer",
            )
        return list(found.values())

    def _ask(
        self, number: int, checkpoint: Checkpoint, note: bytes, prove: Prove
    ) -> list[Signature]:
        """One witness's cosignatures; a 409 tells where it stands, and is answered."""
        where = f"witness {number + 1}"
        for _ in range(_TURNS):
            old = min(self._sizes[number], checkpoint.size)
            status, answer = self._submit(number, note, old, prove)
            if status != 409:
                break
            told = self._sizes[number] = _told_size(answer, where)
            if told > checkpoint.size:
                self._larger[number] = told
                raise _smaller(where, told, checkpoint.origin, checkpoint.size)
            # tlog-witness 1.0 says 409 where 1.1 says 422: our size, which fits, with another root.
            if told == old == checkpoint.size > 0:
                status = 422
                break
        if status == 422:
            error = IntegrityError(
                f"{where} refuses size {checkpoint.size} of {checkpoint.origin}: it has "
                "cosigned another tree",
                hint="its state was restored or forked: compare the witness's checkpoint with ours",
            )
            self._forks.append(error)
            raise error
        if status != 200:
            raise UnavailableError(f"{where} answered {status}")
        self._sizes[number] = checkpoint.size
        return self._open(checkpoint, answer, where)

    def _submit(self, number: int, note: bytes, old: int, prove: Prove) -> tuple[int, bytes]:
        proof = "".join(f"{base64_text(each)}\n" for each in prove(old))
        body = f"old {old}\n{proof}\n".encode() + note
        try:
            return self._clients[number].add_checkpoint(body)
        except Error as error:
            raise UnavailableError(f"witness {number + 1}: {error.message}") from error

    def _open(self, checkpoint: Checkpoint, answer: bytes, where: str) -> list[Signature]:
        """The answer's lines that the policy's witnesses made; others are ignored."""
        try:
            lines = checkpoint.text + b"\n" + answer
            opened = open_note(lines, list(self._policy.witnesses.values()), where)
        except (InputError, IntegrityError) as error:
            raise UnavailableError(f"{where}: {error.message}") from error
        if any(each.timestamp == 0 for each in opened.verified):
            raise UnavailableError(f"{where}: a cosignature without a time")
        return list(opened.verified)


def _smaller(where: str, told: int, origin: str, size: int) -> IntegrityError:
    return IntegrityError(
        f"{where} has cosigned size {told} of {origin}, but this log only knows {size} entries",
        hint="its state was restored from an old backup: put the newest state back, "
        "or start a new log; going on would fork it",
    )


def _told_size(answer: bytes, where: str) -> int:
    try:
        return decimal(answer.decode("ascii").removesuffix("\n"), f"{where}: size")
    except (InputError, UnicodeDecodeError) as error:
        raise UnavailableError(f"{where} answered 409 without its size") from error
