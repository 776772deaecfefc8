# SPDX-License-Identifier: Apache-2.0
"""From moments to the spans of a recording that are kept."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator

from incamera.recording.model import Event, Recording
from incamera.trigger.campaign import Campaign, HardBrake, Rule, Sample, Swerve, TakeOver
from incamera.trigger.model import Span
from incamera.trigger.motion import hard_brakes, swerves, take_overs

__all__ = ["find_spans", "merge"]

_HONK = "user_interaction_honk"

# Reasons of event.json, by the trigger they belong to.
_REASONS: dict[str, Callable[[str], bool]] = {
    "honk": lambda reason: reason == _HONK,
    "sentry": lambda reason: reason.startswith("sentry_aware_"),
    "saved": lambda reason: reason.startswith("user_interaction_") and reason != _HONK,
}


def find_spans(recording: Recording, campaign: Campaign) -> list[Span]:
    """The spans ``campaign`` asks for: by time, disjoint, inside the recording.

    A span reaches from ``before`` seconds before its moment to ``after`` seconds after it; spans
    that overlap or touch become one, with the tags of all.
    """
    if not recording.tracks:
        return []
    start, end = recording.start, recording.end
    spans = []
    for tag, rule in campaign.rules.items():
        for first, last in _moments(recording, campaign, tag):
            begin = max(start, first - rule.before)
            # A span is half open: a point of time is inside only if it ends just after it.
            point = math.nextafter(first, math.inf)
            finish = min(end, max(last + rule.after, point))
            if begin < finish:
                spans.append(Span(begin, finish, (tag,)))
    return merge(spans)


def merge(spans: Iterable[Span]) -> list[Span]:
    """``spans`` by time, those that overlap or touch united, and their tags with them."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if merged and span.start <= merged[-1].end:
            last = merged[-1]
            tags = tuple(sorted({*last.tags, *span.tags}))
            merged[-1] = Span(last.start, max(last.end, span.end), tags)
        else:
            merged.append(Span(span.start, span.end, tuple(sorted(set(span.tags)))))
    return merged


def _moments(recording: Recording, campaign: Campaign, tag: str) -> Iterable[tuple[float, float]]:
    rule: Rule = campaign.rules[tag]
    if isinstance(rule, HardBrake):
        return hard_brakes(recording.telemetry, rule)
    if isinstance(rule, TakeOver):
        return take_overs(recording.telemetry, rule)
    if isinstance(rule, Swerve):
        return swerves(recording.telemetry, rule)
    if isinstance(rule, Sample):
        return _chosen(recording, rule)
    return _events(recording.events, _REASONS[tag])


def _events(
    events: Iterable[Event], wanted: Callable[[str], bool]
) -> Iterator[tuple[float, float]]:
    return ((event.time, event.time) for event in events if wanted(event.reason))


def _chosen(recording: Recording, rule: Sample) -> Iterator[tuple[float, float]]:
    """The slots drawn: the same on every run and every machine, and none can steer them."""
    key = hashlib.sha256(rule.key.encode()).digest()
    slots = range(int(recording.start // rule.length), int(recording.end // rule.length) + 1)
    for slot in slots:
        text = f"{recording.name}\0{slot}".encode()
        drawn = hashlib.blake2b(text, digest_size=8, key=key, person=b"incamera sample")
        if int.from_bytes(drawn.digest(), "big") % rule.every == 0:
            yield slot * rule.length, (slot + 1) * rule.length
