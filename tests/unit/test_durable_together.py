# SPDX-License-Identifier: Apache-2.0
"""Many small files, synced together: none earlier, none never."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from incamera import durable


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What was synced so far, by path."""
    found: Counter[str] = Counter()
    inner = os.fsync

    def fsync(descriptor: int) -> None:
        found[str(Path(f"/proc/self/fd/{descriptor}").readlink())] += 1
        inner(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_what_is_written_together_is_synced_at_the_end_with_its_folders(
    tmp_path: Path, synced: Counter[str]
) -> None:
    """Every file and folder below, and the one above; nothing before."""
    clip, single = tmp_path / "clip", tmp_path / "single"
    with durable.together(clip, single, tmp_path / "never"):
        durable.folder(clip / "deep")
        durable.write(clip / "deep" / "a", b"a")
        durable.write(single, b"b")
        durable.write(tmp_path / "other", b"c")
        assert not synced
    wanted = {clip, clip / "deep", clip / "deep" / "a", single, tmp_path}
    assert set(synced) == {str(each) for each in wanted}


def test_another_thread_syncs_as_always(tmp_path: Path, synced: Counter[str]) -> None:
    """What one thread puts off is no promise that another one broke."""
    with durable.together(tmp_path / "mine"):
        thread = threading.Thread(target=durable.write, args=(tmp_path / "theirs", b"x"))
        thread.start()
        thread.join()
        assert synced[str(tmp_path)] == 1


def test_after_an_error_nothing_is_promised_and_the_thread_syncs_again(
    tmp_path: Path, synced: Counter[str]
) -> None:
    """The block did not end, so nobody may rely on it."""

    def fail() -> None:
        with durable.together(tmp_path):
            durable.write(tmp_path / "a", b"a")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert not synced
    durable.write(tmp_path / "b", b"b")
    assert synced[str(tmp_path)] == 1


def test_a_journal_within_is_synced_at_once(tmp_path: Path, synced: Counter[str]) -> None:
    """Its lines say what is done: they are never put off."""
    with durable.together(tmp_path):
        durable.append(tmp_path / "journal", b"done")
        assert synced[str(tmp_path / "journal")] == 1
