# SPDX-License-Identifier: Apache-2.0
"""incamera: car camera recordings that help driver assistance and betray nobody, checkably.

The packages, from the leaves up, are drawn in ``docs/architecture.md``; the command line
(``incamera --help``) is the usual way in.
"""

__version__ = "0.1.0"
