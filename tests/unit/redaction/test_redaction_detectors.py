# SPDX-License-Identifier: Apache-2.0
"""The detectors that are shipped: all of them or none, and nothing is found again afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from incamera.errors import UnavailableError
from incamera.redaction import Redactor, centerface, redact_path
from incamera.redaction.detectors import default_detectors
from redacting import film, pictures

CLIPS = Path(__file__).parents[4] / "shared" / "data" / "clips"


def test_faces_and_plates_are_both_looked_for() -> None:
    """Two detectors, two sets of weights, both named for the capsule."""
    assert len(default_detectors()) == 2
    assert len(Redactor().models()) == 2


def test_half_of_the_detectors_is_not_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without one of the weights, or the runtime, nothing is redacted at all."""
    monkeypatch.setattr(centerface, "find_weights", lambda: tmp_path / "none.onnx")
    with pytest.raises(UnavailableError):
        default_detectors()
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UnavailableError) as caught:
        default_detectors()
    assert caught.value.hint


def test_the_runtime_does_not_call_home() -> None:
    """OpenVINO tells a server abroad that it runs if it finds its telemetry: it must not."""
    code = (
        "import sys\n"
        "from incamera.redaction.detectors import default_detectors\n"
        "default_detectors()\n"
        "assert sys.modules['openvino']\n"
        "assert sys.modules.get('openvino_telemetry') is None\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "assert 'stub' in telemetry_utils.tm.__name__\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.data
def test_no_face_is_found_in_what_was_redacted(tmp_path: Path) -> None:
    """The attack of the standard: the detector itself looks at the output."""
    path = CLIPS / "egoblur-person.mp4"
    if not path.exists():
        pytest.skip("needs ../shared/data")
    images = [np.ascontiguousarray(image[::2, ::2]) for image in pictures(path)[:60:6]]
    source = film(tmp_path / "a.mp4", images)
    outcome = redact_path(source, tmp_path / "b.mp4")
    assert outcome.frames == 10
    assert outcome.boxes >= 10
    again = centerface.CenterFace()
    assert all(any(b.score > 0.5 for b in again.detect(image)) for image in images)
    for image in pictures(tmp_path / "b.mp4"):
        assert not [b for b in again.detect(image) if b.score > 0.3]
