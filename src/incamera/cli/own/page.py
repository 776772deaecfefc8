# SPDX-License-Identifier: Apache-2.0
"""An export as one HTML page: no script, nothing fetched but the files beside it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from incamera.cli.own.times import minute

__all__ = ["page"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
section { border-top: 1px solid #8888; padding: 1rem 0; }
video { max-width: 20rem; width: 100%; background: #000; }
figure { display: inline-block; margin: .5rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem .8rem .2rem 0; }
code { word-break: break-all; } .bad { color: #c00; }
"""


def _text(value: object) -> str:
    return html.escape(str(value))


def page(document: Mapping[str, Any]) -> str:
    """The page of a manifest (:mod:`incamera.cli.own.export`)."""
    name = f"What {document['region']} keeps of {document['owner']}"
    capsules = sorted(document["capsules"], key=lambda each: each["header"]["hour"])
    parts = [
        f"<h1>{_text(name)}</h1>",
        _about(document, len(capsules)),
        _damaged(document["damaged"]),
        _reads(document["reads"]),
        *(_clip(each) for each in capsules),
    ]
    return (
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        f'<meta name=viewport content="width=device-width">\n<title>{_text(name)}</title>\n'
        f"<style>{_STYLE}</style>\n{chr(10).join(filter(None, parts))}\n</html>\n"
    )


def _about(document: Mapping[str, Any], count: int) -> str:
    log = document["log"]
    return (
        f"<p>{count} clips, made {_text(minute(document['made']))} under {log['size']} entries of "
        f"the log {_text(log['origin'])}. <a href=manifest.json>manifest.json</a> has all of it "
        "for programs; each proof is checked against <a href=tlog-policy>tlog-policy</a>.</p>"
    )


def _damaged(found: Sequence[Mapping[str, str]]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<li><code>{_text(each['capsule'])}</code>: {_text(each['why'])}" for each in found
    )
    return f"<section class=bad><h2>Could not be had</h2><ul>{rows}</ul></section>"


def _reads(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return "<section><h2>Who asked to read</h2><p>Nobody.</p></section>"
    rows = "".join("<tr>" + "".join(f"<td>{cell}" for cell in _read(each)) for each in found)
    head = "".join(
        f"<th>{each}"
        for each in ("reader", "what it is", "purpose", "when", "clips", "granted by", "proofs")
    )
    return f"<section><h2>Who asked to read</h2><table><tr>{head}{rows}</table></section>"


def _read(each: Mapping[str, Any]) -> list[str]:
    granted = ", ".join(one["trustee"] for one in each["granted"]) or "nobody"
    return [
        _text(each["reader"]),
        _text(f"{each['kind']}, {each['country']}"),
        _text(each["purpose"]),
        _text(minute(each["time"])),
        str(len(each["capsules"])),
        _text(granted),
        " ".join(_link(path, path.split("/")[-1].split(".")[0]) for path in each["proofs"]),
    ]


def _link(path: str, what: str) -> str:
    return f'<a href="{_text(path)}">{_text(what)}</a>'


def _clip(each: Mapping[str, Any]) -> str:
    header, folder = each["header"], each["folder"]
    paths = [f"{folder}/{one['path']}" for one in each["files"]]
    films = "".join(
        f'<figure><video controls preload=none src="{_text(path)}"></video>'
        f"<figcaption>{_text(path.split('/')[-1])}</figcaption></figure>"
        for path in paths
        if path.endswith(".mp4")
    )
    others = " ".join(
        _link(path, path.split("/")[-1]) for path in paths if not path.endswith(".mp4")
    )
    proof = _link(each["proof"], f"log entry {each['index']}") if each["proof"] else "not logged"
    facts = (
        f"{header['duration']} s; {', '.join(header['tags'])}; "
        f"for {', '.join(header['purposes'])} until {minute(header['expires'])}; "
        f"{'kept' if each['kept'] else 'not kept any more'}; asked for {len(each['reads'])} times"
    )
    return (
        f"<section><h2>{_text(header['hour'])} {_text(header['vehicle'])}</h2><p>{_text(facts)}; "
        f"{proof}</p>{films}<p>{others}</p><p><code>{_text(each['capsule'])}</code></p></section>"
    )
