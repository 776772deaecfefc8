# SPDX-License-Identifier: Apache-2.0
"""What else may enter the log through the vault: entries that others signed.

Whether the signer may say it, ``ledger.fold`` decides for every reader of the log alike. Here
stands what only the vault can ask before it logs something.
"""

from __future__ import annotations

from incamera.errors import InputError, UnavailableError
from incamera.ids import Digest, digest
from incamera.ledger.codec import parse_capsule_list
from incamera.ledger.entries import (
    AcceptEntry,
    CampaignEntry,
    CapsuleEntry,
    CapsuleList,
    Entry,
    ErasureEntry,
    PolicyEntry,
    RegionEntry,
    RequestEntry,
    ReshareEntry,
    SuccessionEntry,
)
from incamera.ledger.queries import Queries
from incamera.tlog.fetch import Fetch
from incamera.vault.index import Index
from incamera.vault.refusal import RefusedError

__all__ = ["check_documents", "check_erasure", "check_kind", "erased_before"]


def check_kind(entry: Entry) -> None:
    """``reserved``: capsules come by admission, a region by founding."""
    if isinstance(entry, (CapsuleEntry, RegionEntry)):
        raise RefusedError("reserved", f"a {entry.type} entry cannot be submitted")


def check_documents(entry: Entry, fetch: Fetch) -> None:
    """``unpublished``: a document named by digest lies beside the log, for all to read."""
    if isinstance(entry, PolicyEntry):
        _check_document(f"policy/{entry.policy}.cedar", entry.policy, fetch)
    elif isinstance(entry, CampaignEntry):
        _check_document(f"campaign/{entry.campaign}.toml", entry.campaign, fetch)
    elif isinstance(entry, ReshareEntry):
        _check_document(f"dealing/{entry.dealing}", entry.dealing, fetch)
    elif isinstance(entry, AcceptEntry):
        _check_document(f"commitments/{entry.commitments}", entry.commitments, fetch)
    elif isinstance(entry, (RequestEntry, SuccessionEntry)) and isinstance(
        entry.capsules, CapsuleList
    ):
        path = f"list/{entry.capsules.digest}"
        parse_capsule_list(_fetch(path, fetch), entry.capsules)


def _check_document(path: str, wanted: Digest, fetch: Fetch) -> None:
    if digest(_fetch(path, fetch)) != wanted:
        raise InputError(f"{path}: not the text that the entry names")


def _fetch(path: str, fetch: Fetch) -> bytes:
    try:
        return fetch(path)
    except UnavailableError as error:
        raise RefusedError(
            "unpublished", f"{path} is not published beside the log", hint="publish it first"
        ) from error


def check_erasure(entry: ErasureEntry, state: Queries, index: Index) -> None:
    """``not-owner``, ``not-expired``: who may erase what. :class:`InputError` for unknown ones.

    An owner erases own capsules only, the vault only what had expired when the entry says.
    """
    for name in entry.capsules:
        row = index.get(name)
        if row is None or state.capsule(name) is None:
            raise InputError(f"no capsule {name} was admitted here")
        if entry.by == "owner" and row.status != "erased" and row.owner != entry.name:
            raise RefusedError("not-owner", f"capsule {name[:16]}... is not {entry.name}'s")
        if entry.by == "vault" and row.status != "erased" and not 0 < row.expires <= entry.time:
            raise RefusedError("not-expired", f"capsule {name[:16]}... is to be kept longer")


def erased_before(entry: ErasureEntry, state: Queries) -> int | None:
    """The log index of the erasure that stands already, if all of ``entry`` was erased."""
    found = [state.erased(name) for name in entry.capsules]
    done = [each.index for each in found if each is not None]
    return max(done) if len(done) == len(found) else None
