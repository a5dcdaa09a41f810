# SPDX-License-Identifier: GPL-2.0-only
"""A small DNS server on loopback that answers as it is told, well or badly."""

from __future__ import annotations

import dataclasses
import ipaddress
import itertools
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence

A, CNAME, PTR, AAAA, OPT = 1, 5, 12, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080


def wire_name(name: str) -> bytes:
    labels = [label.encode("latin-1") for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


@dataclasses.dataclass(frozen=True)
class Record:
    name: str
    type: int
    data: bytes
    class_: int = 1

    def pack(self) -> bytes:
        return (wire_name(self.name) + struct.pack(">HHIH", self.type, self.class_, 60,
                                                   len(self.data)) + self.data)


def address(name: str, text: str) -> Record:
    ip = ipaddress.ip_address(text)
    return Record(name, A if ip.version == 4 else AAAA, ip.packed)


def alias(name: str, target: str) -> Record:
    return Record(name, CNAME, wire_name(target))


def pointer(name: str, target: str) -> Record:
    return Record(name, PTR, wire_name(target))


@dataclasses.dataclass(frozen=True)
class Query:
    """What was asked."""

    raw: bytes
    id: int
    name: str
    type: int
    edns: int                  # payload size, 0 without EDNS
    tcp: bool
    server: str                # the address it came to
    peer: tuple[str, int]      # where it came from

    @classmethod
    def parse(cls, raw: bytes, tcp: bool, server: str, peer: tuple[str, int]) -> Query:
        id_, flags, questions, _, _, additional = struct.unpack(">6H", raw[:12])
        assert flags == RD and questions == 1
        at, labels = 12, []
        while raw[at]:
            labels.append(raw[at + 1 : at + 1 + raw[at]].decode("latin-1"))
            at += 1 + raw[at]
        type_, class_ = struct.unpack(">HH", raw[at + 1 : at + 5])
        assert class_ == 1
        rest = raw[at + 5 :]
        edns = 0
        if additional:
            opt, edns = struct.unpack(">xHH", rest[:5])
            assert opt == OPT and len(rest) == 11
        else:
            assert not rest
        return cls(raw, id_, ".".join(labels), type_, edns, tcp, server, peer)

    def reply(self, records: Iterable[Record] = (), *, rcode: int = NOERROR, flags: int = RA,
              id_: int | None = None, question: bytes | None = None) -> bytes:
        records = list(records)
        if question is None:
            question = wire_name(self.name) + struct.pack(">HH", self.type, 1)
        head = struct.pack(">6H", self.id if id_ is None else id_, QR | RD | flags | rcode,
                           1 if question else 0, len(records), 0, 0)
        return head + question + b"".join(record.pack() for record in records)


# The datagrams to send back; over TCP the first is sent with its length in front.
Handler = Callable[[Query], Sequence[bytes]]


def from_zone(zone: Mapping[str, Sequence[Record]]) -> Handler:
    """NXDOMAIN for names that are not in the zone.  A name's aliases come with it."""

    def handle(query: Query) -> Sequence[bytes]:
        name = query.name.lower()
        if name not in zone:
            return [query.reply(rcode=NXDOMAIN)]
        records = [r for r in zone[name] if r.type in (query.type, CNAME)]
        return [query.reply(records)]

    return handle


class Server:
    """Serves UDP and TCP on one port of several loopback addresses, from one thread."""

    def __init__(self, addresses: Sequence[str] = ("127.0.0.1",)) -> None:
        self.handler: Handler = lambda query: []
        self.queries: list[Query] = []
        self.addresses = addresses
        self.raw_tcp: Callable[[socket.socket, Query], None] | None = None
        self._sockets: dict[int, tuple[socket.socket, bool, str]] = {}
        self.port = self._bind(addresses)
        self._stop, self._wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _bind(self, addresses: Sequence[str]) -> int:
        for _ in range(50):
            port = 0
            bound: list[tuple[socket.socket, bool, str]] = []
            try:
                for text, tcp in itertools.product(addresses, (False, True)):
                    family = socket.AF_INET6 if ":" in text else socket.AF_INET
                    new = socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
                    bound.append((new, tcp, text))
                    if tcp:
                        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    new.bind((text, port))
                    port = new.getsockname()[1]
                    if tcp:
                        new.listen(8)
            except OSError:
                for failed, _, _ in bound:
                    failed.close()
                continue
            self._sockets = {entry[0].fileno(): entry for entry in bound}
            return port
        raise RuntimeError("no free port")

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._wake.send(b"x")
        self._thread.join(timeout=10)
        for one, _, _ in self._sockets.values():
            one.close()
        self._stop.close()
        self._wake.close()

    def clear(self) -> None:
        self.queries.clear()

    def asked(self) -> list[tuple[str, int]]:
        return [(query.name, query.type) for query in self.queries]

    def send(self, source: str, datagram: bytes, peer: tuple[str, int]) -> None:
        """From the UDP port at one of the addresses."""
        for one, tcp, text in self._sockets.values():
            if text == source and not tcp:
                one.sendto(datagram, peer)

    def _run(self) -> None:
        while True:
            stop = self._stop.fileno()
            ready, _, _ = select.select([stop, *self._sockets], [], [])
            if stop in ready:
                return
            for fd in ready:
                one, tcp, text = self._sockets[fd]
                if tcp:
                    self._serve_stream(one, text)
                else:
                    self._serve_datagram(one, text)

    def _serve_datagram(self, one: socket.socket, text: str) -> None:
        raw, peer = one.recvfrom(4096)
        query = Query.parse(raw, False, text, peer)
        self.queries.append(query)
        for answer in self.handler(query):
            one.sendto(answer, peer)

    def _serve_stream(self, one: socket.socket, text: str) -> None:
        stream, peer = one.accept()
        with stream:
            stream.settimeout(5)
            try:
                raw = stream.recv(4096)
                while len(raw) < 2 or len(raw) < 2 + int.from_bytes(raw[:2], "big"):
                    more = stream.recv(4096)
                    if not more:
                        return
                    raw += more
                query = Query.parse(raw[2:], True, text, peer)
                self.queries.append(query)
                if self.raw_tcp:
                    self.raw_tcp(stream, query)
                    return
                for answer in self.handler(query)[:1]:
                    stream.sendall(len(answer).to_bytes(2, "big") + answer)
            except OSError:
                pass
