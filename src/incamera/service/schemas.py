# SPDX-License-Identifier: Apache-2.0
"""The JSON that the vault answers with, as models: for its OpenAPI, and for tests of its answers.

The answers themselves are made where they are known (:mod:`incamera.service.catalogue` ...).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "Evidence",
    "ExtractSaid",
    "Indexed",
    "OperatorStatus",
    "Page",
    "Placed",
    "Problem",
    "Ready",
    "RegionSaid",
    "Swept",
]

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class _Exactly(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Exactly):
    """An error (RFC 9457)."""

    type: Literal["about:blank"]
    title: str
    status: int
    detail: str = Field(description="What is wrong, where, in one line.")
    kind: Literal["input", "integrity", "policy", "unavailable"] = Field(
        description="Who must act: the caller; everybody; nobody; the operator."
    )
    hint: str | None = Field(default=None, description="What to do next.")
    code: str | None = Field(default=None, description="For programs: which rule.")


class RegionSaid(_Exactly):
    """Where the parties of this region are."""

    v: Literal[1]
    region: str
    log: str = Field(description="URL of the log, for readers.")
    trustees: dict[str, str] = Field(description="URL of each trustee, by name.")


class ProvenEntry(_Exactly):
    """A log entry, and its inclusion proof."""

    entry: Base64
    proof: list[Base64]


class ExtractSaid(_Exactly):
    """What of the log concerns one car."""

    v: Literal[1]
    note: str = Field(description="The checkpoint that all of it stands under, cosigned.")
    statement: Base64 = Field(description="The vault's signed word that nothing is missing.")
    consistency: list[Base64] = Field(description="Proof from the tree of `since` to the note's.")
    entries: list[ProvenEntry] = Field(description="At the statement's indices, in that order.")


class Indexed(_Exactly):
    """Where an entry stands in the log."""

    index: int = Field(ge=0)


class Placed(_Exactly):
    """Where a text lies beside the log."""

    path: str


class CapsuleRow(_Exactly):
    """One capsule. What an erasure took is empty or 0."""

    digest: Digest
    status: Literal["pending", "kept", "lost", "erased"]
    index: int | None = Field(description="Of its entry in the log; null while pending.")
    owner: str = Field(description="Empty unless the caller is the owner or the operator.")
    vehicle: str = Field(description="A pseudonym that the owner can change.")
    hour: str = Field(description="UTC, such as 2026-11-21T14.")
    duration: int = Field(description="Seconds.")
    expires: int = Field(description="POSIX seconds.")
    bytes: int
    cameras: list[str]
    tags: list[str]
    purposes: list[str]


class Page(_Exactly):
    """Rows by hour, then digest."""

    v: Literal[1]
    capsules: list[CapsuleRow]
    more: bool = Field(description="True if rows follow.")


class Shown(_Exactly):
    """What a trustee must be shown of a capsule."""

    capsule: Digest
    envelope: Base64
    wrapped: list[Base64]


class Evidence(_Exactly):
    """In the order that was asked for."""

    v: Literal[1]
    capsules: list[Shown]


class Waiting(_Exactly):
    """What waits for its batch."""

    capsules: int
    entries: int


class OperatorStatus(_Exactly):
    """How a vault is."""

    v: Literal[1]
    entries: int = Field(description="Log entries read.")
    time: int = Field(description="Witness time, POSIX seconds.")
    waiting: Waiting
    announced: int = Field(description="Bytes of uploads that are under way.")


class Swept(_Exactly):
    """What a sweep destroyed."""

    v: Literal[1]
    orphans: int = Field(description="Capsules that are not in the log.")
    announced: int = Field(description="Bytes of uploads that had expired.")


class Ready(_Exactly):
    """Whether what a party needs answers."""

    ready: bool
    checks: dict[str, str] = Field(description="`ok`, or the kind of error.")
