# SPDX-License-Identifier: Apache-2.0
"""Who spoke to whom: every function of a region, on machines whose every packet is looked at.

It borrows the machines of the tests (``tests/wires.py``): network namespaces on one switch.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
