# SPDX-License-Identifier: Apache-2.0
"""``python -m incamera`` is the ``incamera`` command."""

from incamera.cli import main

main()
