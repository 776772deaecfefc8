# SPDX-License-Identifier: Apache-2.0
"""Training of the shipped plate and face detector; not part of the installed package."""
