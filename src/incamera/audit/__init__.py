# SPDX-License-Identifier: Apache-2.0
"""What an outsider can check of a region, from public data alone: no key, no vault, no trust.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from incamera.audit import audit
>>> from incamera.clock import SystemClock
>>> from incamera.tlog import FolderFetch
>>> with TemporaryDirectory() as folder:
...     report = audit(FolderFetch(Path(folder)), b"quorum none", SystemClock())
>>> report.ok, report.findings[-1].where
(False, 'checkpoint')
"""

from __future__ import annotations

from incamera.audit.report import Demand, Finding, Report
from incamera.audit.workflow import audit

__all__ = ["Demand", "Finding", "Report", "audit"]
