# SPDX-License-Identifier: Apache-2.0
"""A person's eye on redaction: a page of the least certain boxes, and corrections from it.

::

    review = Reviewing()
    redact_path(source, dest, options=Options(editing=review))
    write(review.findings(), Path("check"), command="incamera redact ...")

    amending = Amending(read_corrections(Path("corrections.json")))
    redact_path(source, better, options=Options(editing=amending))
"""

from incamera.redaction.review.amend import Amending
from incamera.redaction.review.collect import Reviewing
from incamera.redaction.review.corrections import read_corrections
from incamera.redaction.review.editing import Edit, Editing, File
from incamera.redaction.review.page import check_folder, write

__all__ = [
    "Amending",
    "Edit",
    "Editing",
    "File",
    "Reviewing",
    "check_folder",
    "read_corrections",
    "write",
]
