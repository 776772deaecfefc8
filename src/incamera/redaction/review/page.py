# SPDX-License-Identifier: Apache-2.0
"""Writes what a review found as one HTML page that needs no network, and keeps it local.

The page carries its pictures, style and script in itself. Its content security policy allows
exactly that script and style, by their digests, and nothing from elsewhere: a file name with
markup in it stays a file name, and no picture can be sent anywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from string import Template
from typing import Any

from incamera import durable
from incamera.errors import InputError
from incamera.redaction.review.collect import Film, Findings, Still
from incamera.redaction.review.corrections import VERSION
from incamera.redaction.review.questions import Question
from incamera.redaction.review.thumbs import View, encode, small

__all__ = ["PAGE", "check_folder", "render", "write"]

PAGE = "review.html"
_MARK = ".gitignore"
_MARKED = (
    b"# Made by incamera redact --review. The page beside this shows faces and plates: keep it\n"
    b"# to yourself, and delete this folder when you are done.\n*\n"
)
_HERE = Path(__file__).parent
_SCRIPTS = ("tiles.js", "editor.js", "page.js")  # one after the other, as one script


def check_folder(folder: Path, source: Path, dest: Path) -> None:
    """Refuse a place for the page that would be shared, or that holds something else."""
    here = folder.resolve()
    for name, other in (("SOURCE", source.resolve()), ("DEST", dest.resolve())):
        holds = other.is_dir() or source.is_dir()
        if here == other or here in other.parents or (holds and other in here.parents):
            raise InputError(
                f"{folder}: the review and {name} lie in one another",
                hint="the review shows what is hidden in DEST: name a folder of its own",
            )
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is not a folder", hint="name a new folder for the review")
    if folder.is_dir() and any(folder.iterdir()) and not _ours(folder):
        raise InputError(
            f"{folder}: holds files that no review has made", hint="name a new or empty folder"
        )


def _ours(folder: Path) -> bool:
    mark = folder / _MARK
    return mark.is_file() and not mark.is_symlink() and mark.read_bytes() == _MARKED


def write(findings: Findings, folder: Path, command: str) -> Path:
    """Put the page into ``folder``, readable by its owner only; returns its path.

    ``command``: what applies the corrections, as the person would type it.
    """
    data = render(findings, command)
    durable.folder(folder, 0o700)
    folder.chmod(0o700)
    durable.write(folder / _MARK, _MARKED, mode=0o600)
    durable.write(folder / PAGE, data, mode=0o600)
    return folder / PAGE


def render(findings: Findings, command: str) -> bytes:
    """The page, UTF-8."""
    style = _text("page.css")
    script = "\n".join(_text(name) for name in _SCRIPTS)
    filled = Template(_text("page.html")).substitute(
        style=style,
        script=script,
        style_digest=_source(style),
        script_digest=_source(script),
        data=_data(findings, command),
    )
    return filled.encode("utf-8")


def _text(name: str) -> str:
    return (_HERE / name).read_text("utf-8")


def _source(text: str) -> str:
    """What stands between two tags, as a source of the content security policy."""
    value = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(value).decode('ascii')}'"


def _data(findings: Findings, command: str) -> str:
    """JSON that cannot leave its script element, whatever files are called."""
    films = list(findings.films)
    value = {
        "version": VERSION,
        "settings": findings.settings,
        "command": command,
        "films": [_film(name, findings.films[name]) for name in films],
        "covered": [_question(each, films) for each in findings.questions.covered],
        "missed": [_question(each, films) for each in findings.questions.missed],
        "left_out": [findings.questions.left_out[True], findings.questions.left_out[False]],
        "stills": [_still(each, films) for each in findings.stills],
    }
    text = json.dumps(value, separators=(",", ":"))  # ASCII: U+2028 is escaped like all others
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def _film(name: str, film: Film) -> dict[str, Any]:
    spent = film.times[1] - film.times[0]
    return {
        "name": name,
        "digest": film.digest,
        "frames": film.frames,
        "width": film.width,
        "height": film.height,
        "step": spent / (film.frames - 1) if film.frames > 1 else 0.0,  # seconds a frame
    }


def _question(question: Question, films: list[str]) -> dict[str, Any]:
    keys = question.course.keys
    return {
        "film": films.index(question.source),
        "kind": question.kind,
        "score": round(question.score, 3),
        "sights": question.sights,
        "boxes": [[key.frame, key.x, key.y, key.w, key.h] for key in keys],
        "clearest": question.clearest,
        "views": [_view(v, i == question.clearest) for i, v in enumerate(question.views)],
    }


def _view(view: View, large: bool) -> dict[str, Any]:
    return {
        "frame": view.frame,
        "image": encode(view.image if large else small(view.image)),
        "box": [round(share, 4) for share in view.box],
    }


def _still(still: Still, films: list[str]) -> dict[str, Any]:
    return {
        "film": films.index(still.source),
        "frame": still.frame,
        "image": still.image,
        "turns": still.turns,
    }
