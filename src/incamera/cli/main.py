# SPDX-License-Identifier: Apache-2.0
"""The ``incamera`` command: assembles the verbs, turns errors into exit codes.

Each verb lives in a module of its own and is loaded when it is called, so ``--help`` stays
quick and ``audit`` runs where no video library is installed.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any, NoReturn

import click

import incamera
from incamera.cli import terminal
from incamera.errors import Error, UnavailableError

__all__ = ["main"]

VERBS = {
    "demo": "The whole journey on a built-in sample drive, in two minutes.",
    "redact": "Destroy faces and plates in pictures, videos or folders of them.",
    "init": "Make a home: one region's vault, log, witnesses, trustees, keys.",
    "ingest": "Select, geofence, redact and seal recordings into the vault.",
    "enrol": "Enrol a reader, car, owner or trustee by its card.",
    "list": "Show what the vault keeps, or the requests in the log.",
    "inspect": "Check a capsule and print its header as JSON.",
    "request": "Ask, in the public log, to read capsules for a purpose.",
    "grant": "Let each trustee decide, alone, on requests.",
    "open": "Combine granted shares into a dataset (folder or MCAP).",
    "erase": "Destroy capsules for good, and say so in the public log.",
    "owner": "See, export and erase what is kept of your own car; sell it.",
    "succession": "Pass shares on to a new set of trustees.",
    "demand": "Record what an authority demanded, for all to see.",
    "addresses": "Show or declare where the region's parties may connect.",
    "report": "Make the transparency report from public data alone.",
    "keys": "Close key files with age, show them, back them up.",
    "tend": "Begin and end the trustees' keys, as witness time says.",
    "audit": "Check everything that is public, as an outsider would.",
    "serve": "Run one party of a region as a server: witness, log, vault, trustee.",
    "car": "Run a car's agent: ingest while it rests, with its owner's consent.",
}


_MODULES = {"open": "open_", "car": "agent"}
"""Where a verb's module is called otherwise: ``open`` is Python's, ``car`` is what a home's is."""


class Verbs(click.Group):
    """Loads a verb's module when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Verbs in the order of the journey."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of ``incamera/cli/<verb>.py``."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"incamera.cli.{_MODULES.get(cmd_name, cmd_name)}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without loading them."""
        del ctx
        with formatter.section("Verbs, in the order of the journey"):
            formatter.write_dl(list(VERBS.items()))


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(incamera.__version__, prog_name="incamera")
def cli() -> None:
    """Car camera recordings that help driver assistance and betray nobody, checkably.

    Start with `incamera demo`, or make one clip safe to share:
    `incamera redact clip.mp4 safe.mp4`.

    Exit codes: 0 done, 2 usage, 3 bad input, 4 integrity or proof failure, 5 refused by policy,
    6 unavailable.
    """


def _run(arguments: list[str]) -> int:
    as_json = "--json" in arguments
    try:
        returned: Any = cli.main(args=arguments, prog_name="incamera", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        terminal.note("interrupted; run the same command again to go on where it stopped")
        return 130
    except BrokenPipeError:
        # The reader of our output went away (`| head`): nothing more to say to anybody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Error as error:
        terminal.fail(error, as_json)
        return error.exit_code
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        told = UnavailableError(f"{where}{error.strerror or error}", hint="see to the disk or path")
        terminal.fail(told, as_json)
        return told.exit_code
    except Exception as error:
        # A fault of ours, not of the input. INCAMERA_DEBUG=1 shows where it happened.
        if os.environ.get("INCAMERA_DEBUG"):
            raise
        terminal.note(f"internal error: {type(error).__name__}: {error}")
        click.echo("hint: set INCAMERA_DEBUG=1, run again, and report what it prints", err=True)
        return 1
    return returned if isinstance(returned, int) else 0


def main() -> NoReturn:
    """Run the command line and exit with the code of the contract."""
    sys.exit(_run(sys.argv[1:]))
