# SPDX-License-Identifier: Apache-2.0
"""The report: one strict line a frame, as docs/formats/report.md and the contract say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from incamera.errors import InputError
from incamera.recording.model import Box
from incamera.redaction.fill import Fill
from incamera.redaction.model import Cover
from incamera.redaction.report import line, parse_line, read_report
from redacting import canvas, frame

GOOD: dict[str, Any] = {
    "source": "rel/path.mp4", "frame": 17, "time": 0.566667, "width": 96, "height": 64,
    "boxes": [
        {"x": 2, "y": 4, "w": 32, "h": 40, "kind": "face", "score": 0.93, "via": "detected"}
    ],
}  # fmt: skip


def altered(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode() + b"\n"


def boxed(**changes: Any) -> bytes:
    return altered(boxes=[{**GOOD["boxes"][0], **changes}])


def test_a_line_has_the_keys_of_the_contract_in_their_order() -> None:
    """Scripts outside of this repository read these names."""
    box = Box(2.5, 4.1, 30, 38, "face", 0.934567, "tracked")
    redacted = Fill()(frame(canvas(), index=17), [Cover(box, 0)])
    data = line("rel/path.mp4", redacted, 17 / 30)
    assert data == (
        b'{"source": "rel/path.mp4", "frame": 17, "time": 0.566667, "width": 96, "height": 64, '
        b'"boxes": [{"x": 2, "y": 4, "w": 32, "h": 40, "kind": "face", "score": 0.9346, '
        b'"via": "tracked"}]}\n'
    )


def test_what_is_written_reads_back() -> None:
    """A line parses to what it was made of."""
    read = parse_line(altered(), "here")
    assert (read.source, read.frame, read.time, read.width, read.height) == (
        "rel/path.mp4", 17, 0.566667, 96, 64,
    )  # fmt: skip
    assert read.boxes == (Box(2, 4, 32, 40, "face", 0.93, "detected"),)


def test_a_name_that_is_no_utf8_makes_a_line_all_the_same() -> None:
    """File names are bytes: an odd one must not stop the run."""
    data = line("caf\udce9.jpg", Fill()(frame(canvas()), []), 0.0)
    assert parse_line(data, "here").source == "caf\udce9.jpg"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b"null\n",
        altered()[:-1],
        altered()[:-3] + b"\n",
        altered(more=1),
        altered(source=5),
        altered(frame=-1),
        altered(frame=1.0),
        altered(frame=True),
        altered(time=-0.1),
        altered(time="0"),
        altered(width=0),
        altered(boxes={}),
        altered(boxes=[5]),
        boxed(x=-1),
        boxed(x=90),
        boxed(w=0),
        boxed(h=61),
        boxed(kind="person"),
        boxed(via="guessed"),
        boxed(score=1.1),
        boxed(score=None),
        boxed(track=1),
        altered().replace(b"0.566667", b"NaN"),
        altered().replace(b'"frame": 17', b'"frame": 17, "frame": 18'),
    ],
)
def test_a_line_that_is_not_quite_one_is_refused(data: bytes) -> None:
    """Strict in what is accepted: the reader is what tests rely on."""
    with pytest.raises(InputError):
        parse_line(data, "here")


def test_a_torn_report_is_noticed(tmp_path: Path) -> None:
    """The error names the line."""
    path = tmp_path / "report.jsonl"
    path.write_bytes(altered() + altered()[:20])
    with pytest.raises(InputError, match="line 2"):
        list(read_report(path))
    with pytest.raises(InputError):
        list(read_report(tmp_path / "missing.jsonl"))
