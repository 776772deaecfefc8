# SPDX-License-Identifier: Apache-2.0
"""Its place puts this folder on the import path, so that tests share ``sealed`` and the like."""
