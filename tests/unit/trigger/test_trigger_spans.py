# SPDX-License-Identifier: Apache-2.0
"""Which moments fire, and which do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from driving import braking, drive, recording

from incamera.recording.model import Event, Recording, Telemetry
from incamera.trigger import Campaign, Span, default_campaign, find_spans
from incamera.trigger.campaign import HardBrake, Sample, Swerve, TakeOver
from incamera.trigger.motion import hard_brakes, swerves, take_overs


def campaign(text: str) -> Campaign:
    return Campaign.parse(f'version = 1\nname = "test"\n{text}'.encode())


@pytest.mark.parametrize("rate", [1.0, 7.0, 10.0, 36.0])
def test_a_hard_brake_fires_at_any_frame_rate(rate: float) -> None:
    """Slowing by 7 m/s2 is found within a second of its start, and once."""
    ((first, last),) = hard_brakes(drive(braking(30.0, 7.0), rate=rate), HardBrake())
    assert 29.0 <= first <= 31.0
    assert first < last <= 34.0


def test_gentle_braking_does_not_fire() -> None:
    """3 m/s2 is how people stop at a light."""
    assert hard_brakes(drive(braking(30.0, 3.0)), HardBrake()) == []


def test_a_jolt_is_too_short() -> None:
    """One sample of great force with the brake on does not last, so it is no hard brake."""

    def jolt(sample: Telemetry) -> Telemetry:
        hit = 30.0 <= sample.time < 30.05
        return replace(
            sample, brake=True, speed=15 - sample.time / 10, acceleration=(9.0 * hit, 0.0, 0.0)
        )

    assert hard_brakes(drive(jolt), HardBrake()) == []


@pytest.mark.parametrize("axis", [0, 1])
def test_the_force_counts_whichever_axis_points_forward(axis: int) -> None:
    """With the brake on, a lasting force fires though the speed's slope is under the limit."""

    def felt(sample: Telemetry) -> Telemetry:
        slowed = braking(30.0, 4.0)(sample)
        force = (-6.0 if axis == 0 and slowed.brake else 0.0, -6.0 if slowed.brake else 0.0, 9.8)
        return replace(slowed, acceleration=force)

    assert len(hard_brakes(drive(felt), HardBrake())) == 1


def test_nothing_is_concluded_across_a_gap() -> None:
    """15 m/s before a gap of 5 s and standing after it is no hard brake, nor a take-over."""
    before = [Telemetry(time=i / 10, speed=15.0, autopilot=1) for i in range(100)]
    after = [Telemetry(time=15 + i / 10, speed=0.0, brake=True) for i in range(100)]
    assert hard_brakes(before + after, HardBrake()) == []
    assert take_overs(before + after, TakeOver()) == []


def test_samples_out_of_order_are_passed_over() -> None:
    """Double and backward times (two cameras' telemetry in one list) change nothing."""
    clean = drive(braking(30.0, 7.0), rate=10.0)
    doubled = [sample for each in clean for sample in (each, each)]
    doubled.insert(350, clean[3])
    assert hard_brakes(doubled, HardBrake()) == hard_brakes(clean, HardBrake())


def taken_over(sample: Telemetry, *, ends: int = 0, **acts: float) -> Telemetry:
    """Self driving until 20 s; then what the driver does."""
    if sample.time < 20.0:
        return replace(sample, autopilot=1)
    acting = sample.time < 22.0
    return replace(
        sample,
        autopilot=ends,
        brake=bool(acts.get("brake")) and acting,
        accelerator=acts.get("accelerator", 0.0) * acting,
        steering=acts.get("steering", 0.0) * acting,
    )


@pytest.mark.parametrize("acts", [{"brake": 1.0}, {"accelerator": 40.0}, {"steering": -25.0}])
@pytest.mark.parametrize("ends", [0, 3])
def test_a_take_over_needs_the_driver_to_act(acts: dict[str, float], ends: int) -> None:
    """Self driving that ends, to nothing or to cruise control, with brake, pedal or wheel."""
    telemetry = drive(lambda sample: taken_over(sample, ends=ends, **acts))
    ((first, last),) = take_overs(telemetry, TakeOver())
    assert first == last == pytest.approx(20.0, abs=0.03)


def test_no_take_over_without_an_act_or_at_rest_or_from_cruise_control() -> None:
    """Automation that just ends, ends on a parking place, or never steered, is none."""
    assert take_overs(drive(taken_over), TakeOver()) == []
    parked = drive(lambda s: replace(taken_over(s, brake=1.0), speed=0.5))
    assert take_overs(parked, TakeOver()) == []
    cruise = drive(lambda s: replace(taken_over(s, brake=1.0), autopilot=3 * (s.time < 20)))
    assert take_overs(cruise, TakeOver()) == []


def test_the_pedal_may_be_a_share_or_per_cent() -> None:
    """0.4 of a pedal that never passes 1.2 is pressed; 0.4 % of one that reaches 80 is not."""
    share = drive(lambda s: taken_over(s, accelerator=0.4))
    assert len(take_overs(share, TakeOver())) == 1
    assert take_overs([replace(share[0], accelerator=80.0), *share[1:]], TakeOver()) == []


def test_a_swerve_is_a_quick_hand_at_speed() -> None:
    """90 degrees to and fro within a second fires at 15 m/s and not at 3 m/s."""

    def swerve(sample: Telemetry) -> Telemetry:
        phase = max(0.0, min(sample.time - 30.0, 1.0))
        return replace(sample, steering=90 * (1 - abs(1 - 2 * phase)))

    to, fro = swerves(drive(swerve), Swerve())
    assert 30.0 <= to[0] < to[1] < fro[0] < fro[1] < 31.5
    slow = [replace(sample, speed=3.0) for sample in drive(swerve)]
    assert swerves(slow, Swerve()) == []


def test_a_swerve_may_be_felt_sideways() -> None:
    """A lasting pull of 6 m/s2 fires; the same pull that only slows the car does not."""
    pulled = drive(lambda s: replace(s, acceleration=(0.0, 6.0 * (30 < s.time < 31), 9.8)))
    assert len(swerves(pulled, Swerve())) == 1

    def slowed(sample: Telemetry) -> Telemetry:
        braked = braking(30.0, 6.0)(sample)
        return replace(braked, acceleration=(-6.0 * braked.brake, 0.0, 0.0))

    for rate in (5.0, 10.0, 36.0):
        assert swerves(drive(slowed, rate=rate), Swerve()) == []


def test_what_the_car_noted_becomes_spans() -> None:
    """Honk, Sentry and a tap each have their trigger; other reasons have none."""
    reasons = {
        "user_interaction_honk": "honk",
        "sentry_aware_object_detection": "sentry",
        "sentry_aware_accel_0.5": "sentry",
        "user_interaction_dashcam_icon_tapped": "saved",
        "user_interaction_dashcam_panel_save": "saved",
        "something_else": None,
    }
    every = campaign("[honk]\n[sentry]\n[saved]\n")
    for reason, tag in reasons.items():
        spans = find_spans(recording(events=[Event(30.0, reason)]), every)
        assert spans == ([Span(25.0, 35.0, (tag,))] if tag else [])


def test_spans_are_clamped_and_united() -> None:
    """At the edges a span ends with the recording; touching spans become one with both tags."""
    text = "[honk]\nbefore = 3\nafter = 2\n[saved]\nbefore = 5\nafter = 1\n"
    tap, honk = "user_interaction_dashcam_icon_tapped", "user_interaction_honk"
    events = [Event(1.0, honk), Event(20.0, honk), Event(27.0, tap), Event(59.5, honk)]
    assert find_spans(recording(events=events), campaign(text)) == [
        Span(0.0, 3.0, ("honk",)),
        Span(17.0, 28.0, ("honk", "saved")),
        Span(56.5, 60.0, ("honk",)),
    ]


def test_events_outside_and_recordings_without_pictures_give_nothing() -> None:
    """A note long after the last frame, or no camera at all, keeps nothing."""
    honk = campaign("[honk]")
    assert find_spans(recording(events=[Event(400.0, "user_interaction_honk")]), honk) == []
    assert find_spans(Recording("none", {}), honk) == []


def test_the_sample_is_drawn_the_same_each_time() -> None:
    """The draw depends on name, slot and key, and on nothing else; one in one keeps all."""
    rules = {every: campaign(f"[sample]\nevery = {every}\nlength = 2\n") for every in (1, 4)}
    drive_ = recording(name="2026-11-20/1")
    assert find_spans(drive_, rules[1]) == [Span(0.0, 60.0, ("sample",))]
    first = find_spans(drive_, rules[4])
    assert first == find_spans(drive_, rules[4])
    assert all(span.start % 2 == 0 and span.end % 2 == 0 for span in first)
    others = [find_spans(recording(name=f"2026-11-20/{i}"), rules[4]) for i in range(40)]
    kept = sum(span.end - span.start for spans in others for span in spans)
    assert 0.15 < kept / (40 * 60) < 0.35
    keyed = campaign('[sample]\nevery = 4\nlength = 2\nkey = "b"\n')
    assert find_spans(drive_, keyed) != first


def test_the_whole_default_campaign_runs() -> None:
    """One minute with a hard stop and a honk gives the spans the documents promise."""
    telemetry = drive(braking(30.0, 7.0))
    found = find_spans(
        recording(telemetry, [Event(50.0, "user_interaction_honk")]), default_campaign()
    )
    assert [span.tags for span in found] == [("hard-brake",), ("honk",)]
    assert found[0].start == pytest.approx(25.2, abs=0.5)
    assert (found[1].start, found[1].end) == (42.0, 55.0)
    assert isinstance(campaign("[sample]").rules["sample"], Sample)
