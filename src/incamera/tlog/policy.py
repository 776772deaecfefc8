# SPDX-License-Identifier: Apache-2.0
"""Whom to believe (C2SP tlog-policy): logs, witnesses, groups of them, and the quorum. Pure.

A checkpoint counts if a listed log signed it under its own origin and the witnesses of the quorum
cosigned it. Witnesses are counted by public key: one key under two names is refused when the
policy is loaded, and so is a log that would be its own witness.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from incamera.errors import InputError, IntegrityError
from incamera.tlog import merkle
from incamera.tlog.checkpoint import Checkpoint
from incamera.tlog.note import COSIGNATURE, ED25519, ML_DSA, Verifier, open_note

__all__ = ["Policy", "Witnessed"]

_ODD_OCTET = re.compile(rb"[^\x09\x0a\x20-\x7e\x80-\xff]")
_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A checkpoint that a policy accepts, and the note that proves it."""

    checkpoint: Checkpoint
    note: bytes
    #: Witness name (as in the policy) -> POSIX seconds at which it cosigned.
    times: Mapping[str, int]
    #: Signature lines by keys the policy does not name.
    unknown: int

    def time(self, policy: Policy) -> int:
        """The witness time: the largest t such that cosignatures of t or later make the quorum.

        So neither one fast clock nor one slow one decides. 0 where the policy asks for no
        witness: such a checkpoint is never fresh.
        """
        for candidate in sorted(set(self.times.values()), reverse=True):
            if policy.quorum_met([name for name, at in self.times.items() if at >= candidate]):
                return candidate if policy.quorum != "none" else 0
        return 0


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; ``text`` is the file it came from, byte for byte."""

    text: bytes
    logs: tuple[Verifier, ...]
    witnesses: Mapping[str, Verifier]
    #: Group name -> (how many members it takes, members); members are defined before the group.
    groups: Mapping[str, tuple[int, tuple[str, ...]]]
    quorum: str

    @classmethod
    def parse(cls, text: bytes | str, where: str = "tlog-policy") -> Policy:
        """A policy from its file; every departure from the specification is an InputError."""
        data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
        if len(data) > _MAX_BYTES:
            raise InputError(f"{where}: longer than {_MAX_BYTES} bytes")
        if odd := _ODD_OCTET.search(data):
            raise InputError(f"{where}: octet 0x{odd.group()[0]:02x} is not allowed")
        builder = _Builder()
        for number, line in enumerate(data.split(b"\n"), 1):
            # Only space and tab separate; names are opaque octets (hence surrogateescape).
            words = [w.decode("utf-8", "surrogateescape") for w in re.split(rb"[ \t]+", line) if w]
            if words and not words[0].startswith("#"):
                builder.add(words, f"{where}, line {number}")
        if builder.quorum is None:
            raise InputError(f"{where}: no quorum line", hint="end the policy with 'quorum <name>'")
        return cls(data, tuple(builder.logs), builder.witnesses, builder.groups, builder.quorum)

    def quorum_met(self, cosigners: Collection[str]) -> bool:
        """True if the witnesses named ``cosigners`` are enough."""
        if self.quorum == "none":
            return True
        met = {name for name in self.witnesses if name in cosigners}
        for name, (needed, members) in self.groups.items():
            if sum(member in met for member in members) >= needed:
                met.add(name)
        return self.quorum in met

    def check(self, note: bytes, where: str = "checkpoint") -> Witnessed:
        """The checkpoint in ``note`` if a listed log signed it and the quorum cosigned it.

        Raises :class:`IntegrityError` otherwise, for malformed bytes too.
        """
        try:
            opened = open_note(note, (*self.logs, *self.witnesses.values()), where)
            checkpoint = Checkpoint.parse(opened.text, where)
        except InputError as error:
            raise IntegrityError(error.message, hint=error.hint) from error
        signers = {each.verifier: each.timestamp for each in opened.verified}
        if not any(each.name == checkpoint.origin and each in signers for each in self.logs):
            raise IntegrityError(f"{where}: not signed by the log {checkpoint.origin!r:.80}")
        if checkpoint.size == 0 and checkpoint.root != merkle.EMPTY:
            raise IntegrityError(f"{where}: an empty tree with a root that is not the empty one")
        times = {name: signers[each] for name, each in self.witnesses.items() if each in signers}
        if not self.quorum_met(times):
            raise IntegrityError(
                f"{where}: cosigned by {', '.join(times) or 'no witness'}, "
                f"which does not make the quorum {self.quorum!r:.60}",
                hint="fetch it again; if it stays so, the log shows a tree no witness has seen",
            )
        return Witnessed(checkpoint, note, times, len(opened.unknown))


@dataclass
class _Builder:
    """The definitions read so far, in order."""

    logs: list[Verifier] = field(default_factory=list)
    witnesses: dict[str, Verifier] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str | None = None
    #: Names that are a member of some group already: each counts in one way only.
    used: set[str] = field(default_factory=set)

    def add(self, words: Sequence[str], where: str) -> None:
        """Take one line of words."""
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._log(vkey, where)
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self._witness(name, vkey, where)
            case ["group", name, needed, _, *_]:
                self._group(name, needed, tuple(words[3:]), where)
            case ["quorum", name]:
                self._quorum(name, where)
            case _:
                raise InputError(f"{where}: not a policy line: {' '.join(words)!r:.80}")

    def _key(self, vkey: str, kinds: Collection[int], w: str) -> Verifier:
        try:
            vkey.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{w}: the vkey is not UTF-8") from error
        verifier = Verifier.parse(vkey)
        if verifier.kind not in kinds:
            raise InputError(f"{w}: signature type 0x{verifier.kind:02x} does not belong here")
        # The specification forbids a key twice among the logs, or twice among the witnesses. One
        # key in both would make an ML-DSA log's own signature line count as its witness.
        if any(each.public == verifier.public for each in (*self.logs, *self.witnesses.values())):
            raise InputError(f"{w}: this public key stands on an earlier line already")
        return verifier

    def _log(self, vkey: str, where: str) -> None:
        self.logs.append(self._key(vkey, (ED25519, ML_DSA), where))

    def _define(self, name: str, where: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise InputError(f"{where}: the name {name!r:.60} is taken")

    def _witness(self, name: str, vkey: str, where: str) -> None:
        self._define(name, where)
        self.witnesses[name] = self._key(vkey, (COSIGNATURE, ML_DSA), where)

    def _group(self, name: str, needed: str, members: tuple[str, ...], where: str) -> None:
        self._define(name, where)
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise InputError(f"{where}: {member!r:.60} is not defined on an earlier line")
            if member in self.used:
                raise InputError(f"{where}: {member!r:.60} is a group member already")
            self.used.add(member)
        count = {"any": 1, "all": len(members)}.get(needed)
        if count is None:
            count = int(needed) if re.fullmatch(r"[1-9][0-9]{0,3}", needed, re.ASCII) else 0
        if not 1 <= count <= len(members):
            raise InputError(f"{where}: {needed!r:.20} of {len(members)} members cannot be asked")
        self.groups[name] = (count, members)

    def _quorum(self, name: str, where: str) -> None:
        if self.quorum is not None:
            raise InputError(f"{where}: a second quorum line")
        if name != "none" and name not in self.witnesses and name not in self.groups:
            raise InputError(f"{where}: {name!r:.60} is not defined on an earlier line")
        self.quorum = name
