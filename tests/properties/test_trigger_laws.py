# SPDX-License-Identifier: Apache-2.0
"""Laws of the spans a campaign gives, whatever the car did."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import InputError
from incamera.recording.model import Event, Frame, Recording, Telemetry
from incamera.trigger import Campaign, Span, default_campaign, find_spans
from incamera.trigger.campaign import RULES, Rule, Sample
from incamera.trigger.spans import merge

REASONS = ("user_interaction_honk", "sentry_aware_accel_1", "user_interaction_x", "other")


@dataclass
class Blind:
    """A track that lasts and shows nothing."""

    start: float
    end: float
    camera: str = "front"
    width: int = 640
    height: int = 480
    sources: Sequence[Path] = ()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """No frames."""
        yield from ()


@st.composite
def recordings(draw: st.DrawFn) -> Recording:
    """A drive of up to four minutes, at an uneven rate, with gaps, at any place in time."""
    start = draw(st.sampled_from([0.0, 100.5, 1.7e9]))
    steps = draw(st.lists(st.sampled_from([0.0, 0.02, 0.1, 0.5, 1.0, 4.0]), max_size=60))
    time, telemetry = start, []
    for step in steps:
        time += step
        telemetry.append(
            Telemetry(
                time=time,
                speed=draw(st.sampled_from([0.0, 4.0, 9.0, 12.0, 15.0, 30.0])),
                steering=draw(st.sampled_from([-90.0, 0.0, 5.0, 200.0])),
                accelerator=draw(st.sampled_from([0.0, 0.5, 50.0])),
                brake=draw(st.booleans()),
                autopilot=draw(st.integers(0, 3)),
                acceleration=(draw(st.sampled_from([0.0, -7.0])), 0.0, 9.8),
            )
        )
    events = draw(
        st.lists(
            st.builds(Event, st.floats(start - 50, start + 250), st.sampled_from(REASONS)),
            max_size=6,
        )
    )
    track = Blind(start, start + draw(st.floats(0.5, 240)))
    return Recording("drive", {"front": track}, telemetry=telemetry, events=events)


@st.composite
def campaigns(draw: st.DrawFn) -> Campaign:
    """Some triggers, with some seconds around them."""
    tags = draw(st.lists(st.sampled_from(sorted(RULES)), min_size=1, unique=True))
    seconds = st.floats(0, 30)
    rules: dict[str, Rule] = {
        tag: replace(RULES[tag](), before=draw(seconds), after=draw(seconds)) for tag in tags
    }
    if "sample" in rules:
        rules["sample"] = Sample(every=draw(st.integers(1, 8)), length=draw(st.floats(1, 30)))
    return replace(default_campaign(), rules=rules)


def covers(spans: list[Span], time: float) -> bool:
    return any(span.start <= time < span.end for span in spans)


@settings(max_examples=150, deadline=None)
@given(recordings(), campaigns())
def test_spans_are_in_order_apart_and_inside(recording: Recording, campaign: Campaign) -> None:
    """By time, with room between them, within the recording, tagged by triggers that are on."""
    spans = find_spans(recording, campaign)
    assert spans == find_spans(recording, campaign)
    for span in spans:
        assert recording.start <= span.start < span.end <= recording.end
        assert span.tags == tuple(sorted(set(span.tags)))
        assert set(span.tags) <= campaign.rules.keys()
    for earlier, later in pairwise(spans):
        assert earlier.end < later.start


@settings(max_examples=100, deadline=None)
@given(recordings(), st.floats(0, 30), st.floats(0, 30))
def test_a_moment_is_in_its_span(recording: Recording, before: float, after: float) -> None:
    """Each honk during the recording lies in a span that says so."""
    rules: dict[str, Rule] = {"honk": Rule(before=before, after=after)}
    spans = find_spans(recording, replace(default_campaign(), rules=rules))
    for event in recording.events:
        inside = recording.start <= event.time < recording.end
        if inside and event.reason == "user_interaction_honk":
            assert covers(spans, event.time)


@settings(max_examples=100, deadline=None)
@given(recordings(), campaigns(), st.floats(0, 20), st.floats(0, 20))
def test_more_seconds_around_never_keep_less(
    recording: Recording, campaign: Campaign, before: float, after: float
) -> None:
    """Raising ``before`` or ``after`` keeps everything that was kept."""
    wider = {
        tag: replace(rule, before=rule.before + before, after=rule.after + after)
        for tag, rule in campaign.rules.items()
    }
    narrow = find_spans(recording, campaign)
    wide = find_spans(recording, replace(campaign, rules=wider))
    for span in narrow:
        (around,) = [w for w in wide if w.start <= span.start and span.end <= w.end]
        assert set(span.tags) <= set(around.tags)


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            lambda start, length, tag: Span(start, start + length, (tag,)),
            st.floats(0, 100),
            st.floats(0.1, 20),
            st.sampled_from("abc"),
        )
    )
)
def test_merging_keeps_the_covered_time(spans: list[Span]) -> None:
    """Merging neither adds nor loses a second or a tag, in any order, and is done in one go."""
    merged = merge(spans)
    assert merged == merge(reversed(spans)) == merge(merged)
    assert {tag for span in spans for tag in span.tags} == {t for s in merged for t in s.tags}
    edges = sorted({edge for span in spans for edge in (span.start, span.end)})
    for left, right in pairwise(edges):
        middle = left + (right - left) / 2
        if left < middle < right and math.isfinite(middle):
            assert covers(spans, middle) == covers(merged, middle)


@settings(max_examples=200)
@given(st.text(max_size=40), st.sampled_from(["", 'version = 1\nname = "x"\n[honk]\n']))
def test_any_text_is_a_campaign_or_bad_input(text: str, head: str) -> None:
    """Reading a campaign gives one or InputError, nothing else."""
    try:
        assert Campaign.parse((head + text).encode("utf-8", "surrogatepass")).rules
    except InputError as error:
        assert error.message.startswith("campaign")  # noqa: PT017  either outcome is right
