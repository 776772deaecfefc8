# SPDX-License-Identifier: Apache-2.0
"""How well and how fast faces and plates are found, followed and covered: `make bench-redaction`.

    python -m bench.redaction [--data ../shared/data] [--parts pictures,composites,...]

Parts: ``pictures`` (coverage of labelled pictures, with peers), ``composites`` (frames and tracks
leaked in films with exact truth), ``speed``, ``memory``, ``annexb`` (GB/T 44464-2024, on your own
labels); each is described in its module. The last line on stdout is one line of JSON:
{"bench": "redaction", "machine": ..., "<part>": {...}}. A part that cannot run says why under
"not_run"; if only such parts were asked for, the exit code is that of the last one's error.
Progress goes to stderr. Let nothing else run on the machine: times are only compared with times of
the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.redaction import annexb, composites, memory, pictures, speed
from incamera.errors import Error

Part = Callable[[argparse.Namespace], Mapping[str, Any]]


def _pictures(args: argparse.Namespace) -> Mapping[str, Any]:
    return pictures.run(
        args.data,
        limit=args.limit,
        peers=args.peers,
        faces=args.face_peers.split(","),
        threads=args.threads,
    )


def _composites(args: argparse.Namespace) -> Mapping[str, Any]:
    # Frame by frame with its own threshold and mask is what deface does; others are libraries.
    peers = pictures.face_peers({pictures.DEFACE} & set(args.face_peers.split(",")))
    return composites.run(
        args.data,
        args.cache,
        args.set,
        limit=args.limit,
        keep=args.keep,
        peers=peers,
        background=args.background,
    )


PARTS: dict[str, Part] = {
    "pictures": _pictures,
    "composites": _composites,
    "speed": lambda args: speed.run(args.data, deface=args.deface, limit=args.limit),
    "memory": lambda args: memory.run(args.data, seconds=args.seconds),
    "annexb": lambda args: annexb.run(args.labels, args.report),
}


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.redaction", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"), help="of training.teacher")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--set", choices=("dev", "eval"), default="eval", help="of composites")
    parser.add_argument("--limit", type=int, help="films, pictures of a set, frames of speed")
    parser.add_argument("--keep", type=Path, help="keep films, truth, report and sheet of leaks")
    parser.add_argument("--background", action="store_true", help="measure empty films too")
    parser.add_argument("--peers", type=Path, help="folder of plate detectors as *.onnx")
    parser.add_argument("--face-peers", default="deface,yuface", help="of peers_faces.py")
    parser.add_argument("--deface", type=Path, help="the deface command")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=60.0, help="of memory, each camera")
    parser.add_argument("--labels", type=Path, help="of annexb")
    parser.add_argument("--report", type=Path, help="of annexb")
    args = parser.parse_args(arguments)
    if unknown := set(args.parts.split(",")) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return args


def main() -> int:
    """Run the parts asked for."""
    args = parsed()
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    out: dict[str, Any] = {"bench": "redaction", "machine": machine}
    code, ran = 0, False
    for part in args.parts.split(","):
        print(f"{part} ...", file=sys.stderr)
        try:
            out[part] = PARTS[part](args)
            ran = True
        except Error as error:
            out[part] = {"not_run": str(error)}
            code = error.exit_code
        except (OSError, ImportError) as error:  # data or a peer is not there
            out[part] = {"not_run": str(error)}
            code = 6
        print(part, json.dumps(out[part]), file=sys.stderr)
    print(json.dumps(out))
    return 0 if ran else code


if __name__ == "__main__":
    sys.exit(main())
