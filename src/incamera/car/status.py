# SPDX-License-Identifier: Apache-2.0
"""What there is to say of a car's agent, from what lies on its disk: whether it runs or not."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from incamera.car.diary import Diary
from incamera.car.exclusion import check_excluded
from incamera.car.prepare import look_for_consent
from incamera.car.settings import CarSettings
from incamera.car.withheld import WithheldError
from incamera.encoding import parse_json
from incamera.errors import Error, UnavailableError
from incamera.ingest.journal import Journal
from incamera.ingest.seating import Seating
from incamera.ledger.state import State
from incamera.tlog.policy import Policy

__all__ = ["gather"]

_LAST = 20
_DRIVES = 10


def gather(settings: CarSettings, policy: Policy, now: int) -> dict[str, Any]:
    """All of it, as plain values."""
    places = settings.places
    heard, said = _read(places.heard), _read(places.said)
    return {
        "vehicle": settings.vehicle,
        **_by_the_log(settings, policy, now),
        "agent": heard,
        "worker": said,
        "campaign": said.get("campaign") or None,
        "withheld": _withheld(settings, said),
        "drives": _drives(settings, said),
        "spool": _spool(settings),
    }


def _by_the_log(settings: CarSettings, policy: Policy, now: int) -> dict[str, Any]:
    """What hangs on the log as it was read last; while it is being read, that it is."""
    try:
        state = State(settings.places.state)
    except UnavailableError as error:
        why = f"the log is being read just now: {error.message}"
        return {
            "log": {"entries": 0, "witnessed": 0, "why": why},
            "consent": {"on": False, "why": [why]},
            "exclusion": {"excluded": False, "why": why},
            "trustees": [],
        }
    try:
        return {
            "log": {"entries": state.size, "witnessed": state.time, "why": ""},
            "consent": _consent(settings, state, now),
            "exclusion": _exclusion(settings, state, now),
            "trustees": _trustees(settings.seating, state, policy),
        }
    finally:
        state.close()


def _read(path: Path) -> dict[str, Any]:
    """What agent or worker said last; nothing if it never said anything."""
    try:
        value = parse_json(path.read_bytes(), str(path))
    except (OSError, Error):
        return {}
    return value if isinstance(value, dict) else {}


def _consent(settings: CarSettings, state: State, now: int) -> dict[str, Any]:
    found = look_for_consent(settings, state, now)
    if found.token is None:
        return {"on": False, "why": list(found.refused) or ["there is no token"]}
    consent = found.token.consent
    return {
        "on": True,
        "id": found.digest,
        "purposes": list(consent.purposes),
        "until": consent.expires,
        "parked": consent.parked,
        "why": list(found.refused),
    }


def _exclusion(settings: CarSettings, state: State, now: int) -> dict[str, Any]:
    places = settings.places
    try:
        check_excluded(places.switch, places.exclusions, settings.car, state, now)
    except WithheldError as error:
        return {"excluded": True, "why": error.message}
    return {"excluded": False, "why": ""}


def _trustees(seating: Seating, state: State, policy: Policy) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "country": each.country, "doubt": seating.doubt(state, each, policy)}
        for each in state.parties("trustee")
    ]


def _withheld(settings: CarSettings, said: dict[str, Any]) -> dict[str, Any]:
    """What is not ingested, and why: the rule that stops all, and files by reason."""
    files: Counter[str] = Counter()
    waiting = 0
    if settings.places.diary.exists():
        diary = Diary(settings.places.diary)
        try:
            for origin, consent, outcome, why, settled, count in diary.counts():
                if outcome in ("withheld", "failed", "gone", "removed"):
                    files[why] += count
                elif not outcome and origin == "parked" and not consent:
                    files["parked, and nobody consented to that: removed when it is old"] += count
                elif not outcome:
                    waiting += count
                del settled
        finally:
            diary.close()
    rule = said.get("withheld")
    return {"rule": rule, "files": dict(sorted(files.items())), "files_waiting": waiting}


def _drives(settings: CarSettings, said: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of each of the last drives, and why: the newest first."""
    if not settings.places.diary.exists():
        return []
    rule, errors = said.get("withheld"), said.get("errors") or ()
    stops = rule[1] if rule else next((each[1] for each in errors if each[0] == "unavailable"), "")
    waits = f"waits: {stops}" if stops else "waits until the car rests and its files are quiet"
    drives: dict[int, dict[str, Any]] = {}
    diary = Diary(settings.places.diary)
    try:
        for drive, number, began, ended, outcome, why, count in diary.drives(_DRIVES):
            facts: dict[str, Any] = {
                "drive": drive,
                "number": number,
                "began": began,
                "ended": ended,
                "files": [],
            }
            here = drives.setdefault(drive, facts)
            if count:
                became = {"count": count, "outcome": outcome or "open", "why": why or waits}
                here["files"].append(became)
    finally:
        diary.close()
    return list(drives.values())


def _spool(settings: CarSettings) -> dict[str, Any]:
    places = settings.places
    if not places.journal.is_dir():
        return {"capsules": 0, "bytes": 0, "quota": settings.room.spool}
    journal = Journal(places.journal)
    waiting = [places.spool / f"{step.clip}.capsule" for step in journal.in_state("sealed")]
    there = [path.stat() for path in waiting if path.exists()]
    admitted = journal.in_state("admitted")
    receipts = [places.journal / "receipts" / f"{step.capsule}.tlog-proof" for step in admitted]
    times = [(path.stat().st_mtime, path.stem) for path in receipts if path.exists()]
    last = max(times, default=None)
    return {
        "capsules": len(waiting),
        "bytes": sum(each.st_size for each in there),
        "quota": settings.room.spool,
        "oldest": min((int(each.st_mtime) for each in there), default=None),
        "sent": len(admitted),
        "last_receipt": None if last is None else {"time": int(last[0]), "capsule": last[1]},
        "refused": [asdict(each) for each in journal.refusals().values()][-_LAST:],
        "unsent": [asdict(each) | {"tags": list(each.tags)} for each in journal.dropped()][-_LAST:],
    }
