# SPDX-License-Identifier: Apache-2.0
"""What a vault's reading of the log keeps in memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from incamera.vault import reading


def test_what_is_kept_in_memory_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many entries, cars and files there are; what left is asked for again."""
    for name in ("_MOST_HEARD", "_MOST_KNOWN", "_MOST_FILES"):
        monkeypatch.setattr(reading, name, 4)
    known, asked = reading.Known(tmp_path / "state.db"), list[str]()
    for index in range(9):
        assert known.apply(index, b"rubbish %d" % index, 1) is not None
    assert [*known.heard] == [5, 6, 7, 8]
    for number in range(9):
        assert known.holder(bytes([number])) is None
        assert len(known._memory) <= 4
    known.close()

    def fetch(path: str) -> bytes:
        asked.append(path)
        return path.encode()

    once = reading.Once(fetch)
    for number in [*range(9), 8, 0]:
        assert once(str(number)) == b"%d" % number
        assert len(once._got) <= 4
    assert asked == [*map(str, range(9)), "0"]
