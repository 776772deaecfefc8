# SPDX-License-Identifier: Apache-2.0
"""Errors of ours, whichever: what they say survives the way to another process and back."""

from __future__ import annotations

import copy
import importlib
import inspect
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import incamera
from incamera.errors import Error

ROOT = Path(incamera.__file__).parent
CLASS = re.compile(r"^class (\w+)\([^)]*Error\b", re.M)
GIVEN = {"int": 416, "bool": False}


def everyone() -> list[type[Error]]:
    """Every class of an error in the package: its modules are read, and those imported that say so.

    The whole package would bring OpenCV and an inference engine with it.
    """
    found: set[type[Error]] = set()
    for path in ROOT.rglob("*.py"):
        for name in CLASS.findall(path.read_text("utf-8")):
            parts = path.relative_to(ROOT.parent).with_suffix("").parts
            kind = getattr(importlib.import_module(".".join(parts)), name)
            found |= {kind} if issubclass(kind, Error) else set()
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def made(kind: type[Error]) -> Error:
    """One of them, with all that its constructor takes."""
    given = {
        name: GIVEN.get(str(each.annotation), f"what-{name}-says")
        for name, each in inspect.signature(kind).parameters.items()
    }
    return kind(**given)  # type: ignore[arg-type]


def _below(kind: type[Error]) -> Iterator[type[Error]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)


def test_every_error_survives_the_way_to_another_process() -> None:
    """Class, message, hint, and whatever programs go by: a code, a status, an errno."""
    kinds = everyone()
    ours = {kind for kind in _below(Error) if kind.__module__.startswith("incamera.")}
    assert ours == set(kinds)
    assert len(kinds) > 20
    for kind in kinds:
        error = made(kind)
        error.add_note("seen here")
        for again in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
            assert type(again) is kind
            assert (str(again), repr(again)) == (str(error), repr(error)), kind
            assert (again.args, vars(again)) == (error.args, vars(error)), kind
            for name in ("code", "hint", "message", "errno", "exit_code", "kind"):
                assert getattr(again, name, None) == getattr(error, name, None), (kind, name)
            with pytest.raises(kind):
                raise again
