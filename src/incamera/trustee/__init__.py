# SPDX-License-Identifier: Apache-2.0
"""A trustee holds a key to one share of each capsule, and uses it only for what the public can see.

Its home folder holds its keys and all that it remembers:

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from incamera.ids import Name, Region
>>> from incamera.ledger.policies import default_policy
>>> from incamera.trustee import Keyring, check_policy
>>> check_policy(default_policy("eu"), "the default policy of eu")
>>> folder = TemporaryDirectory()
>>> keys = Keyring.create(Path(folder.name) / "ch")
>>> start = 1_800_000_000
>>> entry = keys.new_epoch(Name("ch"), Region("eu"), 4, start, start + 30 * 86_400, start)
>>> keys.epochs()
[4]
>>> folder.cleanup()

Once the operator has enrolled its signing key and the log has its epoch, it decides::

    trustee = Trustee(home, Name("ch"), fetch, policy, clock, append)
    grant = trustee.decide(request)               # or PolicyError, IntegrityError, ...

It reads the whole log itself and believes neither the operator, nor the vault, nor who asks:
:mod:`incamera.trustee.rules` is the list of what it checks, in order. The request and the answer
are :class:`incamera.ledger.request.GrantRequest` and :class:`incamera.ledger.grant.Grant`.
"""

from incamera.trustee.cedar import check_policy
from incamera.trustee.decide import Trustee
from incamera.trustee.keyring import Keyring
from incamera.trustee.rules import RefusedError

__all__ = ["Keyring", "RefusedError", "Trustee", "check_policy"]
