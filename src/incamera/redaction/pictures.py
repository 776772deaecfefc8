# SPDX-License-Identifier: Apache-2.0
"""Single pictures in and out: JPEG, PNG, WebP, BMP, TIFF, told by content.

In: the orientation of EXIF is applied, sixteen bits become eight, CMYK becomes RGB, and what is
transparent is laid on white (under full transparency whole pictures have been hidden). A file
with several pictures in it is refused: only the first would be looked at. Phones' MPO files
are the exception: their first picture is the photo, the others (previews, depth) are dropped.

Out: a new file made of redacted pixels only. No EXIF, XMP, ICC profile, comment or thumbnail.
"""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, Final

import av
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from incamera.errors import InputError
from incamera.recording.model import Frame, RedactedFrame

__all__ = ["EXTENSIONS", "read_picture", "write_picture"]

EXTENSIONS: Final = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".png": "PNG", ".webp": "WEBP",
    ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip

_READ = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
_SAVE: Final[dict[str, dict[str, object]]] = {
    "JPEG": {"quality": 95, "subsampling": 0, "optimize": True},
    "PNG": {"compress_level": 4},
    "WEBP": {"quality": 95},
    "BMP": {},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_MOST_PIXELS = 200_000_000  # 600 MB as RGB
_TIFF_PARTS = 330  # SubIFDs: raw photos keep a preview in front and the picture behind


def read_picture(path: Path) -> tuple[Frame, str]:
    """The picture at ``path`` as frame 0, upright, and its format (a value of EXTENSIONS).

    Raises :class:`InputError` if it is empty, cut off, no picture, animated, or too large.
    """
    # Pillow remarks on odd metadata, which is dropped. (catch_warnings is not for threads.)
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        with Image.open(path, formats=_READ) as image:
            kind = "JPEG" if image.format == "MPO" else str(image.format)
            _check(path, image)
            image.load()
            upright = _eight_bit(path, ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        raise InputError(
            f"{path}: not a picture that can be read", hint="JPEG, PNG, WebP, BMP and TIFF can be"
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, TypeError, KeyError) as error:
        raise InputError(f"{path}: damaged or cut off: {error}") from error
    except (Image.DecompressionBombError, OverflowError) as error:
        raise InputError(f"{path}: too large for a picture: {error}") from error
    pixels = np.ascontiguousarray(upright)
    try:
        picture = av.VideoFrame.from_ndarray(pixels, format="gray" if pixels.ndim == 2 else "rgb24")
    except av.FFmpegError as error:  # no pixels, or a side that no decoder would take
        size = f"{upright.width} x {upright.height}"
        raise InputError(f"{path}: not a picture's size: {size} pixels") from error
    return Frame(path.name, 0, 0, Fraction(1), 0.0, picture), kind


def _check(path: Path, image: Image.Image) -> None:
    if image.width * image.height > _MOST_PIXELS:
        raise InputError(f"{path}: too large: {image.width} x {image.height} pixels")
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        raise InputError(
            f"{path}: holds several pictures, of which only one would be redacted",
            hint="turn an animation into a video first, or split the pages",
        )
    if image.format == "TIFF" and _TIFF_PARTS in getattr(image, "tag_v2", {}):
        raise InputError(f"{path}: a raw photo", hint="develop it to JPEG, PNG or plain TIFF first")


def _eight_bit(path: Path, image: Image.Image) -> Image.Image:
    """``image`` as grey or RGB of eight bits, nothing transparent in it."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in {"I", "F"}:
        raise InputError(
            f"{path}: {image.mode} pixels have no agreed range",
            hint="convert it to 8 or 16 bits a sample first",
        )
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if image.mode in {"1", "L"} else "RGB")


def write_picture(frame: RedactedFrame, file: BinaryIO, kind: str) -> None:
    """Encode a redacted picture as ``kind``: a value of EXTENSIONS."""
    layout = "gray" if frame.picture.format.name == "gray" else "rgb24"
    image = Image.fromarray(frame.picture.to_ndarray(format=layout))
    try:
        image.save(file, kind, **_SAVE[kind])
    except ValueError as error:  # a side beyond what the format can count
        raise InputError(f"{frame.camera}: cannot be written as {kind}: {error}") from error
