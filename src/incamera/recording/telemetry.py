# SPDX-License-Identifier: Apache-2.0
"""Telemetry of a drive, out of the packets of one camera's files, without decoding a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import av

from incamera.errors import InputError
from incamera.recording import nal, sei
from incamera.recording.model import Telemetry
from incamera.recording.probe import opened
from incamera.recording.video import Piece

__all__ = ["read_telemetry"]

_PEEK = 120  # packets without any telemetry after which a file is taken to have none


def read_telemetry(choices: Sequence[Piece], faults: list[str]) -> list[Telemetry]:
    """Telemetry of one stretch of time, by time, from the first of ``choices`` that has any.

    ``choices`` are files of several cameras over the same time, best first. A message that cannot
    be read is left out and the file named in ``faults``: its frame then has no fix.
    """
    for piece in choices:
        if found := _of_file(piece, faults):
            return found
    return []


def _of_file(piece: Piece, faults: list[str]) -> list[Telemetry]:
    found: list[Telemetry] = []
    unreadable = 0
    for number, (time, packet, length_size) in enumerate(_packets(piece)):
        if number >= _PEEK and not found and not unreadable:
            break
        try:
            telemetry = sei.find(packet, time, length_size=length_size)
        except InputError:
            unreadable += 1
            continue
        if telemetry is not None:
            found.append(telemetry)
    if unreadable:
        faults.append(f"{piece.probe.path}: telemetry of {unreadable} frames cannot be read")
    found.sort(key=lambda t: t.time)
    return found


def _packets(piece: Piece) -> Iterator[tuple[float, bytes, int | None]]:
    """Time, bytes and size of the lengths (None: Annex B) of each packet of an H.264 file."""
    if piece.probe.codec != "h264":
        return
    with opened(piece.probe.path) as (container, stream):
        length_size = nal.length_size(stream.codec_context.extradata)
        try:
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None and not packet.is_discard:
                    yield piece.time(packet.pts), bytes(packet), length_size
        except av.FFmpegError as error:
            raise InputError(f"{piece.probe.path}: unreadable: {error.strerror}") from error
