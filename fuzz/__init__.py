# SPDX-License-Identifier: Apache-2.0
"""Every parser against a million mutated inputs: only our errors may come out. docs/fuzz.md."""
