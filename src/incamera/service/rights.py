# SPDX-License-Identifier: Apache-2.0
"""Every role's rights at the vault's service, decided by Cedar over ``rights.cedar``.

Default deny: what no policy permits is refused, and so is what Cedar has any error with. The text
is packaged with the code and type-checked when it is first used.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import cedarpy

from incamera.errors import IntegrityError, PolicyError

if TYPE_CHECKING:
    from incamera.service.callers import Caller

__all__ = ["ACTIONS", "ROLES", "NotYoursError", "check", "permits"]

ROLES = ("operator", "reader", "trustee", "owner", "car")

ACTIONS = (
    "list-capsules",
    "fetch-capsule",
    "begin-upload",
    "publish-policy",
    "publish-campaign",
    "publish-list",
    "publish-dealing",
    "publish-commitments",
    "see-exclusions",
    "set-exclusions",
    "sweep",
    "see-status",
)

_TEXT = {"type": "String"}


def _record(**attributes: dict[str, str]) -> dict[str, Any]:
    return {"type": "Record", "attributes": attributes}


_SCHEMA: dict[str, Any] = {
    "": {
        "entityTypes": {
            "Caller": {"shape": _record(role=_TEXT, by=_TEXT)},
            "Thing": {"shape": _record(own={"type": "Boolean"})},
        },
        "actions": {
            action: {
                "appliesTo": {
                    "principalTypes": ["Caller"],
                    "resourceTypes": ["Thing"],
                    "context": _record(),
                }
            }
            for action in ACTIONS
        },
    }
}


class NotYoursError(PolicyError):
    """403: who calls is known, and this is not for such a party."""

    def __init__(self, message: str) -> None:
        """``message``: what is not for whom."""
        super().__init__(message)
        self.code = "not-yours"


def check(caller: Caller, action: str, *, own: bool = False) -> None:
    """:class:`NotYoursError` unless ``caller`` may; ``own``: the thing is the caller's own."""
    if not permits(caller.role, caller.by, action, own=own):
        by = "" if caller.by == "key" else f" by {caller.by}"
        raise NotYoursError(f"{action} is not for this {caller.role}{by}")


@functools.cache
def _policies() -> tuple[Any, Any]:
    text = resources.files("incamera.service").joinpath("rights.cedar").read_text("utf-8")
    schema = cedarpy.Schema.from_json_str(json.dumps(_SCHEMA))
    result = cedarpy.validate_policies(text, schema)
    if result.errors or not result.validation_passed:
        raise IntegrityError(f"rights.cedar: {'; '.join(map(str, result.errors))[:500]}")
    return cedarpy.PolicySet.from_str(text), schema


@functools.lru_cache(maxsize=512)
def permits(role: str, by: str, action: str, *, own: bool) -> bool:
    """True if a caller of ``role``, known ``by`` key, token or certificate, may do ``action``."""
    policies, schema = _policies()
    caller, thing = {"type": "Caller", "id": "it"}, {"type": "Thing", "id": "it"}
    asked = {
        "principal": caller,
        "action": {"type": "Action", "id": action},
        "resource": thing,
        "context": {},
    }
    entities: list[dict[Any, Any]] = [
        {"uid": caller, "attrs": {"role": role, "by": by}, "parents": []},
        {"uid": thing, "attrs": {"own": own}, "parents": []},
    ]
    answer = cedarpy.is_authorized(asked, policies, entities, schema)
    return bool(answer.decision == cedarpy.Decision.Allow and not answer.diagnostics.errors)
