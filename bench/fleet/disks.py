# SPDX-License-Identifier: Apache-2.0
"""Disks that fail: full ones (a tmpfs made as small as what is on it), and slow ones (slow.c)."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["Disk", "Slowness", "alone"]

_ROOM = "6g"
_MARGIN = 4 << 20  # others write while this is done
_BALLAST = "ballast"
_ALONE = "FLEET_ALONE"


def alone() -> bool:
    """True in a mount namespace of our own; otherwise this process is started again in one.

    False where that cannot be had: then no disk can be made full.
    """
    if os.environ.get(_ALONE):
        return True
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        if subprocess.run(probe, capture_output=True, check=False, timeout=20).returncode:
            return False
    except (OSError, subprocess.TimeoutExpired):
        return False
    os.environ[_ALONE] = "1"
    words = ["unshare", "--mount", sys.executable, "-m", "bench.fleet", *sys.argv[1:]]
    return bool(os.execvp("unshare", words))  # does not come back


class Disk:
    """A tmpfs at ``place``, with what was there before. Gone with the namespace."""

    def __init__(self, place: Path) -> None:
        self.place = place
        kept = place.with_name(f".{place.name}.kept")
        place.rename(kept)
        place.mkdir(mode=0o700)
        self._mount("-t", "tmpfs", "-o", f"size={_ROOM}", "none")
        shutil.copytree(kept, place, dirs_exist_ok=True)
        shutil.rmtree(kept)

    def _mount(self, *words: str) -> None:
        subprocess.run(["mount", *words, str(self.place)], check=True)

    def fill(self) -> None:
        """No room from now on: made small first, then the rest of it filled."""
        told = os.statvfs(self.place)
        used = (told.f_blocks - told.f_bfree) * told.f_frsize
        self._mount("-o", f"remount,size={used + _MARGIN}")
        with contextlib.suppress(OSError), (self.place / _BALLAST).open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass

    def mend(self) -> None:
        """Room again."""
        self._mount("-o", f"remount,size={_ROOM}")
        (self.place / _BALLAST).unlink()

    def close(self) -> None:
        """Unmount it, lazily: whatever still looks at it is being stopped."""
        subprocess.run(["umount", "-l", str(self.place)], check=False)


class Slowness:
    """Makes every fsync of what is started from now on slow, on demand."""

    def __init__(self, folder: Path) -> None:
        source, library = Path(__file__).with_name("slow.c"), folder / "slow.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.possible = compiler is not None
        self._told = folder / "slow"
        if compiler is not None:
            words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
            subprocess.run(words, check=True)
            library.chmod(0o755)
            os.environ["LD_PRELOAD"], os.environ["FLEET_SLOW"] = str(library), str(self._told)

    def set(self, milliseconds: int) -> None:
        """So long for each fsync; 0: as the disk is."""
        if milliseconds:
            self._told.write_text(str(milliseconds))
            self._told.chmod(0o644)
        else:
            self._told.unlink(missing_ok=True)

    def close(self) -> None:
        """For what is started from now on."""
        os.environ.pop("LD_PRELOAD", None)
