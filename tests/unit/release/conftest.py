# SPDX-License-Identifier: Apache-2.0
"""Puts the root on the import path: ``bench`` and ``training`` are no part of the product."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))
