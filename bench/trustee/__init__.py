# SPDX-License-Identifier: Apache-2.0
"""How fast trustees decide, and how long ten thousand capsules take to be granted and opened."""
