# SPDX-License-Identifier: Apache-2.0
"""An unpacked clip as one MCAP file, for Foxglove and for training pipelines that read it."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

from incamera.recording.contents import Contents
from incamera.recording.mcap_writer import write_mcap

__all__ = ["export"]


def export(folder: Path, dest: Path) -> None:
    """Write the clip in ``folder`` to ``dest``; the videos are taken as they are.

    A clip tells no moment but its hour, so its first moment stands at the full hour.
    """
    contents = Contents.parse((folder / "clip.json").read_bytes(), str(folder / "clip.json"))
    hour = datetime.datetime.strptime(f"{contents.hour}+0000", "%Y-%m-%dT%H%z").timestamp()
    write_mcap(
        dest,
        {each.camera: folder / each.file for each in contents.footage},
        start=hour,
        fixes=[replace(each, time=hour + each.time) for each in contents.fixes],
        telemetry=[replace(each, time=hour + each.time) for each in contents.telemetry],
    )
