# SPDX-License-Identifier: Apache-2.0
"""The measuring bench of redaction: see ``__main__``."""
