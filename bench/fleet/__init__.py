# SPDX-License-Identifier: Apache-2.0
"""A fleet of cars against one region of real processes: what is admitted, refused, lost, and when.

It borrows the region of the tests (``tests/serving.py``) and their engines (``tests/engines.py``).
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
