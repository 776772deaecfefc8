# SPDX-License-Identifier: Apache-2.0
"""A region whose parties are processes of their own, on loopback: `make bench-apart`."""
