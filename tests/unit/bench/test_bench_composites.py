# SPDX-License-Identifier: Apache-2.0
"""Composite films: the truth is where the pixels are, and a detector that misses is seen to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.redaction import composites, films, leaks, reports, scenes, sheets
from bench.redaction.cuts import Cut, cut, cuts
from bench.redaction.motion import STYLES, Pose, path, truth
from bench.redaction.painting import Bar, cover, paste
from bench.redaction.scenes import Casting, Object, Scene
from incamera.redaction import Redactor
from redacting import GREY, RED, Colours
from videos import clip

SIZE = (320, 240)
SCENE = Scene(
    "a.mp4", "none", SIZE, 24, 25, "day", {"crf": "12", "preset": "ultrafast", "bf": "2"}, 5, 0
)


def red_face(side: int = 48) -> Cut:
    """A red square in grey surroundings, as a plate is labelled: its box is the square."""
    image = np.full((3 * side, 3 * side, 3), GREY, np.uint8)
    image[side : 2 * side, side : 2 * side] = RED
    opaque = np.full((3 * side, 3 * side, 1), 255, np.uint8)
    box = (float(side), float(side), float(side), float(side))
    return Cut("plate", "drawn", np.dstack([image, opaque]), box)


def red_box(image: NDArray[np.uint8]) -> tuple[float, float, float, float]:
    """Where the red is."""
    ys, xs = np.nonzero((image[..., 0] > 150) & (image[..., 1] < 90))
    left, top = float(xs.min()), float(ys.min())
    return left, top, float(xs.max()) + 1 - left, float(ys.max()) + 1 - top


@pytest.mark.parametrize(
    "pose",
    [
        Pose(160.0, 120.0, 48.0),
        Pose(100.5, 80.25, 30.0),
        Pose(160.0, 120.0, 90.0, yaw=30.0, roll=4.0),
        Pose(160.0, 120.0, 20.0, yaw=-25.0),
    ],
)
def test_the_truth_is_where_the_pixels_are(pose: Pose) -> None:
    """Moved, shrunk, enlarged or turned: the box of what is red is the box that is told."""
    frame = np.full((240, 320, 3), GREY, np.uint8)
    paste(frame, red_face(), pose, (0.0, 0.0), 1.0, 0.0)
    assert red_box(frame) == pytest.approx(truth(red_face(), pose), abs=2.0)


def test_motion_smears_along_the_way_only() -> None:
    """Eight pixels to the right: wider by about that, no higher."""
    sharp, smeared = (np.full((240, 320, 3), GREY, np.uint8) for _ in range(2))
    pose = Pose(160.0, 120.0, 48.0)
    paste(sharp, red_face(), pose, (0.0, 0.0), 1.0, 0.0)
    paste(smeared, red_face(), pose, (20.0, 0.0), 1.0, 8.0)
    changed = np.abs(sharp.astype(int) - smeared.astype(int)).max(axis=2) > 12
    ys, xs = np.nonzero(changed[60:180, 100:220])  # within the surroundings
    assert 35 <= ys.min() <= ys.max() < 85
    assert set(np.unique(xs)) <= {*range(30, 44), *range(76, 90)}
    assert len(set(np.unique(xs))) >= 8


def test_a_bar_hides_exactly_its_rectangle() -> None:
    """In its frames, and in no other."""
    bar = Bar({3: (100.0, 50.0, 20.0, 100.0)}, (70, 72, 76))
    frame = np.full((240, 320, 3), GREY, np.uint8)
    cover(frame, 2, bar)
    assert (frame == GREY).all()
    cover(frame, 3, bar)
    ys, xs = np.nonzero((frame != GREY).any(axis=2))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (100, 119, 50, 149)


@pytest.mark.parametrize("style", STYLES)
def test_paths_are_smooth_and_as_long_as_asked(style: Any) -> None:
    """No jump of more than a width and a half from frame to frame; as near as asked at most."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        way = path(rng, "plate", style, SIZE, (5, 20), 24.0, 3.0)
        assert way.at(4) is None
        assert way.at(25) is None
        steps = [np.hypot(*way.step(frame)) for frame in range(5, 25)]
        assert max(steps) < 1.5 * 72
        assert max(pose.height for pose in way.poses) <= 24.0 + 1e-6


def test_the_same_seed_gives_the_same_scenes_and_another_gives_others() -> None:
    """So that two runs measure the same films."""
    assert scenes.scenes(6, 3) == scenes.scenes(6, 3)
    assert scenes.scenes(6, 3) != scenes.scenes(6, 4)


def test_objects_never_cover_each_other() -> None:
    """What is pasted keeps off what was pasted before, in every frame."""
    casting = Casting([red_face(), replace(red_face(), kind="face")])
    found = scenes.objects(replace(SCENE, size=(960, 540), frames=40), casting)
    assert len(found) > 6
    for one in found:
        for other in found:
            assert one is other or not scenes._meet(one, other)


def drawn(folder: Path, scene: Scene = SCENE) -> list[dict[str, Any]]:
    """A film of one red square that walks over grey, encoded; its truth."""
    (folder / "films").mkdir(parents=True)
    way = path(np.random.default_rng(2), "plate", "walk", SIZE, (0, scene.frames), 40.0, 1.0)
    thing = Object.on(0, red_face(), way, 1.0)

    def frames() -> Any:
        for number in range(scene.frames):
            image = np.full((SIZE[1], SIZE[0], 3), GREY, np.uint8)
            pose = way.at(number)
            assert pose is not None
            paste(image, thing.cut, pose, (0.0, 0.0), 1.0, 0.0)
            yield image

    films.encode(folder / "films" / scene.name, frames(), scene)
    return [films.told(scene, [thing], [])]


def test_the_product_on_a_composite_leaks_nothing_if_its_detector_sees_all(tmp_path: Path) -> None:
    """Through redact_path and its report; the file had B-frames."""
    truth_ = drawn(tmp_path)
    report = reports.redacted(tmp_path / "films", Redactor([Colours()]))
    told, results = composites.judged(truth_, report)
    assert told["plate"]["tracks_without_leak"] == 1.0
    assert told["plate"]["frames"] == SCENE.frames
    assert told["false_area"] == told["false_area_face"] < 0.02
    assert told["false_area_plate"] == told["false_area_away"] == 0.0
    sheets.leaks(tmp_path / "leaks.png", tmp_path / "films", truth_, report, results)
    assert not (tmp_path / "leaks.png").exists()


def test_a_detector_that_misses_is_seen_to_leak_and_drawn(tmp_path: Path) -> None:
    """No box at all: every frame leaks, no track is without, and the sheet shows it."""
    truth_ = drawn(tmp_path)
    report = reports.redacted(tmp_path / "films", Redactor([Colours(score=0.0)]))
    told, results = composites.judged(truth_, report)
    assert told["plate"]["tracks_without_leak"] == 0.0
    assert told["plate"]["frames_leaked"] == 1.0
    sheets.leaks(tmp_path / "leaks.png", tmp_path / "films", truth_, report, results)
    assert (tmp_path / "leaks.png").stat().st_size > 1000


def test_a_planted_leak_of_one_frame_is_found(tmp_path: Path) -> None:
    """The boxes of one frame are taken out of the report."""
    truth_ = drawn(tmp_path)
    report = reports.redacted(tmp_path / "films", Redactor([Colours()]))
    report["a.mp4"][11] = []
    told, (result,) = composites.judged(truth_, report)
    assert result.leaked == [11]
    assert told["plate"]["tracks_without_leak"] == 0.0


def test_a_peer_is_judged_frame_by_frame_with_its_own_growth(tmp_path: Path) -> None:
    """Frames in which it finds nothing leak: nothing is filled in for it."""
    (film,) = drawn(tmp_path)
    film["tracks"][0]["kind"] = "face"
    boxes = {s[0]: s[1:5] for s in film["tracks"][0]["sights"]}
    calls = iter(range(SCENE.frames))

    def find(_: NDArray[np.uint8]) -> list[tuple[float, float, float, float, float]]:
        number = next(calls)
        x, y, w, h = boxes[number]
        return [] if number == 7 else [(x, y, w, h, 0.1 if number == 9 else 0.5)]

    seen = composites.frame_by_frame(tmp_path / "films", find)
    _, (result,) = composites.judged([film], seen, ("face",))
    assert result.leaked == [7, 9]
    x, y, w, h = boxes[0]
    assert seen["a.mp4"][0][0][:4] == pytest.approx((x - 0.3 * w, y - 0.3 * h, 1.6 * w, 1.6 * h))


def test_cuts_that_no_one_could_recognise_are_refused() -> None:
    """Flat, blurred, crowded or at the picture's edge: no cut."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    box = (150.0, 120.0, 100.0, 40.0)
    good = cut("plate", noise, box)
    assert good is not None
    assert good.box == (50.0, 64.0, 100.0, 40.0)
    assert good.rgba[0, 0, 3] == 0  # faded
    assert good.rgba[80, 100, 3] == 255
    assert cut("plate", np.full_like(noise, 128), box) is None
    assert cut("plate", noise, box, [(160.0, 160.0, 40.0, 20.0)]) is None
    assert cut("plate", noise, (2.0, 120.0, 100.0, 40.0)) is None
    assert cut("plate", noise, (150.0, 120.0, 30.0, 40.0)) is None


@pytest.mark.data
def test_a_real_composite_has_its_tracks_inside_and_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One film of the eval set: a dozen tracks and more; a second call takes it as it lies."""
    data = clip("udacity-lane.mp4").parents[1]
    chosen = cuts(data, "eval", Path("unused"))
    assert sum(c.kind == "face" for c in chosen) >= 200
    assert sum(c.kind == "plate" for c in chosen) >= 90
    monkeypatch.setattr(films, "cuts", lambda *_: chosen)
    lines = films.make(data, Path("unused"), "eval", 1, tmp_path)
    kinds = [track["kind"] for track in lines[0]["tracks"]]
    assert kinds.count("face") >= 5
    assert kinds.count("plate") >= 5
    made = (tmp_path / "films" / lines[0]["film"]).stat().st_mtime_ns
    assert films.make(data, Path("unused"), "eval", 1, tmp_path) == lines
    assert (tmp_path / "films" / lines[0]["film"]).stat().st_mtime_ns == made
    assert leaks.judged(lines[0], {})
