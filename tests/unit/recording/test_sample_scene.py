# SPDX-License-Identifier: Apache-2.0
"""The sample's pictures: perspective, what hides what, and whether detectors see the faces."""

from __future__ import annotations

import numpy as np
import pytest

from incamera.recording.model import Box
from incamera.recording.sample import scene as scenes
from incamera.recording.sample.canvas import Canvas, haze
from incamera.recording.sample.looks import person, plate
from incamera.recording.sample.scene import Scene
from incamera.recording.sample.story import pose
from incamera.recording.sample.street import BASE, BLOCK, TUNNEL, kinds
from incamera.recording.sample.traffic import _VAN, Body, Walker, _some_car, traffic
from incamera.recording.sample.view import CAMERAS, Pose, View
from incamera.redaction.centerface import CenterFace

SIZE = (640, 480)
BY_NAME = {camera.name: camera for camera in CAMERAS}


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    w = max(0.0, min(a.x + a.w, b.x + b.w) - max(a.x, b.x))
    h = max(0.0, min(a.y + a.h, b.y + b.h) - max(a.y, b.y))
    return w * h / (a.w * a.h + b.w * b.h - w * h)


def shown(camera: str, *things: Body | Walker) -> list[Box]:
    """The boxes that are listed when these things are drawn in this order, the car at z = 0."""
    view = View(BY_NAME[camera], SIZE, Pose(1.65, 0.0))
    canvas = Canvas(np.zeros((480, 640, 3), np.uint8), view)
    boxes: list[tuple[Box, int]] = []
    outlines = []
    for thing in things:
        found = (
            scenes._car(canvas, thing) if isinstance(thing, Body) else scenes._walker(canvas, thing)
        )
        if found is not None:
            outlines.append(found[0])
            boxes += [(box, len(outlines)) for box in found[1]]
    scene = Scene(BY_NAME[camera], SIZE)
    return [box for box, order in boxes if scene._free(box, outlines[order:])]


def test_twice_as_far_is_half_as_large() -> None:
    """A metre at 20 m has half the pixels of a metre at 10 m, and right is right."""
    view = View(BY_NAME["front"], SIZE, Pose(0.0, 0.0))
    points = np.array([[x, 1.4, z] for z in (10.6, 20.6) for x in (0.0, 1.0)])
    near, near_right, far, far_right = view.project(view.see(points))
    assert near[0] == pytest.approx(320)
    assert near_right[0] - near[0] == pytest.approx(2 * (far_right[0] - far[0]), rel=0.01)
    assert near_right[0] > near[0]


def test_each_camera_looks_its_own_way() -> None:
    """What is ahead, behind, left or right of the car is in the picture of the right camera."""
    places = {
        "front": (1.65, 20.0),
        "back": (1.65, -20.0),
        "left_pillar": (-18.0, 16.0),
        "right_pillar": (21.0, 16.0),
        "left_repeater": (-10.0, -18.0),
        "right_repeater": (13.0, -18.0),
    }
    opposite = [
        {"front", "back"},
        {"left_pillar", "right_pillar"},
        {"left_repeater", "right_repeater"},
    ]
    for name in places:
        view = View(BY_NAME[name], SIZE, Pose(1.65, 0.0))
        for other, (x, z) in places.items():
            (seen,) = view.see(np.array([[x, 1.0, z]]))
            inside = seen[2] > 0 and 0 < view.project(seen)[0] < 640
            assert inside or other != name
            assert not (inside and {name, other} in opposite)
            assert not (inside and view.misses(x, z, 1.0))


def test_a_plate_is_listed_where_it_is_drawn() -> None:
    """From behind a car its rear plate is listed; where it is, there is white and dark."""
    car = _some_car(4)
    (box,) = shown("front", Body(car, 1.65, 9.0))
    assert box.kind == "plate"
    assert box.h > 6
    assert 300 < box.x + box.w / 2 < 340
    picture = plate(car.plate, car.text)
    assert picture.max() > 220
    assert picture.min() < 60


def test_what_is_hidden_is_not_listed() -> None:
    """A face and a plate behind a van are not in the truth; the van's own plate is."""
    van = Body(_VAN, 1.65, 9.0)
    far = Body(_some_car(4), 1.65, 22.0)
    walker = Walker(2, 0, 0.7, 15.0)
    assert [box.kind for box in shown("front_narrow", far, walker)] == ["plate", "face"]
    assert [box.kind for box in shown("front_narrow", far, walker, van)] == ["plate"]


def test_a_face_lies_in_the_head_of_its_person() -> None:
    """Every person at every step has a face in the upper third of the figure."""
    for who in range(8):
        for step in range(4):
            sprite, (x, y, w, h) = person(who, step)
            assert 0.3 < x < x + w < 0.7
            assert 0 < y < y + h < 0.3
            height, width = sprite.levels[0].shape[:2]
            inside = sprite.levels[0][
                int(y * height) : int((y + h) * height), int(x * width) : int((x + w) * width), 3
            ]
            assert inside.mean() > 235


def test_a_real_detector_finds_the_faces() -> None:
    """CenterFace finds every face of 24 pixels and more where the truth says it is."""
    detector = CenterFace()
    faces = 0
    for name, time in (("front", 88.4), ("front_narrow", 88.4), ("right_pillar", 89.2)):
        picture, boxes = Scene(BY_NAME[name], SIZE).frame(time)
        found = detector.detect(picture)
        for face in boxes:
            if face.kind == "face" and face.h >= 24:
                faces += 1
                assert max(overlap(face, box) for box in found) > 0.4
    assert faces >= 4


def test_blocks_come_as_the_story_needs_them() -> None:
    """A gate before and behind the tunnel, a park before the military site."""
    first, last = int(TUNNEL[0] // BLOCK), int(TUNNEL[1] // BLOCK)
    assert [kinds(i) for i in range(first - 1, last + 1)] == ["gate", *["tunnel"] * 3, "gate"]
    base = int(BASE[0] // BLOCK)
    assert [kinds(i) for i in range(base - 1, base + 2)] == ["park", "base", "base"]


def test_traffic_is_the_same_each_time_and_near() -> None:
    """Asked twice, the same cars and people; on the street, none of them inside our car."""
    for time in (2.0, 70.0, 88.0, 105.0, 150.0):
        at = pose(time)
        around = list(traffic(time, at.z))
        assert around == list(traffic(time, at.z))
        for thing in around:
            if isinstance(thing, Body):
                clear = abs(thing.z - at.z) > (thing.car.length + 4.7) / 2
                assert clear or abs(thing.x - at.x) > 1.9


def test_haze_grows_with_distance() -> None:
    """From none at the lens to nearly all far away, in sixteenths."""
    shares = [haze(metres) for metres in (0, 10, 50, 150, 2000)]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert all((share * 16).is_integer() for share in shares)
