# SPDX-License-Identifier: Apache-2.0
"""What holds for every box, every path of a face, and every mutilated report or picture."""

from __future__ import annotations

import io
import itertools
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from incamera.errors import InputError
from incamera.recording.model import Box
from incamera.redaction.detectors import _cuts
from incamera.redaction.fill import Fill, snap
from incamera.redaction.model import Cover
from incamera.redaction.pictures import read_picture
from incamera.redaction.policy import Policy
from incamera.redaction.report import line, parse_line
from incamera.redaction.tracks import Tracker
from redacting import canvas, frame

edges = st.floats(-60, 160, allow_nan=False)
sides = st.floats(0.1, 120, allow_nan=False)
boxes = st.builds(
    Box, edges, edges, sides, sides, st.sampled_from(["face", "plate"]), st.floats(0, 1)
)
sizes = st.tuples(st.integers(1, 90), st.integers(1, 70))
layouts = st.sampled_from(["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "rgb24"])


@given(boxes, sizes)
def test_a_snapped_box_contains_its_part_of_the_picture(box: Box, size: tuple[int, int]) -> None:
    """Snapping only ever grows what is inside, to even edges or the picture's own."""
    width, height = size
    snapped = snap(box, width, height)
    inside = max(0, box.x) < min(width, box.x + box.w) and max(0, box.y) < min(
        height, box.y + box.h
    )
    if snapped is None:
        assert not inside
        return
    assert snapped.x >= 0
    assert snapped.y >= 0
    assert snapped.x + snapped.w <= width
    assert snapped.y + snapped.h <= height
    if inside:
        assert snapped.x <= max(0, box.x)
        assert snapped.y <= max(0, box.y)
        assert snapped.x + snapped.w >= min(width, box.x + box.w)
        assert snapped.y + snapped.h >= min(height, box.y + box.h)
    assert snapped.x % 2 == snapped.y % 2 == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, max_size=4), sizes, layouts, st.sampled_from(["solid", "mosaic"]))
def test_nothing_outside_of_the_reported_boxes_changes(
    found: list[Box], size: tuple[int, int], layout: str, kind: str
) -> None:
    """For any boxes, sizes and formats; and a solid inside holds one value."""
    image = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    source = frame(image, layout=layout)
    before = source.picture.reformat(format="gray").to_ndarray().astype(int)
    covers = [Cover(box, number) for number, box in enumerate(found)]
    done = Fill(kind)(source, covers)  # type: ignore[arg-type]
    after = done.picture.reformat(format="gray").to_ndarray().astype(int)
    inside = np.zeros(before.shape, bool)
    for box in done.boxes:
        part = np.s_[int(box.y) : int(box.y + box.h), int(box.x) : int(box.x + box.w)]
        inside[part] = True
    assert (before[~inside] == after[~inside]).all()
    if kind == "solid" and inside.any():
        assert np.ptp(after[inside]) <= 1
    parse_line(line("a", done, 0.0), "here")  # the report takes whatever was destroyed


@settings(max_examples=80, deadline=None)
@given(
    st.floats(20, 400), st.floats(-6, 6), st.floats(8, 60),
    st.lists(st.booleans(), min_size=20, max_size=60),
)  # fmt: skip
def test_a_face_seen_now_and_then_is_covered_from_first_to_last(
    start: float, step: float, size: float, seen: list[bool]
) -> None:
    """In gaps no longer than the policy's, in which it moves by its own size at most."""
    policy = Policy()
    pace = policy.pace([0.0, 1 / 12])
    assume(abs(step) * pace.reach <= size)
    gaps = [len(list(run)) for value, run in itertools.groupby(seen) if not value]
    tracker, covered = Tracker(policy, pace), []
    for number, is_seen in enumerate([*seen, *[False] * pace.ahead]):
        box = Box(start + step * number, 100, size, size, "face", 0.9)
        tracker.see([box] if is_seen else [])
        if number >= pace.ahead:
            covered.append(tracker.settle())
    if not any(seen) or max(gaps, default=0) >= pace.reach:
        return
    first, last = seen.index(True), len(seen) - 1 - seen[::-1].index(True)
    for number in range(first, min(last + 1, len(covered))):
        middle = start + step * number + size / 2
        assert any(c.box.x <= middle <= c.box.x + c.box.w for c in covered[number])


@given(st.integers(1, 20_000))
def test_tiles_cover_every_pixel_and_none_is_too_large(side: int) -> None:
    """No strip between two tiles goes unseen, and neighbours share what a face needs."""
    cuts = _cuts(side)
    assert cuts[0][0] == 0
    assert cuts[-1][1] >= side
    assert all(end - start <= 1280 for start, end in cuts)
    for (_, end), (start, _) in itertools.pairwise(cuts):
        assert end - start >= 150


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_an_input_error(data: bytes) -> None:
    """The report's reader leaks no error of its own."""
    try:
        parse_line(data, "here")
    except InputError:
        return


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF"]),
    st.integers(0, 10**6),
    st.integers(0, 255),
    st.floats(0, 1),
)
def test_an_altered_picture_is_a_picture_or_an_input_error(
    kind: str, at: int, value: int, share: float
) -> None:
    """Pillow's many errors stay inside."""
    whole = io.BytesIO()
    Image.fromarray(canvas(40, 30)).save(whole, kind)
    data = bytearray(whole.getvalue())
    data[at % len(data)] = value
    if share < 0.5:
        del data[int(2 * share * len(data)) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(data)
        try:
            read_picture(path)
        except InputError:
            return
