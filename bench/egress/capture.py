# SPDX-License-Identifier: Apache-2.0
"""Looks at every frame on every wire, in a process of its own, until its stdin ends.

A line on stdin is the name of the phase that begins; the answer on stdout is that name. At the end
it prints what it counted as one JSON object. ``python -m bench.egress.capture PCAP NAME=IFACE ...``
"""

from __future__ import annotations

import errno
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from bench.egress.tally import Tally, read_frame

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_OUTGOING = 4
_SNAP = 96
_BUFFER = 1 << 24
_FORCE = 33  # SO_RCVBUFFORCE: past the limit of ordinary users


class Pcap:
    """A capture file as tcpdump and Wireshark read it: the first 96 bytes of each frame."""

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("wb")
        self._file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, _SNAP, 1))

    def write(self, frame: bytes, size: int) -> None:
        """``size``: of the whole frame."""
        now = time.time_ns() // 1000
        head = (now // 1_000_000, now % 1_000_000, len(frame), max(size, len(frame)))
        self._file.write(struct.pack("<IIII", *head) + frame)

    def close(self) -> None:
        """To the disk."""
        self._file.close()


def listen() -> socket.socket:
    """A socket that gets a copy of each frame on every wire.

    One for all: so a call is seen before its answer, which would else begin a conversation.
    """
    protocol = socket.htons(_ETH_P_ALL)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
    sock.setsockopt(socket.SOL_SOCKET, _FORCE, _BUFFER)
    return sock


def drain(sock: socket.socket, machines: Mapping[str, str], tally: Tally, pcap: Pcap) -> None:
    """All frames that wait: of each wire those that its machine sent."""
    while True:
        try:
            frame, address = sock.recvfrom(_SNAP)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENETDOWN:  # the machines are being removed
                raise
            return
        machine = machines.get(address[0])
        if machine is None or address[2] == _OUTGOING:
            continue  # on its way to a machine: it was seen as its sender's
        packet = read_frame(frame)
        pcap.write(frame, len(frame) if packet is None else 14 + packet.size)
        if packet is not None:
            tally.take(machine, packet)


def main() -> None:
    """Capture until stdin ends."""
    pcap, tally, sock = Pcap(Path(sys.argv[1])), Tally(), listen()
    machines = {wire: name for name, _, wire in (word.partition("=") for word in sys.argv[2:])}
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    print("listening", flush=True)
    while True:
        ready = [key.fileobj for key, _ in selector.select()]
        drain(sock, machines, tally, pcap)
        if sys.stdin in ready:
            data = os.read(0, 1 << 12)  # one line at a time: whoever writes waits for the answer
            if not data:
                break
            tally.phase = data.decode().strip()
            print(tally.phase, flush=True)
    pcap.close()
    rows = [[*key, row.conversations, row.sent, row.received] for key, row in tally.rows.items()]
    told = {"packets": tally.packets, "dropped": _dropped(sock), "rows": rows}
    print(json.dumps(told), flush=True)


def _dropped(sock: socket.socket) -> int:
    """Frames that came faster than they were read."""
    raw = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
    return int(struct.unpack("II", raw)[1])


if __name__ == "__main__":
    main()
