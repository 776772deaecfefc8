# SPDX-License-Identifier: Apache-2.0
"""``incamera keys``: close key files, look at them, back them up."""

from __future__ import annotations

from pathlib import Path

import click

from incamera import durable, keyfile
from incamera.cli import terminal
from incamera.cli.backup import back_up, put_back
from incamera.encoding import base64_text
from incamera.errors import InputError
from incamera.sealing.keys import OpeningKey, SigningKey
from incamera.tlog.keys import load as load_note
from incamera.tlog.note import ED25519

__all__ = ["command"]

_KINDS = {
    b"INCAMERA-SIGNING-KEY-1 ": "signing",
    b"INCAMERA-OPENING-KEY-1 ": "opening",
    b"PRIVATE+KEY+": "note",
}

paths_argument = click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False)
)
recipients_option = click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="age1...",
    help="Close to this age recipient; may be given again.",
)


@click.group("keys", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Close private key files with age, look at them, back them up.

    \b
    incamera keys show PATH...
    incamera keys protect PATH... (--passphrase | --recipient age1...)
    incamera keys unprotect PATH...
    incamera keys backup DIR --to FILE (--passphrase | --recipient age1...)
    incamera keys restore FILE DIR

    Every verb opens a closed key file by itself: with the passphrase in the file that
    INCAMERA_PASSPHRASE_FILE names (else it asks), or with the identity in the file that
    INCAMERA_IDENTITY_FILE names. Nothing secret is given on the command line, printed or logged.
    Each of these takes --json.

    Example: incamera keys protect home/operator/signing.key --passphrase
    """  # noqa: D301 - click keeps the lines after \b


def _kind(line: bytes, path: Path) -> str:
    for start, kind in _KINDS.items():
        if line.startswith(start):
            return kind
    raise InputError(f"{path}: not a key file of incamera")


def _choose(recipients: tuple[str, ...], passphrase: bool) -> None:
    """Exactly one way to close; recipients that are none are found before anything is touched."""
    if passphrase == bool(recipients):
        raise click.UsageError("say one: --passphrase, or --recipient age1...")
    for each in recipients:
        keyfile.recipient(each)


@command.command("show")
@paths_argument
@terminal.json_option
def show(paths: tuple[Path, ...], as_json: bool) -> None:
    """Show the public part of key files, what they are, and how they are closed.

    Example: incamera keys show home/log/note.key
    """
    found = [_shown(path) for path in paths]
    lines = [
        f"{each['path']}  {each['kind']}, {_closed_words(each['protected'])}\n  {each['public']}"
        for each in found
    ]
    terminal.result({"keys": found}, lines, as_json)


def _closed_words(protection: str) -> str:
    return {
        "no": "not closed (mode 0600)",
        "passphrase": "closed to a passphrase",
        "recipients": "closed to age recipients",
    }[protection]


def _shown(path: Path) -> dict[str, str]:
    line = keyfile.read(path)
    kind = _kind(line, path)
    found = {"path": str(path), "kind": kind, "protected": keyfile.protection(path.read_bytes())}
    if kind == "note":
        verifier = load_note(path).verifier
        kind = "log" if verifier.kind == ED25519 else "witness"
        return {**found, "kind": kind, "id": verifier.key_id.hex(), "public": verifier.vkey}
    key = SigningKey.load(path) if kind == "signing" else OpeningKey.load(path)
    return {**found, "id": key.key_id, "public": base64_text(key.public)}


@command.command("protect")
@paths_argument
@click.option("--passphrase", is_flag=True, help="Close to a passphrase, which is asked for.")
@recipients_option
@terminal.json_option
def protect(
    paths: tuple[Path, ...], passphrase: bool, recipients: tuple[str, ...], as_json: bool
) -> None:
    """Close key files with age, in place, leaving no open copy.

    Each file is replaced in one step and what it held is overwritten (which flash and copy-on-write
    file systems may not obey: a key that lay open there is best made anew).

    Example: incamera keys protect trustee/signing.key --recipient age1...
    """
    _choose(recipients, passphrase)
    for path in paths:
        line = keyfile.read(path)
        _kind(line, path)
        if keyfile.protection(path.read_bytes()) != "no":
            raise InputError(f"{path}: is closed already", hint="incamera keys unprotect it first")
    for path in paths:
        durable.supersede(path, keyfile.closed(keyfile.read(path), recipients))
    _told([f"{path}: closed" for path in paths], paths, as_json)


@command.command("unprotect")
@paths_argument
@terminal.json_option
def unprotect(paths: tuple[Path, ...], as_json: bool) -> None:
    """Put the open key back into its file (mode 0600).

    Example: incamera keys unprotect home/operator/signing.key
    """
    opened = [(path, keyfile.read(path)) for path in paths]
    for path, line in opened:
        _kind(line, path)
        durable.write(path, line, mode=0o600)
    _told([f"{path}: open, mode 0600" for path in paths], paths, as_json)


def _told(lines: list[str], paths: tuple[Path, ...], as_json: bool) -> None:
    terminal.result({"paths": [str(path) for path in paths]}, lines, as_json)


@command.command("backup")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", "dest", required=True, type=click.Path(path_type=Path), help="A new file.")
@click.option("--passphrase", is_flag=True, help="Close to a passphrase, which is asked for.")
@recipients_option
@terminal.json_option
def backup(
    folder: Path, dest: Path, passphrase: bool, recipients: tuple[str, ...], as_json: bool
) -> None:
    """Put what of FOLDER must not be lost into one file, closed with age.

    Long-term keys, settings and evidence of a fork. Never a trustee's epoch keys, which a copy
    would keep from ending, nor anything that moves on, which is read again from the log.

    Example: incamera keys backup trustee --to trustee.age --recipient age1...
    """
    _choose(recipients, passphrase)
    names = back_up(folder, dest, recipients)
    lines = [f"{dest}: {len(names)} files, closed", *(f"  {name}" for name in names)]
    terminal.result({"file": str(dest), "names": names}, lines, as_json)


@command.command("restore")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@terminal.json_option
def restore(source: Path, folder: Path, as_json: bool) -> None:
    """Put what the backup SOURCE holds back into FOLDER; what is there is never replaced.

    A trustee then reads the whole log again and begins a new epoch; it decides nothing before it
    has read as far as the witnesses have seen.

    Example: incamera keys restore trustee.age trustee
    """
    names = put_back(source, folder)
    lines = [f"{folder}: {len(names)} files put back", *(f"  {name}" for name in names)]
    terminal.result({"folder": str(folder), "names": names}, lines, as_json)
