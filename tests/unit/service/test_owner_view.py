# SPDX-License-Identifier: Apache-2.0
"""What the vault shows an owner over HTTP: the own, and of that nothing under a key that ended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from starlette.requests import Request

from incamera.encoding import canonical
from incamera.errors import InputError
from incamera.ids import Digest, digest
from incamera.sealing.capsule import read_capsule
from incamera.sealing.keys import SigningKey
from incamera.service import sign_call
from incamera.service.answers import NothingError, UnknownCallerError
from incamera.service.callers import Caller, Callers
from incamera.service.catalogue import Catalogue
from incamera.service.vaults import Vaults
from incamera.tlog import FolderFetch
from incamera.vault import Vault
from world import Member, World, quick_folder


@dataclass
class Served:
    """A vault as its server sees it: one capsule of ada's, one of bob's, who bought her car."""

    world: World
    vaults: Vaults
    ada: Member
    bob: Member
    hers: Digest
    his: Digest

    @property
    def catalogue(self) -> Catalogue:
        """What is shown."""
        return Catalogue(self.vaults)

    def caller(self, key: SigningKey) -> Caller:
        """Who calls, by the signature of the call."""
        home, public = self.world.home / "vault", FolderFetch(self.world.public)
        clock = self.world.clock
        callers = Callers(home / "state.db", public, self.world.logs.policy, clock)
        signed = sign_call(key, "GET", "/capsules", b"", clock.now())
        scope = {"type": "http", "method": "GET", "path": "/capsules", "raw_path": b"/capsules"}
        headers = [(b"authorization", signed.encode())]
        return callers.of(Request({**scope, "query_string": b"", "headers": headers}))

    def seen(self, key: SigningKey) -> list[str]:
        """The digests that are listed for the holder of ``key``."""
        page = self.catalogue.page(self.caller(key), {})
        return [each["digest"] for each in page["capsules"]]

    def enrol(self, name: str, member: Member) -> None:
        """Make ``member`` the owner ``name``."""
        keys = (member.signing.public, member.opening.public)
        entry = self.world.party("owner", name, "private", "DE", keys[0], opening=keys[1])
        self.vaults.writer.submit(entry)


@pytest.fixture
def served() -> Iterator[Served]:
    """The car sealed to ada, then with a new key to bob."""
    with quick_folder() as folder:
        world, bob, new = World(folder), Member(), SigningKey.generate()
        home, public = world.home / "vault", FolderFetch(world.public)
        vaults = Vaults(lambda: Vault(home, world.vault, world.logs.log, public, world.clock))
        vaults.writer.admit(hers := world.seal())
        found = Served(world, vaults, world.owner, bob, read_capsule(hers).digest, digest(b""))
        found.enrol("bob", bob)
        vaults.writer.submit(world.party("car", "car-7", "private", "DE", new.public))
        world.owner = bob
        vaults.writer.admit(his := world.seal(car=new))
        world.owner = found.ada
        found.his = read_capsule(his).digest
        yield found
        vaults.close()


def test_each_owner_sees_the_own_and_nothing_else(served: Served) -> None:
    """The ex-owner nothing of the new one's, the new one nothing of hers; in no way."""
    assert served.seen(served.ada.signing) == [served.hers]
    assert served.seen(served.bob.signing) == [served.his]
    for member, others in ((served.ada, served.his), (served.bob, served.hers)):
        caller = served.caller(member.signing)
        with pytest.raises(NothingError):
            served.catalogue.look(caller, others)
        with pytest.raises(NothingError):
            served.catalogue.evidence(caller, canonical({"capsules": [others]}))
        assert (
            served.catalogue.page(caller, {"owner": "bob"})["capsules"]
            == (served.catalogue.page(caller, {})["capsules"])
        )


def test_a_key_that_ended_sees_nothing(served: Served) -> None:
    """Replaced, or revoked: who holds it is nobody; the new key sees all that was hers."""
    old, new = served.ada, Member()
    served.enrol("ada", new)
    served.vaults.follow()
    with pytest.raises(UnknownCallerError):
        served.caller(old.signing)
    assert served.seen(new.signing) == [served.hers]
    served.world.revoke("owner", "bob")
    served.vaults.follow()
    with pytest.raises(UnknownCallerError):
        served.caller(served.bob.signing)


def test_what_an_owner_erased_is_shown_to_nobody(served: Served) -> None:
    """Not even that it was hers: the row keeps the digest alone."""
    served.world.erase(read_capsule(served.vaults.path(served.hers)))
    served.vaults.follow()
    assert served.seen(served.ada.signing) == []
    with pytest.raises((NothingError, InputError)):
        served.catalogue.look(served.caller(served.ada.signing), served.hers)
