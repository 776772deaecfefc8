# SPDX-License-Identifier: Apache-2.0
"""Benches: each is a module to run, and its last line is one JSON object."""
