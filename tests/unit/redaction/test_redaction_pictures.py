# SPDX-License-Identifier: Apache-2.0
"""Pictures in and out: upright, eight bits, and nothing in the file but pixels."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from incamera.errors import InputError
from incamera.redaction.fill import Fill
from incamera.redaction.pictures import read_picture, write_picture
from redacting import canvas

SECRET = "48.85837 N 2.29448 E"


def pixels(path: Path) -> NDArray[np.uint8]:
    frame, _ = read_picture(path)
    return np.asarray(frame.picture.to_ndarray(format="rgb24"), np.uint8)


def corner(width: int = 40, height: int = 30) -> NDArray[np.uint8]:
    """Red in the upper left, to see which way is up."""
    return canvas(width, height, patches=[(0, 0, 12, 12)])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_content_decides_and_comes_back_in_its_own_format(tmp_path: Path, kind: str) -> None:
    """The name of a file does not matter; its size and pixels stay."""
    path = tmp_path / "picture.dat"
    more = {"lossless": True} if kind == "WEBP" else {}
    Image.fromarray(corner()).save(path, kind, **more)
    frame, found = read_picture(path)
    assert found == kind
    assert (frame.picture.width, frame.picture.height) == (40, 30)
    out = io.BytesIO()
    write_picture(Fill()(frame, []), out, found)
    again = Image.open(io.BytesIO(out.getvalue()))
    assert again.format == kind
    assert again.size == (40, 30)
    difference = np.abs(np.asarray(again.convert("RGB")).astype(int) - corner().astype(int))
    assert difference.mean() < 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied_to_the_pixels(tmp_path: Path, orientation: int) -> None:
    """What is seen is what is looked at, and it needs no tag to be upright."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(corner()).save(path, quality=95, exif=exif.tobytes())
    seen = pixels(path)
    assert seen.shape[:2] == ((30, 40) if orientation < 5 else (40, 30))
    rows, columns = np.nonzero((seen[..., 0] > 150) & (seen[..., 1] < 90))
    upper, left = rows.mean() < seen.shape[0] / 2, columns.mean() < seen.shape[1] / 2
    assert (upper, left) == {
        1: (True, True), 2: (True, False), 3: (False, False), 4: (False, True),
        5: (True, True), 6: (True, False), 7: (False, False), 8: (False, True),
    }[orientation]  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_metadata_survives(tmp_path: Path, kind: str) -> None:
    """EXIF with GPS, XMP, comments, text, colour profile and resolution: all gone."""
    exif = Image.Exif()
    exif[0x010E] = SECRET
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (48.0, 51.0, 30.0)
    more: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": SECRET.encode()}
    if kind == "JPEG":
        more["comment"] = SECRET.encode()
    if kind == "PNG":
        more["pnginfo"] = PngInfo()
        more["pnginfo"].add_text("place", SECRET)  # type: ignore[attr-defined]
    if kind == "TIFF":
        tags = ImageFileDirectory_v2()
        tags[270] = SECRET
        more = {"tiffinfo": tags}
    path = tmp_path / "tagged"
    Image.fromarray(corner()).save(path, kind, dpi=(300, 300), **more)
    assert SECRET.encode() in path.read_bytes()
    frame, found = read_picture(path)
    out = io.BytesIO()
    write_picture(Fill()(frame, []), out, found)
    assert SECRET.encode() not in out.getvalue()
    again = Image.open(io.BytesIO(out.getvalue()))
    layout = {"jfif", "jfif_version", "jfif_unit", "jfif_density", "dpi", "resolution"}
    layout |= {"compression", "loop", "background", "timestamp", "duration"}
    assert set(again.info) <= layout
    if kind != "TIFF":
        assert not dict(again.getexif())


def test_what_is_transparent_is_laid_on_white(tmp_path: Path) -> None:
    """A face hidden under full transparency does not come out again."""
    hidden = np.dstack([corner(), np.full((30, 40), 255, np.uint8)])
    hidden[:12, :12, 3] = 0
    for name in ("a.png", "a.webp"):
        Image.fromarray(hidden).save(tmp_path / name, lossless=True, exact=True)
        assert (pixels(tmp_path / name)[:12, :12] == 255).all()
    palette = Image.fromarray(corner()).convert("P")
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    assert (pixels(tmp_path / "p.png")[:10, :10] == 255).all()


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    """Grey of 16 bits is scaled, not clipped."""
    deep = (np.arange(40 * 30).reshape(30, 40) * 54).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    frame, _ = read_picture(tmp_path / "deep.png")
    assert frame.picture.format.name == "gray"
    assert (frame.picture.to_ndarray(format="gray") == deep >> 8).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LA", "RGBA"])
def test_every_usual_mode_is_read(tmp_path: Path, mode: str) -> None:
    """Grey stays grey; CMYK and palettes become RGB."""
    kind = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    Image.fromarray(corner()).convert(mode).save(tmp_path / "x", kind)
    frame, _ = read_picture(tmp_path / "x")
    assert frame.picture.format.name == ("gray" if mode in {"1", "L"} else "rgb24")
    if mode in {"CMYK", "RGBA", "P"}:
        seen = frame.picture.to_ndarray(format="rgb24")
        assert np.abs(seen[4, 4].astype(int) - [255, 0, 0]).max() < 40


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF"])
def test_several_pictures_in_one_file_are_refused(tmp_path: Path, kind: str) -> None:
    """Only the first would have been looked at."""
    frames = [Image.fromarray(corner()), Image.fromarray(canvas(40, 30, [(20, 10, 9, 9)]))]
    frames[0].save(tmp_path / "many", kind, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError) as caught:
        read_picture(tmp_path / "many")
    assert caught.value.hint


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 0.97])
def test_a_cut_off_picture_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    """Grey where pixels are missing must not pass for a picture."""
    noise = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, kind)
    data = whole.getvalue()
    (tmp_path / "cut").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="cut"):
        read_picture(tmp_path / "cut")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    """Text, missing files and folders."""
    (tmp_path / "text.jpg").write_text("not a picture")
    for path in (tmp_path / "text.jpg", tmp_path / "none.jpg", tmp_path):
        with pytest.raises(InputError):
            read_picture(path)


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    """A few bytes can declare a picture of gigabytes."""
    data = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", b"\0\1\0\0\0\1\0\0\x08\x02\0\0\0"), (b"IDAT", b"x")):
        data += len(body).to_bytes(4, "big") + name + body
        data += zlib.crc32(name + body).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    with pytest.raises(InputError, match="large"):
        read_picture(tmp_path / "bomb.png")


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    """Their range is anybody's guess."""
    Image.fromarray(np.ones((30, 40), np.float32)).save(tmp_path / "f.tiff")
    with pytest.raises(InputError, match="range"):
        read_picture(tmp_path / "f.tiff")
