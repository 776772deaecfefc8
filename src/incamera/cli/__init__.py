# SPDX-License-Identifier: Apache-2.0
"""The command line: one module a verb, :mod:`incamera.cli.main` assembles them.

>>> from incamera.cli import main
>>> callable(main)
True
"""

from incamera.cli.main import main

__all__ = ["main"]
