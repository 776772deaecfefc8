# SPDX-License-Identifier: Apache-2.0
"""The vault of a server as it is opened: what goes wrong with that, and whose it is."""

from __future__ import annotations

import pytest

from incamera.errors import InputError, IntegrityError, UnavailableError
from incamera.service.vaults import Vaults
from incamera.vault import Vault
from incamera.wire.egress import ForeignError


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (InputError("no such bucket"), UnavailableError),
        (ForeignError("not an address of this region"), UnavailableError),
        (UnavailableError("the log does not answer"), UnavailableError),
        (IntegrityError("the log was forked"), IntegrityError),
    ],
)
def test_a_vault_that_is_set_up_wrong_is_away_to_callers(
    wrong: InputError, told: type[Exception]
) -> None:
    """A car that is told of bad input, or refused, would take it for its own; 503 it waits for."""

    def opened() -> Vault:
        raise wrong

    vaults = Vaults(opened)
    for _ in range(2):  # the second time without a try
        with pytest.raises(told, match=wrong.message):
            vaults.follow()
