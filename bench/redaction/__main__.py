# SPDX-License-Identifier: Apache-2.0
"""How well and how fast faces and plates are found, followed and covered: `make bench-redaction`.

    python -m bench.redaction [--data ../shared/data] [--parts pictures,composites,...]

The parts are described in their modules. The last line on stdout is one line of JSON:
{"bench": "redaction", "machine": ..., "<part>": {...}}; a part that cannot run says why under its
name. Progress goes to stderr. Only one thing at a time should run on the machine: the figures of
peers hold against ours because they come from the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.redaction import composites
from incamera.errors import Error

PARTS = ("composites",)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.redaction", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path("../cache"), help="of training.teacher")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--set", choices=("dev", "eval"), default="eval", help="of composites")
    parser.add_argument("--limit", type=int, help="films, or pictures of each set")
    parser.add_argument("--keep", type=Path, help="keep films, truth, report and sheet of leaks")
    return parser.parse_args(arguments)


def films(args: argparse.Namespace) -> dict[str, Any]:
    """Composites."""
    return composites.run(args.data, args.cache, args.set, limit=args.limit, keep=args.keep)


RUN: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {"composites": films}


def main() -> None:
    """Run the parts asked for."""
    args = parsed()
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    out: dict[str, Any] = {"bench": "redaction", "machine": machine}
    for part in args.parts.split(","):
        print(f"{part} ...", file=sys.stderr)
        try:
            out[part] = RUN[part](args)
        except (OSError, ImportError, Error) as error:
            out[part] = {"not_run": str(error)}
        print(part, json.dumps(out[part]), file=sys.stderr)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
