# SPDX-License-Identifier: Apache-2.0
"""A trustee holds a key to one share of each capsule, and uses it only for what the public can see.

::

    keys = Keyring.create(home)                   # once; then the operator enrols keys.signing
    trustee = Trustee(home, "ch", fetch, policy, clock, append)
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
