# SPDX-License-Identifier: Apache-2.0
"""`incamera addresses`: declare where a region's parties may connect, and see it everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from incamera.cli.found import found
from incamera.cli.init import plan_of
from incamera.cli.main import _run
from incamera.cli.places import nftables, of_url, parse_allow
from incamera.clock import SystemClock
from incamera.errors import InputError
from incamera.ids import Name
from incamera.ledger.addresses import declared
from incamera.ledger.entries import Address, AddressesEntry
from wires import possible
from world import EU


def test_an_operator_declares_and_everybody_sees_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing at first; then a list that leaves nobody out; then another, which replaces it."""
    home = str(tmp_path / "home")

    def incamera(*words: str, expect: int = 0) -> str:
        assert _run([*words, "--home", home]) == expect
        said = capsys.readouterr()
        return said.err if expect else said.out

    def declare(*words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(incamera("addresses", *words, "--json"))
        return found

    found(Path(home), plan_of("eu"), SystemClock())
    assert "may connect anywhere" in incamera("addresses")
    refused = incamera("addresses", "--allow", "db=192.0.2.9:5432", expect=3)
    assert "the list leaves out log (http://127.0.0.1:7400)" in refused
    first = declare("--parties", "--allow", "db=192.0.2.9:5432")
    assert first["declared"] == first["entry"]
    assert {"party": "db", "host": "", "network": "192.0.2.9/32", "port": 5432} in first["allowed"]
    assert len(first["allowed"]) == 9
    second = declare("--parties")
    assert second["lists"] == [first["entry"], second["entry"]]
    told = incamera("audit")
    assert f"log entry {second['entry']} takes back db (192.0.2.9/32 port 5432)" in told
    (tmp_path / "w9").mkdir()
    incamera("addresses", "--save", str(tmp_path / "w9"))
    brought = declared(tmp_path / "w9")
    assert brought is not None
    assert len(brought) == 8
    rules = incamera("addresses", "--nftables")
    assert f"declared in log entry {second['entry']}." in rules
    assert "ip daddr 127.0.0.1/32 meta l4proto { tcp, udp } th dport 7400 accept" in rules


def test_a_founding_declares_what_it_is_told(tmp_path: Path) -> None:
    """From the first entry on each party keeps to it, before it has read the log."""
    home = found(tmp_path / "home", plan_of("eu", allow=("db=192.0.2.9:5432",)), SystemClock())
    for folder in (home.log, home.vault, home.witness(2), home.trustee("trustee-fr")):
        places = declared(folder)
        assert places is not None
        assert len(places) == 9
    assert declared(home.owner) is None


@pytest.mark.parametrize(
    ("text", "network", "host", "port"),
    [
        ("vault=192.0.2.7:443", "192.0.2.7/32", "", 443),
        ("store=192.0.2.0/28:9000", "192.0.2.0/28", "", 9000),
        ("vault=[2001:DB8::7]:443", "2001:db8::7/128", "", 443),
        ("vault=[2001:db8::/64]:443", "2001:db8::/64", "", 443),
        ("vault=LOCALHOST:443", "127.0.0.1/32", "localhost", 443),
    ],
)
def test_an_address_is_said_as_a_name_or_a_network(
    text: str, network: str, host: str, port: int
) -> None:
    """A name is looked up as it is declared: what is declared is where it led."""
    assert Address(Name(text.split("=", maxsplit=1)[0]), host, network, port) in parse_allow(text)


@pytest.mark.parametrize("text", ["vault", "vault=a", "vault=a:0", "vault=10.0.0.1/8:1", "V=a:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the option's name in the message, or the network's."""
    with pytest.raises(InputError, match=r"--allow|10\.0\.0\.1/8"):
        parse_allow(text)


def test_a_url_has_the_port_of_its_scheme() -> None:
    """As a client would connect to it."""
    assert of_url(Name("log"), "https://192.0.2.4/eu")[0].port == 443
    assert of_url(Name("log"), "http://[2001:db8::4]:81")[0].network == "2001:db8::4/128"


def test_the_kernel_takes_the_rules_and_lets_nothing_else_out() -> None:
    """In a namespace with nftables: the declared address is sent to, another is refused."""
    if shutil.which("nft") is None:
        pytest.skip("nftables is not installed here: the rules are printed, and not tried")
    if why := possible():
        pytest.skip(f"no network namespaces can be made here: {why}")
    allowed = (Address(Name("vault"), "", "192.0.2.7/32", 443),)
    rules = nftables(AddressesEntry(region=EU, time=1, allowed=allowed), 3)
    script = (
        "set -e; ip link add d0 type veth peer name d1; ip addr add 10.9.9.1/24 dev d0; "
        "ip link set d0 up; ip link set d1 up; "
        'ip route add default via 10.9.9.2; printf %s "$1" | nft -f -; '
        'printf %s "$1" | nft -f -; exec "$2" -c "$3"'
    )
    code = (
        "import errno, socket\n"
        "def send(host, port):\n"
        "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:\n"
        "        try:\n"
        "            return sock.sendto(b'x', (host, port))\n"
        "        except OSError as error:\n"
        "            return errno.errorcode[error.errno]\n"
        "print(send('192.0.2.7', 443), send('192.0.2.7', 80), send('203.0.113.66', 443))\n"
    )
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, "sh", rules, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "Operation not supported" in done.stderr or "Protocol not supported" in done.stderr:
        pytest.skip(f"this kernel has no nftables: {done.stderr.splitlines()[0]}")
    assert done.returncode == 0, done.stderr
    sent, *others = done.stdout.split()
    assert sent == "1"
    assert set(others) <= {"EPERM", "EHOSTUNREACH", "EACCES"}, done.stdout
