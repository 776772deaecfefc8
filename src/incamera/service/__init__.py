# SPDX-License-Identifier: Apache-2.0
"""The parties of a region as servers, each its own process with its own folder, keys and TOML.

``incamera serve`` runs them: a configuration (:mod:`incamera.service.settings`) becomes an app
over the party's own objects, and the app goes onto a socket with every limit set::

    settings = WitnessSettings.load(Path("witness.toml"))
    journal = Journal("witness", clock)
    serve(open_witness(settings, clock, journal), settings.listen, journal, ready=print)

What each answers, and to whom, is in ``docs/operating/parties.md``. Clients of ours: a log and a
witness are :mod:`incamera.tlog.remote`, the log for its vault is :class:`LogClient`, and
:func:`sign_call` signs what the vault is asked.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from incamera.service.auth import sign_call
    from incamera.service.log import open_log
    from incamera.service.logclient import LogClient
    from incamera.service.run import serve
    from incamera.service.trustee import open_trustee
    from incamera.service.vault import open_vault
    from incamera.service.witness import open_witness

__all__ = [
    "LogClient",
    "open_log",
    "open_trustee",
    "open_vault",
    "open_witness",
    "serve",
    "sign_call",
]

_WHERE = {
    "LogClient": "logclient",
    "open_log": "log",
    "open_trustee": "trustee",
    "open_vault": "vault",
    "open_witness": "witness",
    "serve": "run",
    "sign_call": "auth",
}


def __getattr__(name: str) -> Any:
    """Imported when it is asked for (PEP 562): a client of a vault needs no server."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
