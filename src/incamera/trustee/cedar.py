# SPDX-License-Identifier: Apache-2.0
"""The decision itself, by Cedar: who may read which capsule for what purpose.

Cedar leaves out a policy that fails while it is evaluated, and a ``forbid`` that is left out
permits. So a text counts only if it type-checks against the schema below, where no attribute can
be missing, and any error while deciding is a refusal.
"""

from __future__ import annotations

import functools
import json
from typing import Any

import cedarpy

from incamera.errors import InputError
from incamera.ids import Digest, Region
from incamera.ledger.rows import Party
from incamera.sealing.header import Header

__all__ = ["check_policy", "permits"]

_MAX_TEXT = 65_536
_KEPT = 32  # parsed policies, of at most 64 KiB of text each
_STRING = {"type": "String"}
_STRINGS = {"type": "Set", "element": _STRING}


def _record(**attributes: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Record", "attributes": attributes}


_SCHEMA: dict[str, Any] = {
    "": {
        "entityTypes": {
            "Reader": {"shape": _record(kind=_STRING, country=_STRING, region=_STRING)},
            "Capsule": {
                "shape": _record(
                    region=_STRING,
                    vehicle=_STRING,
                    purposes=_STRINGS,
                    cameras=_STRINGS,
                    tags=_STRINGS,
                )
            },
        },
        "actions": {
            "read": {
                "appliesTo": {
                    "principalTypes": ["Reader"],
                    "resourceTypes": ["Capsule"],
                    "context": _record(purpose=_STRING),
                }
            }
        },
    }
}
"""What a policy may speak of: ``principal.kind`` and so on."""


@functools.cache
def _schema() -> Any:
    return cedarpy.Schema.from_json_str(json.dumps(_SCHEMA))


@functools.lru_cache(maxsize=_KEPT)
def _parsed(text: str, where: str) -> Any:
    """The policies of ``text``, type-checked; a text that failed is not remembered."""
    check_policy(text, where)
    return cedarpy.PolicySet.from_str(text)


def check_policy(text: str, where: str) -> None:
    """:class:`InputError` unless ``text`` is a Cedar policy that type-checks."""
    if len(text) > _MAX_TEXT:
        raise InputError(f"{where}: a policy may have {_MAX_TEXT} characters")
    try:
        result = cedarpy.validate_policies(text, _schema())
        errors = [str(each) for each in result.errors]
    except ValueError as error:
        raise InputError(f"{where}: not a Cedar policy: {error}") from error
    if errors or not result.validation_passed:
        raise InputError(
            f"{where}: not a usable Cedar policy: {'; '.join(errors)[:500]}",
            hint="a policy may use principal.kind, .country and .region; resource.region, "
            ".vehicle, .purposes, .cameras and .tags; and context.purpose",
        )


def permits(
    text: str, reader: Party, region: Region, capsule: Digest, header: Header, purpose: str
) -> bool:
    """True if the policy ``text`` (checked here) allows ``reader`` of ``region``'s log to read.

    Anything but a clear permission, errors included, is False.
    """
    policies = _parsed(text, f"policy {header.policy[:16]}...")
    principal, resource = _uid("Reader", reader.name), _uid("Capsule", capsule)
    who = {"kind": reader.kind, "country": reader.country, "region": region}
    what = {
        "region": header.region,
        "vehicle": header.vehicle,
        "purposes": list(header.purposes),
        "cameras": list(header.cameras),
        "tags": list(header.tags),
    }
    asked = {
        "principal": principal,
        "action": _uid("Action", "read"),
        "resource": resource,
        "context": {"purpose": purpose},
    }
    entities: list[dict[Any, Any]] = [
        {"uid": principal, "attrs": who, "parents": []},
        {"uid": resource, "attrs": what, "parents": []},
    ]
    answer = cedarpy.is_authorized(asked, policies, entities, _schema())
    return bool(answer.decision == cedarpy.Decision.Allow and not answer.diagnostics.errors)


def _uid(kind: str, name: str) -> dict[str, str]:
    return {"type": kind, "id": name}
