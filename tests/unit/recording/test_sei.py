# SPDX-License-Identifier: Apache-2.0
"""Tesla's SEI telemetry: both ways, against a peer, and with damage."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
import tesla_extractor
from hypothesis import given, settings
from hypothesis import strategies as st

from incamera.errors import InputError
from incamera.recording import sei
from incamera.recording.model import Fix, Telemetry

SINGLE = st.floats(-500, 500, width=32)
DOUBLE = st.floats(-100, 100)
FULL = Telemetry(
    time=7.0,
    speed=13.25,
    steering=-12.5,
    accelerator=35.0,
    brake=True,
    gear=1,
    blinker_left=True,
    blinker_right=True,
    autopilot=2,
    acceleration=(0.1, -2.0, 9.81),
    sequence=2**40,
    fix=Fix(7.0, 52.5, -13.4, 271.5, 13.25),
)


@st.composite
def telemetry(draw: st.DrawFn) -> Telemetry:
    """Any telemetry that ``SeiMetadata`` can hold."""
    speed = draw(SINGLE)
    fix = Fix(
        0.0,
        draw(st.floats(-90, 90)),
        draw(st.floats(-180, 180).filter(lambda x: x != 0)),
        draw(st.floats(0, 359.5)),
        speed,
    )
    return Telemetry(
        time=0.0,
        speed=speed,
        steering=draw(SINGLE),
        accelerator=draw(SINGLE),
        brake=draw(st.booleans()),
        gear=draw(st.integers(0, 3)),
        blinker_left=draw(st.booleans()),
        blinker_right=draw(st.booleans()),
        autopilot=draw(st.integers(0, 3)),
        acceleration=draw(st.tuples(DOUBLE, DOUBLE, DOUBLE)),
        sequence=draw(st.integers(0, 2**64 - 1)),
        fix=draw(st.none() | st.just(fix)),
    )


def unit_of(body: bytes, marker: bytes = b"\x42\x42\x42\x69") -> bytes:
    """An SEI NAL unit around ``body``, which has no bytes to escape."""
    payload = marker + body
    size = b"\xff" * (len(payload) // 255) + bytes([len(payload) % 255])
    return b"\x06\x05" + size + payload + b"\x80"


@settings(max_examples=150)
@given(telemetry())
def test_what_is_written_reads_back_the_same(sample: Telemetry) -> None:
    """Every field survives the way into an SEI unit and out again, and no start code appears."""
    unit = sei.encode(sample)
    assert sei.parse(unit) == sample
    assert b"\x00\x00\x01" not in unit
    assert b"\x00\x00\x00" not in unit


@settings(max_examples=60)
@given(telemetry())
def test_a_reader_written_from_teslas_own_finds_the_same(sample: Telemetry) -> None:
    """The peer strips and decodes our unit to the same message."""
    body = tesla_extractor.body_of(sei.encode(sample))
    assert body is not None
    message = tesla_extractor._decode(body)
    assert message.get("vehicle_speed_mps", 0.0) == sample.speed
    assert message.get("frame_seq_no", 0) == sample.sequence
    assert message.get("longitude_deg", 0.0) == (sample.fix.longitude if sample.fix else 0.0)


def test_a_message_written_by_hand_is_read() -> None:
    """Short marker, one size byte, floats and doubles, an escaped run of zeros."""
    body = b"\x08\x01\x10\x01\x25" + struct.pack("<f", 8.5) + b"\x59" + struct.pack("<d", 48.25)
    unit = unit_of(body)
    escaped = unit.replace(b"\x00\x00\x00", b"\x00\x00\x03\x00")
    assert escaped != unit
    found = sei.parse(escaped, 3.0)
    assert found == Telemetry(time=3.0, speed=8.5, gear=1, fix=Fix(3.0, 48.25, 0.0, 0.0, 8.5))


def test_long_payloads_use_more_size_bytes() -> None:
    """Past 254 bytes the size is a run of FF and a rest; unknown fields are skipped."""
    body = b"\x08\x01\x25" + struct.pack("<f", 2.5) + b"\xfa\x01\xac\x02" + b"x" * 300
    unit = unit_of(body)
    assert unit[2] == 0xFF
    found = sei.parse(unit)
    assert found is not None
    assert found.speed == 2.5


def test_a_size_that_does_not_fit_is_passed_over() -> None:
    """As in Tesla's reader, the trailing bit ends the message where the size is wrong."""
    unit = bytearray(sei.encode(FULL))
    unit[2] = 0xFE
    assert sei.parse(bytes(unit), 7.0) == FULL


def test_other_units_are_not_ours() -> None:
    """Slices, other user data, and units too short to say give None."""
    x264 = b"\x06\x05\x20" + bytes(range(1, 33)) + b"\x80"
    for unit in (
        b"",
        b"\x06",
        b"\x06\x05",
        b"\x06\x05\xff",
        b"\x65\x88",
        x264,
        b"\x06\x01\x01\x80",
    ):
        assert sei.parse(unit) is None
    assert sei.parse(b"\x06\x05\x04\x42\x42\x42\x69") is None


def test_no_position_or_an_impossible_one_is_no_fix() -> None:
    """Zeros, NaN and places off the Earth all read as no fix, which the geofence drops."""
    for latitude, longitude in ((0.0, 0.0), (float("nan"), 8.0), (91.0, 8.0), (8.0, -181.0)):
        found = sei.parse(sei.encode(Telemetry(0.0, fix=Fix(0.0, latitude, longitude))))
        assert found is not None
        assert found.fix is None


def test_numbers_that_are_none_are_refused() -> None:
    """A speed or acceleration of NaN or infinity is bad input, not a value."""
    bad = (Telemetry(0.0, speed=float("nan")), Telemetry(0.0, acceleration=(0, float("inf"), 0)))
    for sample in bad:
        with pytest.raises(InputError, match="not a number"):
            sei.parse(sei.encode(sample))
    with pytest.raises(InputError, match="does not fit"):
        sei.encode(Telemetry(0.0, sequence=-1))


@settings(max_examples=300)
@given(st.binary(max_size=60), st.integers(0, 200), st.integers(0, 255))
def test_damage_gives_our_error_or_a_value(extra: bytes, at: int, value: int) -> None:
    """Any bytes behind the marker, any changed byte, any cut: a value, None, or InputError."""
    whole = bytearray(sei.encode(FULL))
    whole[at % len(whole)] = value
    for unit in (bytes(whole), bytes(whole[: at % len(whole)]), unit_of(extra), extra):
        try:
            found = sei.parse(unit)
        except InputError:
            continue
        assert found is None or isinstance(found, Telemetry)


@settings(max_examples=200)
@given(st.binary(max_size=80), st.integers(1, 4))
def test_any_packet_gives_units_or_our_error(data: bytes, length_size: int) -> None:
    """Both splitters and the finder are total: units, or InputError."""
    try:
        units = list(sei.avcc_units(data, length_size))
        assert sum(map(len, units)) + length_size * len(units) == len(data)
        sei.find(data, length_size=length_size)
    except InputError as error:
        assert "cut off" in str(error) or "SEI" in str(error)  # noqa: PT017  either outcome is right
    assert all(unit in data for unit in sei.annexb_units(data))


def test_telemetry_goes_before_its_picture() -> None:
    """Inserted behind parameter sets and other SEI, before the slice; found there in both forms."""
    parts = [b"\x67sps", b"\x68pps", b"\x06\x05\x03abc\x80", b"\x65slice", b"\x65slice2"]
    packet = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    unit = sei.encode(FULL)
    filled = sei.insert(packet, unit)
    assert list(sei.avcc_units(filled)) == [*parts[:3], unit, *parts[3:]]
    assert sei.find(filled, 7.0) == FULL
    assert sei.find(packet) is None
    stream = b"".join(b"\x00\x00\x00\x01" + part for part in sei.avcc_units(filled))
    assert list(sei.annexb_units(stream)) == [*parts[:3], unit, *parts[3:]]
    assert sei.find(stream, 7.0, length_size=None) == FULL
    plain = b"".join(b"\x00\x00\x00\x01" + part for part in parts)
    filled = sei.insert(plain, unit, length_size=None)
    assert list(sei.annexb_units(filled)) == [*parts[:3], unit, *parts[3:]]
    lonely = sei.insert(b"\x00\x00\x01\x67sps", unit, length_size=None)
    assert list(sei.annexb_units(lonely)) == [b"\x67sps", unit]


def test_the_peer_walks_an_mp4(tmp_path: Path) -> None:
    """The published walk (boxes, lengths, units) finds our unit in a minimal file."""
    unit = sei.encode(FULL)
    packet = sei.insert((6).to_bytes(4, "big") + b"\x65slice", unit)
    boxes = (
        struct.pack(">I4s", 12, b"ftyp") + b"isom" + struct.pack(">I4s", 8 + len(packet), b"mdat")
    )
    (tmp_path / "clip.mp4").write_bytes(boxes + packet)
    (message,) = tesla_extractor.extract(tmp_path / "clip.mp4")
    assert message["autopilot_state"] == 2
    assert message["brake_applied"] == 1
    assert message["linear_acceleration_mps2_y"] == -2.0
