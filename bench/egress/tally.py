# SPDX-License-Identifier: Apache-2.0
"""From packets to conversations: who began each, with whom, and whether that was declared.

A conversation belongs to whoever sent its first packet (of TCP: a SYN without ACK). A packet that
answers nobody's is a beginning too, so what the capture missed counts against the sender.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from incamera.wire.egress import Place, allowed

__all__ = ["Packet", "Row", "Tally", "read_frame"]

_TCP, _UDP, _ICMP, _ICMP6 = 6, 17, 1, 58
_NAMES = {_TCP: "tcp", _UDP: "udp", _ICMP: "icmp", _ICMP6: "icmp6"}
_SYN, _ACK = 0x02, 0x10


@dataclass(frozen=True, slots=True)
class Packet:
    """One frame's addresses. ``size``: bytes of the IP packet."""

    protocol: str
    source: str
    sport: int
    dest: str
    dport: int
    size: int
    begins: bool  # a SYN without ACK; or no TCP


def read_frame(frame: bytes) -> Packet | None:
    """The packet in an Ethernet frame (of which the first 96 bytes are enough); None for ARP."""
    kind = int.from_bytes(frame[12:14], "big")
    if kind == 0x0800 and len(frame) >= 34:
        head = 4 * (frame[14] & 15)
        size, protocol = int.from_bytes(frame[16:18], "big"), frame[23]
        source, dest = (str(ipaddress.ip_address(frame[at : at + 4])) for at in (26, 30))
        body = frame[14 + head :]
    elif kind == 0x86DD and len(frame) >= 54:
        size, protocol = 40 + int.from_bytes(frame[18:20], "big"), frame[20]
        source, dest = (str(ipaddress.ip_address(frame[at : at + 16])) for at in (22, 38))
        body = frame[54:]
    else:
        return None
    if protocol not in (_TCP, _UDP) or len(body) < 14:
        name = _NAMES.get(protocol, f"ip {protocol}")
        sport, dport = struct.unpack(">HH", body[:4]) if protocol == _UDP and body[3:] else (0, 0)
        return Packet(name, source, sport, dest, dport, size, begins=True)
    sport, dport = struct.unpack(">HH", body[:4])
    begins = protocol == _UDP or body[13] & (_SYN | _ACK) == _SYN
    return Packet(_NAMES[protocol], source, sport, dest, dport, size, begins)


@dataclass
class Row:
    """All that one machine began with one address and port, in one phase."""

    conversations: int = 0
    sent: int = 0  # bytes, IP headers included
    received: int = 0


_Ends = tuple[str, str, int, str, int]


@dataclass
class Tally:
    """Rows by (phase, machine, protocol, address, port)."""

    phase: str = "founding"
    rows: dict[tuple[str, str, str, str, int], Row] = field(default_factory=dict)
    packets: int = 0
    _known: dict[_Ends, tuple[str, str, str, str, int]] = field(default_factory=dict)

    def take(self, machine: str, packet: Packet) -> None:
        """A packet that ``machine`` sent."""
        self.packets += 1
        there = (packet.protocol, packet.source, packet.sport, packet.dest, packet.dport)
        back = (packet.protocol, packet.dest, packet.dport, packet.source, packet.sport)
        if back in self._known and not (packet.begins and packet.protocol == "tcp"):
            self._row(self._known[back]).received += packet.size
            return
        key = self._known.get(there)
        if key is None or (packet.begins and packet.protocol == "tcp"):
            key = (self.phase, machine, packet.protocol, packet.dest, packet.dport)
            if self._known.get(there) != key:
                self._row(key).conversations += 1
            self._known[there] = key
        # What goes on from an earlier phase is counted in this one, with its beginner.
        self._row((self.phase, *key[1:])).sent += packet.size

    def _row(self, key: tuple[str, str, str, str, int]) -> Row:
        return self.rows.setdefault((self.phase, *key[1:]), Row())

    def foreign(self, places: Sequence[Place]) -> list[tuple[str, str, str, str, int]]:
        """Rows that no place declares; the link's own housekeeping (see :func:`of_link`) aside."""
        return [
            key
            for key in self.rows
            if not of_link(key[2], key[3]) and not allowed(places, key[3], key[4])
        ]


def of_link(protocol: str, address: str) -> bool:
    """True for what a kernel says on its own wire and no router passes on (ND, MLD)."""
    found = ipaddress.ip_address(address)
    local = found.is_link_local or (found.version == 6 and address.startswith("ff02:"))
    return local and protocol in ("icmp6", "ip 0")
