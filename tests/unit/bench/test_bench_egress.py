# SPDX-License-Identifier: Apache-2.0
"""From frames to conversations: who began, with whom, and what counts as foreign."""

from __future__ import annotations

import ipaddress
import struct

from bench.egress.page import Result, html, markdown
from bench.egress.tally import Packet, Tally, of_link, read_frame
from incamera.wire.egress import Place

VAULT, LOG, ABROAD = "10.77.0.5", "10.77.0.4", "203.0.113.66"
PLACES = (Place("log", "", ipaddress.ip_network(f"{LOG}/32"), 8100),)


def frame(
    source: str, dest: str, sport: int, dport: int, flags: int = 0, protocol: int = 6
) -> bytes:
    """An Ethernet frame as a wire carries it, cut after 96 bytes."""
    ends = struct.pack(">HH", sport, dport)
    body = ends + bytes(9) + bytes([flags]) + bytes(6)
    ours, theirs = ipaddress.ip_address(source), ipaddress.ip_address(dest)
    if ours.version == 4:
        size = struct.pack(">H", 20 + len(body))
        head = b"\x45\x00" + size + bytes(5) + bytes([protocol]) + bytes(2)
        return bytes(12) + b"\x08\x00" + head + ours.packed + theirs.packed + body
    head = bytes(4) + struct.pack(">H", len(body)) + bytes([protocol, 64])
    return bytes(12) + b"\x86\xdd" + head + ours.packed + theirs.packed + body


def seen(tally: Tally, machine: str, *packet: object, **more: int) -> None:
    """A frame that ``machine`` sent."""
    found = read_frame(frame(*packet, **more))  # type: ignore[arg-type]
    assert found is not None
    tally.take(machine, found)


def test_a_frame_is_read_as_its_addresses_ports_and_beginning() -> None:
    """IPv4 and IPv6; what is no IP packet is nothing that leaves."""
    assert read_frame(frame(VAULT, LOG, 40000, 8100, 0x02)) == Packet(
        "tcp", VAULT, 40000, LOG, 8100, 40, begins=True
    )
    found = read_frame(frame("2001:db8::1", "2001:db8::2", 1, 53, protocol=17))
    assert found == Packet("udp", "2001:db8::1", 1, "2001:db8::2", 53, 60, begins=True)
    assert read_frame(bytes(12) + b"\x08\x06" + bytes(28)) is None


def test_an_answer_belongs_to_who_began() -> None:
    """The callee's packets are what the caller received; the callee began nothing."""
    tally = Tally("busy")
    seen(tally, "vault", VAULT, LOG, 40000, 8100, 0x02)
    seen(tally, "log", LOG, VAULT, 8100, 40000, 0x12)
    seen(tally, "vault", VAULT, LOG, 40000, 8100, 0x10)
    (key,) = tally.rows
    assert key == ("busy", "vault", "tcp", LOG, 8100)
    row = tally.rows[key]
    assert (row.conversations, row.sent, row.received) == (1, 80, 40)
    assert tally.foreign(PLACES) == []


def test_what_the_capture_did_not_see_begin_counts_against_its_sender() -> None:
    """An answer to nobody, a datagram, a ping: each is a conversation of its own."""
    tally = Tally("busy")
    seen(tally, "vault", VAULT, ABROAD, 40000, 443, 0x10)
    seen(tally, "vault", VAULT, ABROAD, 40000, 53, protocol=17)
    seen(tally, "vault", VAULT, ABROAD, 0, 0, protocol=1)
    seen(tally, "vault", VAULT, LOG, 40000, 22, 0x02)
    assert {key[2:] for key in tally.foreign(PLACES)} == {
        ("tcp", ABROAD, 443),
        ("udp", ABROAD, 53),
        ("icmp", ABROAD, 0),
        ("tcp", LOG, 22),
    }


def test_only_the_links_own_housekeeping_is_set_aside() -> None:
    """Neighbour discovery to its link; not a datagram to it, and not a ping elsewhere."""
    assert of_link("icmp6", "ff02::1:ff00:1")
    assert of_link("icmp6", "fe80::1")
    assert not of_link("udp", "ff02::fb")
    assert not of_link("icmp6", "2001:db8::1")
    assert not of_link("icmp", ABROAD)


def test_the_page_names_what_is_foreign_and_what_was_missed() -> None:
    """First of all, in a banner; and a capture that lost frames proves nothing."""
    rows = [
        ["busy", "vault", "tcp", ABROAD, 443, 1, 60, 0],
        ["busy", "vault", "tcp", LOG, 8100, 2, 9, 9],
    ]
    told = {"packets": 5, "dropped": 0, "rows": rows}
    lasted = dict.fromkeys(("off", "on", "busy"), 3600.0)
    result = Result.of(told, PLACES, {VAULT: "vault", LOG: "log"}, lasted, {"list": 1}, {})
    assert result.to_json()["foreign"] == 1
    for text in (markdown(result), html(result)):
        assert f"vault to {ABROAD} port 443" in text
        assert "; as the hour each" in text
    lost = Result.of(told | {"dropped": 3}, PLACES, {}, lasted, {}, {})
    assert "proves nothing" in markdown(lost)
    clean = Result.of(told | {"rows": rows[1:]}, PLACES, {LOG: "log"}, lasted, {}, {})
    assert clean.to_json()["foreign"] == 0
    assert "Nobody began" in html(clean)
    assert "class=alarm" not in html(clean)
