# SPDX-License-Identifier: GPL-2.0-only
"""getaddrinfo and getnameinfo of the host layer, against DNS servers on loopback."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import ipaddress
import platform
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import dns_server
import host_driver
import pytest
from dns_server import (
    AAAA,
    FORMERR,
    NOTIMP,
    NXDOMAIN,
    REFUSED,
    SERVFAIL,
    TC,
    A,
    Query,
    Record,
    Server,
    address,
    alias,
    from_zone,
    pointer,
    wire_name,
)
from host_driver import Driver, decode
from hypothesis import given, settings
from hypothesis import strategies as st

INET, INET6, UNSPEC = socket.AF_INET, socket.AF_INET6, socket.AF_UNSPEC
STREAM, DGRAM, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
TCP, UDP = socket.IPPROTO_TCP, socket.IPPROTO_UDP

PASSIVE, CANONNAME, NUMERICHOST, V4MAPPED, ALL, ADDRCONFIG = 1, 2, 4, 8, 16, 32
NUMERICSERV = 0x400
NI_NUMERICHOST, NI_NUMERICSERV, NI_NAMEREQD, NI_DGRAM, NI_NUMERICSCOPE = 1, 2, 8, 16, 0x100

PPOLL = {"x86_64": 271, "aarch64": 73}.get(platform.machine(), 73)

BADFLAGS, NONAME, AGAIN, FAIL, FAMILY, SERVICE, MEMORY, SYSTEM, OVERFLOW = (
    -1, -2, -3, -4, -6, -8, -10, -11, -12)

ZONE = {
    "both.test": [address("both.test", "192.0.2.1"), address("both.test", "192.0.2.2"),
                  address("both.test", "2001:db8::1")],
    "four.test": [address("four.test", "192.0.2.4")],
    "six.test": [address("six.test", "2001:db8::6")],
    "empty.test": [],
    "www.test": [alias("www.test", "cdn.test"), alias("cdn.test", "edge.test"),
                 address("edge.test", "192.0.2.9"), address("edge.test", "2001:db8::9")],
    "host.one.example": [address("host.one.example", "192.0.2.11")],
    "host.two.example": [address("host.two.example", "192.0.2.12")],
    "a.b": [address("a.b", "192.0.2.13")],
    "single": [address("single", "192.0.2.14")],
    "1.2.0.192.in-addr.arpa": [pointer("1.2.0.192.in-addr.arpa", "both.test")],
    "2.2.0.192.in-addr.arpa": [
        alias("2.2.0.192.in-addr.arpa", "2.0-24.2.0.192.in-addr.arpa"),
        pointer("2.0-24.2.0.192.in-addr.arpa", "delegated.test")],
    "3.2.0.192.in-addr.arpa": [pointer("3.2.0.192.in-addr.arpa", "evil name.test")],
    "4.2.0.192.in-addr.arpa": [pointer("4.2.0.192.in-addr.arpa", "10.1.1.1")],
    ".".join("6" + "0" * 23 + "8bd01002") + ".ip6.arpa": [
        pointer(".".join("6" + "0" * 23 + "8bd01002") + ".ip6.arpa", "six.test")],
}

HOSTS = """\
# a comment
127.0.0.1\tlocalhost loopback  # and another
::1 localhost ip6-loopback
10.1.2.3 Printer.example.org printer lp
10.1.2.4 printer
fe80::1%lo linklocal
fe80::2%nosuchinterface nowhere
10.1.2.5
not-an-address printer
2001:db8::77 onlysix
10.1.2.6 last"""

SERVICES = """\
http 80/tcp www www-http # comment
domain 53/tcp
domain 53/udp
snmp 161/udp
broken 80
broken 99999/tcp
odd 7/sctp
"""


@dataclasses.dataclass
class Answer:
    restart: int
    code: int
    error: int
    canonical: str
    entries: list[tuple[int, int, int, str, int, int]]

    @property
    def addresses(self) -> list[str]:
        seen: list[str] = []
        for _, _, _, text, _, _ in self.entries:
            if text not in seen:
                seen.append(text)
        return seen


class Resolver:
    """A driver process with its files and a server."""

    def __init__(self, driver: Driver, server: Server, directory: Path) -> None:
        self.driver = driver
        self.server = server
        self.directory = directory
        (directory / "hosts").write_text(HOSTS)
        (directory / "services").write_text(SERVICES)
        self.configure()

    def configure(self, text: str | None = None, timeout: int = 2000) -> None:
        if text is None:
            text = "".join(f"nameserver {a}\n" for a in self.server.addresses[:1])
        (self.directory / "resolv.conf").write_text(text)
        self.driver.run("resolver", self.server.port, timeout,
                        *(str(self.directory / n) for n in ("resolv.conf", "hosts", "services")))
        self.server.clear()

    def lookup(self, node: str | None, service: str | None = None, *, flags: int = 0,
               family: int = UNSPEC, socktype: int = STREAM, protocol: int = 0) -> Answer:
        words = self.driver.run("getaddrinfo", flags, family, socktype, protocol, node, service)
        groups = " ".join(words).split(" | ")
        head = groups[0].split()
        entries = []
        for group in groups[1:]:
            f, s, p, text, scope, port = group.split()
            entries.append((int(f), int(s), int(p), text, int(scope), int(port)))
        canonical = decode(head[3])
        assert canonical is not None
        return Answer(int(head[0]), int(head[1]), int(head[2]), canonical.decode(), entries)

    def reverse(self, text: str, *, port: int = 0, scope: int = 0, flags: int = 0,
                host: int = 256, serv: int = 33) -> tuple[int, int, bytes | None, bytes | None]:
        family = INET6 if ":" in text else INET
        r, code, name, service = self.driver.run("getnameinfo", family, text, scope, port, flags,
                                                 host, serv)
        return int(r), int(code), decode(name), decode(service)


@pytest.fixture(scope="module")
def servers() -> Iterator[Server]:
    with Server(("127.0.0.1", "127.0.0.2", "127.0.0.3")) as server:
        yield server


@pytest.fixture(scope="module")
def shared(servers: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Resolver]:
    with Driver() as driver:
        yield Resolver(driver, servers, tmp_path_factory.mktemp("resolver"))
        assert driver.stats()[2:] == (0, 0)


@pytest.fixture
def resolver(shared: Resolver) -> Resolver:
    shared.configure()
    shared.server.handler = from_zone(ZONE)
    shared.server.raw_tcp = None
    (shared.directory / "hosts").write_text(HOSTS)
    return shared


# ---- Without DNS ----

@pytest.mark.parametrize(("node", "family", "want"), [
    ("192.0.2.1", UNSPEC, "192.0.2.1"), ("192.0.2.1", INET, "192.0.2.1"),
    ("127.1", UNSPEC, "127.0.0.1"), ("0x7f000001", UNSPEC, "127.0.0.1"),
    ("010.0.0.1", UNSPEC, "8.0.0.1"), ("2001:db8::1", UNSPEC, "2001:db8::1"),
    ("::ffff:1.2.3.4", INET6, "::ffff:1.2.3.4"),
    ("192.0.2.1", INET6, None), ("2001:db8::1", INET, None), ("256.1.1.1", UNSPEC, None),
    ("1.2.3.4.5", UNSPEC, None), ("08.0.0.1", UNSPEC, None), (":::", UNSPEC, None),
    ("1.2.3.4%lo", UNSPEC, None), ("", UNSPEC, None), (" 127.0.0.1", UNSPEC, None),
])
def test_numeric_host(resolver: Resolver, node: str, family: int, want: str | None) -> None:
    answer = resolver.lookup(node, flags=NUMERICHOST | CANONNAME, family=family)
    if want is None:
        assert answer.code == NONAME
    else:
        assert answer.code == 0 and answer.addresses == [want] and answer.canonical == node
    assert not resolver.server.queries


@pytest.mark.parametrize(("node", "scope"), [
    ("fe80::1%lo", 1), ("fe80::1%1", 1), ("fe80::1%4294967295", 4294967295), ("ff02::1%lo", 1),
    ("2001:db8::1%7", 7), ("fe80::1%4294967296", None), ("fe80::1%nosuch", None),
    ("fe80::1%", None), ("2001:db8::1%lo", None), ("fe80::1%averyveryverylongname", None),
])
def test_scope(resolver: Resolver, node: str, scope: int | None) -> None:
    answer = resolver.lookup(node, flags=NUMERICHOST)
    if scope is None:
        assert answer.code == NONAME
    else:
        assert answer.code == 0 and answer.entries[0][4] == scope


@pytest.mark.parametrize(("flags", "family", "want"), [
    (PASSIVE, UNSPEC, {"0.0.0.0", "::"}), (0, UNSPEC, {"127.0.0.1", "::1"}),
    (PASSIVE, INET, {"0.0.0.0"}), (PASSIVE, INET6, {"::"}), (0, INET6, {"::1"}),
    (V4MAPPED, INET6, {"::1"}), (V4MAPPED | ALL, INET6, {"::1", "::ffff:127.0.0.1"}),
])
def test_no_host(resolver: Resolver, flags: int, family: int, want: set[str]) -> None:
    answer = resolver.lookup(None, "80", flags=flags, family=family)
    assert answer.code == 0 and set(answer.addresses) == want
    assert {entry[5] for entry in answer.entries} == {80}


@pytest.mark.parametrize(("service", "socktype", "protocol", "want"), [
    ("80", 0, 0, {(STREAM, TCP, 80), (DGRAM, UDP, 80)}),
    ("http", 0, 0, {(STREAM, TCP, 80)}), ("www-http", STREAM, 0, {(STREAM, TCP, 80)}),
    ("domain", 0, 0, {(STREAM, TCP, 53), (DGRAM, UDP, 53)}),
    ("domain", 0, UDP, {(DGRAM, UDP, 53)}), ("domain", DGRAM, 0, {(DGRAM, UDP, 53)}),
    ("0", STREAM, TCP, {(STREAM, TCP, 0)}), ("65535", STREAM, 0, {(STREAM, TCP, 65535)}),
    (None, RAW, 1, {(RAW, 1, 0)}), (None, 0, 0, {(STREAM, TCP, 0), (DGRAM, UDP, 0)}),
    ("65536", STREAM, 0, SERVICE), ("snmp", STREAM, 0, SERVICE), ("http", DGRAM, 0, SERVICE),
    ("nosuch", 0, 0, SERVICE), ("broken", 0, 0, SERVICE), ("odd", 0, 0, SERVICE),
    ("HTTP", 0, 0, SERVICE), ("-1", 0, 0, SERVICE), ("80", RAW, 0, SERVICE),
    ("80", STREAM, UDP, SERVICE),
])
def test_service(resolver: Resolver, service: str | None, socktype: int, protocol: int,
                 want: object) -> None:
    answer = resolver.lookup("127.0.0.1", service, socktype=socktype, protocol=protocol)
    if isinstance(want, int):
        assert answer.code == want
    else:
        assert answer.code == 0
        assert {(s, p, port) for _, s, p, _, _, port in answer.entries} == want


@pytest.mark.parametrize(("node", "service", "options", "code"), [
    (None, None, {}, NONAME), ("127.0.0.1", None, {"flags": 0x8000}, BADFLAGS),
    (None, "80", {"flags": CANONNAME}, BADFLAGS), ("127.0.0.1", None, {"family": 1}, FAMILY),
    ("127.0.0.1", "http", {"flags": NUMERICSERV}, NONAME),
    ("both.test", None, {"flags": NUMERICHOST}, NONAME),
    ("a" * 64 + ".test", None, {}, NONAME), ("a..test", None, {}, NONAME),
    (".", None, {}, NONAME), ("a b", None, {}, NONAME), ("x" * 255, None, {}, NONAME),
    ("x" * 60000, None, {}, NONAME), (".".join(["abcdefg"] * 32), None, {}, NONAME),
    ("a\\.b", None, {}, NONAME), ("both.test..", None, {}, NONAME),
])
def test_refused_arguments(resolver: Resolver, node: str | None, service: str | None,
                           options: dict[str, int], code: int) -> None:
    assert resolver.lookup(node, service, **options).code == code
    assert not resolver.server.queries


@pytest.mark.parametrize(("node", "family", "want", "canonical"), [
    ("localhost", UNSPEC, {"127.0.0.1", "::1"}, "localhost"),
    ("LocalHost.", INET, {"127.0.0.1"}, "localhost"),
    ("lp", UNSPEC, {"10.1.2.3"}, "Printer.example.org"),
    ("PRINTER", UNSPEC, {"10.1.2.3", "10.1.2.4"}, "Printer.example.org"),
    ("printer.example.org", INET, {"10.1.2.3"}, "Printer.example.org"),
    ("last", UNSPEC, {"10.1.2.6"}, "last"), ("onlysix", INET6, {"2001:db8::77"}, "onlysix"),
    ("linklocal", UNSPEC, {"fe80::1"}, "linklocal"),
    # A name of the file's does not go to the network.
    ("onlysix", INET, None, ""), ("lp", INET6, None, ""),
])
def test_hosts(resolver: Resolver, node: str, family: int, want: set[str] | None,
               canonical: str) -> None:
    answer = resolver.lookup(node, family=family, flags=CANONNAME)
    if want is None:
        assert answer.code == NONAME
    else:
        assert answer.code == 0
        assert (set(answer.addresses), answer.canonical) == (want, canonical)
    assert not resolver.server.queries


def test_localhost_needs_no_file(resolver: Resolver) -> None:
    (resolver.directory / "hosts").unlink()
    assert set(resolver.lookup("localhost").addresses) == {"127.0.0.1", "::1"}
    assert resolver.lookup("x.LOCALHOST", family=INET).addresses == ["127.0.0.1"]
    assert not resolver.server.queries
    assert resolver.lookup("notlocalhost").code == NONAME
    assert resolver.server.queries


def test_long_lines_and_large_files(resolver: Resolver) -> None:
    """Lines longer than a chunk work; endless ones and those with a NUL are skipped."""
    names = " ".join(f"alias{i}" for i in range(5000))
    noise = "".join(f"10.9.{i // 256}.{i % 256} noise{i}\n" for i in range(20000))
    (resolver.directory / "hosts").write_text(
        f"10.0.0.1 {names}\n" + "10.0.0.2 " + "x" * 400000 + " endless\n"
        + "10.0.0.3 with\0nul nul\n" + noise + "10.0.0.4 atend")
    assert resolver.lookup("alias4999").addresses == ["10.0.0.1"]
    assert resolver.lookup("noise19999").addresses == ["10.9.78.31"]
    assert resolver.lookup("atend").addresses == ["10.0.0.4"]
    assert resolver.lookup("endless").code == NONAME
    assert resolver.lookup("nul").code == NONAME


@pytest.mark.parametrize(("links", "want", "codes"), [
    ("", {"127.0.0.1", "::1"}, [0, 0]),
    ("ip addr add 10.0.0.1/8 dev one", {"127.0.0.1"}, [0, NONAME]),
    ("ip addr add fd00::1/64 dev one", {"::1"}, [NONAME, 0]),
    ("ip addr add 10.0.0.1/8 dev one; ip addr add fd00::1/64 dev one", {"127.0.0.1", "::1"}, [0, 0]),
])
def test_addrconfig(tmp_path: Path, servers: Server, links: str, want: set[str],
                    codes: list[int]) -> None:
    """Families of which this host has no address but loopback's are not asked for."""
    if links:
        # Left down, it gets no link-local address, which would count.
        links = f"ip link add one type veth peer name two && {links}"
    namespace = ["unshare", "-n", "sh", "-c", f"ip link set lo up; {links}\nexec \"$@\"", "sh"]
    check = subprocess.run([*namespace, "true"], capture_output=True, text=True, timeout=30)
    if check.returncode or check.stderr:
        pytest.skip(f"no network namespaces: {check.stderr}")
    with Driver(namespace) as driver:
        resolver = Resolver(driver, servers, tmp_path)
        assert set(resolver.lookup("localhost", flags=ADDRCONFIG).addresses) == want
        assert [resolver.lookup("localhost", flags=ADDRCONFIG, family=family).code
                for family in (INET, INET6)] == codes
        # Addresses are taken as they are.
        assert resolver.lookup("::1", flags=ADDRCONFIG).code == 0
        assert resolver.lookup("127.0.0.1", flags=ADDRCONFIG).code == 0


# ---- Answers ----

def test_both_families_are_asked_at_once(resolver: Resolver) -> None:
    held: list[Query] = []

    def handle(query: Query) -> Sequence[bytes]:
        held.append(query)
        if len(held) < 2:
            return []
        return [reply for q in held for reply in from_zone(ZONE)(q)]

    resolver.server.handler = handle
    answer = resolver.lookup("both.test", "80", flags=CANONNAME)
    assert answer.code == 0 and answer.canonical == "both.test"
    assert set(answer.addresses) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}
    assert sorted(resolver.server.asked()) == [("both.test", A), ("both.test", AAAA)]
    assert resolver.server.queries[0].id != resolver.server.queries[1].id


@pytest.mark.parametrize(("family", "types"), [(INET, [A]), (INET6, [AAAA])])
def test_one_family_is_asked_for(resolver: Resolver, family: int, types: list[int]) -> None:
    answer = resolver.lookup("both.test", family=family)
    assert answer.code == 0 and {e[0] for e in answer.entries} == {family}
    assert [q.type for q in resolver.server.queries] == types


def test_order_of_a_records_is_the_servers(resolver: Resolver) -> None:
    many = [address("many.test", f"192.0.2.{i}") for i in (9, 200, 3, 77, 5)]
    resolver.server.handler = from_zone({"many.test": many})
    answer = resolver.lookup("many.test", family=INET)
    assert answer.addresses == [f"192.0.2.{i}" for i in (9, 200, 3, 77, 5)]


@pytest.mark.parametrize(("flags", "node", "want"), [
    (V4MAPPED, "four.test", {"::ffff:192.0.2.4"}), (V4MAPPED, "both.test", {"2001:db8::1"}),
    (V4MAPPED | ALL, "both.test", {"2001:db8::1", "::ffff:192.0.2.1", "::ffff:192.0.2.2"}),
    (V4MAPPED, "10.1.2.3", {"::ffff:10.1.2.3"}), (ALL, "both.test", {"2001:db8::1"}),
    (0, "four.test", None),
])
def test_v4mapped(resolver: Resolver, flags: int, node: str, want: set[str] | None) -> None:
    answer = resolver.lookup(node, flags=flags, family=INET6)
    if want is None:
        assert answer.code == NONAME
    else:
        assert answer.code == 0 and set(answer.addresses) == want
        assert {e[0] for e in answer.entries} == {INET6}


def test_aliases(resolver: Resolver) -> None:
    answer = resolver.lookup("www.test", flags=CANONNAME)
    assert answer.canonical == "edge.test"
    assert set(answer.addresses) == {"192.0.2.9", "2001:db8::9"}
    # In any order.
    resolver.server.handler = from_zone({"www.test": ZONE["www.test"][::-1]})
    assert set(resolver.lookup("WWW.test").addresses) == {"192.0.2.9", "2001:db8::9"}
    # Case aside; and records that belong to neither name are not taken.
    resolver.server.handler = from_zone({"www.test": [
        address("other.test", "192.0.2.66"), alias("WWW.TEST", "Edge.Test"),
        address("EDGE.test", "192.0.2.9"), Record("edge.test", A, b"\1\2\3\4", class_=3),
        Record("edge.test", A, b"\1\2\3")]})
    answer = resolver.lookup("www.test", family=INET, flags=CANONNAME)
    assert answer.addresses == ["192.0.2.9"] and answer.canonical == "Edge.Test"


def test_chain_of_aliases_is_bounded(resolver: Resolver) -> None:
    def chain(length: int) -> list[Record]:
        names = ["start.test", *(f"c{i}.test" for i in range(length))]
        links = [alias(a, b) for a, b in zip(names, names[1:], strict=False)]
        return [*links, address(names[-1], "192.0.2.1")]

    for length, code in ((0, 0), (1, 0), (15, 0), (16, NONAME), (200, NONAME)):
        resolver.server.handler = from_zone({"start.test": chain(length)})
        assert resolver.lookup("start.test", family=INET).code == code, length
    resolver.server.handler = from_zone({"loop.test": [
        alias("loop.test", "pool.test"), alias("pool.test", "loop.test"),
        address("loop.test", "192.0.2.1")]})
    # The alias comes first: there is no address at the end of the circle.
    assert resolver.lookup("loop.test", family=INET).code == NONAME
    resolver.server.handler = from_zone({"self.test": [alias("self.test", "self.test")]})
    assert resolver.lookup("self.test").code == NONAME


def test_names_that_hosts_cannot_have_are_not_shown(resolver: Resolver) -> None:
    for target in ("a b.test", "semi;colon.test", "x\x01.test", "\xff.test"):
        resolver.server.handler = from_zone({"www.test": [
            alias("www.test", target), address(target, "192.0.2.1")]})
        answer = resolver.lookup("www.test", family=INET, flags=CANONNAME)
        assert answer.code == 0 and answer.canonical == "www.test"


def test_names_that_do_not_exist(resolver: Resolver) -> None:
    assert resolver.lookup("nosuch.test").code == NONAME
    assert len(resolver.server.queries) == 2
    assert resolver.lookup("empty.test").code == NONAME
    # One family is enough.
    assert resolver.lookup("four.test").addresses == ["192.0.2.4"]
    assert resolver.lookup("six.test").addresses == ["2001:db8::6"]


def test_many_records(resolver: Resolver) -> None:
    """Only so many are kept; a datagram that is larger than the buffer is asked for again."""
    for count in (1, 47, 48, 49, 200, 400, 2000):
        records = [Record("n.test", A, struct.pack(">I", 0x0A000000 + i)) for i in range(count)]
        resolver.server.handler = from_zone({"n.test": records})
        resolver.server.clear()
        answer = resolver.lookup("n.test", family=INET)
        assert answer.code == 0 and len(answer.addresses) == min(count, 48)
        if count == 200:
            assert [q.tcp for q in resolver.server.queries] == [False, True]


def test_truncated_answers_are_asked_for_over_tcp(resolver: Resolver) -> None:
    def handle(query: Query) -> Sequence[bytes]:
        if not query.tcp:
            return [query.reply(flags=TC)]
        return from_zone(ZONE)(query)

    resolver.server.handler = handle
    answer = resolver.lookup("both.test")
    assert set(answer.addresses) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}
    assert sorted((q.type, q.tcp) for q in resolver.server.queries) == [
        (A, False), (A, True), (AAAA, False), (AAAA, True)]
    # 65,535 bytes, most of them over the limit of records.
    big = [Record("big.test", A, struct.pack(">I", i)) for i in range(2500)]
    resolver.server.handler = lambda q: (
        [q.reply(big)[:65535]] if q.tcp else [q.reply(flags=TC)])
    assert len(resolver.lookup("big.test", family=INET).addresses) == 48


def test_what_came_truncated_will_do_if_tcp_fails(resolver: Resolver) -> None:
    resolver.configure(timeout=1000)
    resolver.server.raw_tcp = tcp_says()
    resolver.server.handler = lambda q: [q.reply(
        [r for r in ZONE["both.test"] if r.type == q.type], flags=TC)]
    assert len(resolver.lookup("both.test").addresses) == 3


def tcp_says(*pieces: bytes) -> Callable[[socket.socket, Query], None]:
    def speak(stream: socket.socket, query: Query) -> None:
        for piece in pieces:
            stream.sendall(piece)

    return speak


def drip(stream: socket.socket, query: Query) -> None:
    reply = from_zone(ZONE)(query)[0]
    for byte in len(reply).to_bytes(2, "big") + reply:
        stream.sendall(bytes([byte]))


def hang(stream: socket.socket, query: Query) -> None:
    stream.sendall(b"\0\x20half")
    stream.settimeout(2)
    stream.recv(1)


@pytest.mark.parametrize(("speak", "code"), [
    (drip, 0), (tcp_says(), AGAIN), (tcp_says(b"\0"), AGAIN), (tcp_says(b"\xff\xff"), AGAIN),
    (tcp_says(b"\0\0"), FAIL), (tcp_says(b"\0\x0c" + bytes(12)), FAIL), (hang, AGAIN),
])
def test_bad_tcp_servers(resolver: Resolver, speak: Callable[[socket.socket, Query], None],
                         code: int) -> None:
    resolver.configure("nameserver 127.0.0.1\noptions attempts:1\n", timeout=500)
    resolver.server.handler = lambda query: [query.reply(flags=TC)]
    resolver.server.raw_tcp = speak
    assert resolver.lookup("four.test", family=INET).code == code


# ---- Servers that fail ----

def only(good: str, otherwise: Callable[[Query], Sequence[bytes]]) -> dns_server.Handler:
    """One of the addresses serves the zone."""
    return lambda query: (from_zone(ZONE) if query.server == good else otherwise)(query)


THREE = "nameserver 127.0.0.1\nnameserver 127.0.0.2\nnameserver 127.0.0.3\n"


@pytest.mark.parametrize("rcode", [SERVFAIL, REFUSED, NOTIMP, FORMERR, 9])
def test_next_server_after_a_failure(resolver: Resolver, rcode: int) -> None:
    resolver.configure(THREE, timeout=30000)
    resolver.server.handler = only("127.0.0.3", lambda q: [q.reply(rcode=rcode)])
    started = time.monotonic()
    assert set(resolver.lookup("www.test").addresses) == {"192.0.2.9", "2001:db8::9"}
    assert time.monotonic() - started < 20
    assert [q.server for q in resolver.server.queries] == [
        s for s in ("127.0.0.1", "127.0.0.2", "127.0.0.3") for _ in range(2)]
    # All of them, in both rounds.
    resolver.server.clear()
    resolver.server.handler = lambda q: [q.reply(rcode=rcode)]
    assert resolver.lookup("www.test").code == (AGAIN if rcode == SERVFAIL else FAIL)
    assert len(resolver.server.queries) == 12


def test_next_server_after_a_lame_answer(resolver: Resolver) -> None:
    resolver.configure(THREE)
    resolver.server.handler = only("127.0.0.2", lambda q: [q.reply(flags=0)])
    assert resolver.lookup("four.test", family=INET).code == 0
    assert [q.server for q in resolver.server.queries] == ["127.0.0.1", "127.0.0.2"]


def test_next_server_when_nobody_listens(resolver: Resolver) -> None:
    """ICMP port unreachable is noticed at once."""
    resolver.configure("nameserver 127.0.0.99\nnameserver ::1\nnameserver 127.0.0.2\n",
                       timeout=30000)
    started = time.monotonic()
    assert resolver.lookup("four.test").addresses == ["192.0.2.4"]
    resolver.configure("nameserver 127.0.0.99\nnameserver 127.0.0.98\n", timeout=30000)
    assert resolver.lookup("four.test").code == AGAIN
    assert time.monotonic() - started < 25


def test_timeouts_and_attempts(resolver: Resolver) -> None:
    resolver.configure(THREE + "options attempts:3\n", timeout=40)
    resolver.server.handler = lambda query: []
    started = time.monotonic()
    assert resolver.lookup("four.test").code == AGAIN
    assert 0.36 <= time.monotonic() - started < 10
    # Three rounds, three servers, two types; the ids stay.
    assert len(resolver.server.queries) == 18
    assert len({q.id for q in resolver.server.queries}) == 2
    # Only what is missing is asked again; what there is is returned.
    resolver.configure("nameserver 127.0.0.1\n", timeout=500)
    resolver.server.handler = lambda q: from_zone(ZONE)(q) if q.type == A else []
    assert resolver.lookup("both.test").addresses == ["192.0.2.1", "192.0.2.2"]
    assert [q.type for q in resolver.server.queries] == [A, AAAA, AAAA]


def test_slow_first_server_may_still_answer(resolver: Resolver) -> None:
    """The first server's answer comes when the second is asked."""
    resolver.configure(THREE, timeout=500)
    first: list[Query] = []

    def handle(query: Query) -> Sequence[bytes]:
        if query.server == "127.0.0.1":
            first.append(query)
        else:
            reply = from_zone(ZONE)(first[0])[0]
            resolver.server.send("127.0.0.1", reply, first[0].peer)
        return []

    resolver.server.handler = handle
    assert resolver.lookup("four.test", family=INET).addresses == ["192.0.2.4"]
    assert [q.server for q in resolver.server.queries] == ["127.0.0.1", "127.0.0.2"]


# ---- Servers and strangers that lie ----

def forged(**options: object) -> Callable[[Query], bytes]:
    return lambda q: q.reply([address(q.name, "6.6.6.6")], **options)  # type: ignore[arg-type]


LIES: dict[str, Callable[[Query], bytes]] = {
    "another id": lambda q: forged(id_=q.id ^ 1)(q),
    "another name": forged(question=wire_name("evil.test") + b"\0\1\0\1"),
    "another type": forged(question=wire_name("four.test") + b"\0\x10\0\1"),
    "another class": forged(question=wire_name("four.test") + b"\0\1\0\3"),
    "no question": forged(question=b""),
    "a query": lambda q: q.raw,
    "an opcode": lambda q: forged()(q)[:2] + b"\x91" + forged()(q)[3:],
    "two questions": lambda q: forged()(q)[:5] + b"\2" + forged()(q)[6:],
    "empty": lambda q: b"",
    "half a header": lambda q: forged()(q)[:11],
    "cut in the question": lambda q: forged()(q)[:20],
    "a question that points to itself": lambda q: (
        forged()(q)[:12] + b"\xc0\x0c\0\1\0\1"),
    "a question that points ahead": lambda q: forged()(q)[:12] + b"\xc0\xff\0\1\0\1",
    "noise": lambda q: bytes(range(256)),
}


@pytest.mark.parametrize("lie", sorted(LIES))
def test_what_is_no_answer_is_ignored(resolver: Resolver, lie: str) -> None:
    """The right answer comes after it, and counts."""
    resolver.server.handler = lambda q: [LIES[lie](q)] * 3 + list(from_zone(ZONE)(q))
    answer = resolver.lookup("four.test", family=INET)
    assert answer.code == 0 and answer.addresses == ["192.0.2.4"]
    assert len(resolver.server.queries) == 1


def test_another_source_is_ignored(resolver: Resolver) -> None:
    def handle(query: Query) -> Sequence[bytes]:
        # Another port, another address.
        for source, port in (("127.0.0.1", 0), ("127.0.0.2", 0)):
            with socket.socket(INET, DGRAM) as stranger:
                stranger.bind((source, port))
                stranger.sendto(forged()(query), query.peer)
        resolver.server.send("127.0.0.3", forged()(query), query.peer)
        return from_zone(ZONE)(query)

    resolver.server.handler = handle
    assert resolver.lookup("four.test", family=INET).addresses == ["192.0.2.4"]


def answer_section(query: Query, section: bytes, count: int = 1) -> bytes:
    head = query.reply()
    return head[:6] + count.to_bytes(2, "big") + head[8:] + section


FIXED = struct.pack(">HHIH", A, 1, 60, 4) + b"\6\6\6\6"
DAMAGED = {
    "a name that points to itself": (b"\xc0\x1b" + FIXED, 1),
    "a name that points ahead": (b"\xc0\xf0" + FIXED, 1),
    "a pointer cut off": (b"\xc0", 1),
    "a circle through a label": (b"\1a\xc0\x1b" + FIXED, 1),
    "a reserved label type": (b"\x40a" + FIXED, 1),
    "a name that never ends": (b"\x3f" + b"a" * 63, 1),
    "a name of 300 bytes": ((b"\x3b" + b"a" * 59) * 5 + b"\0" + FIXED, 1),
    "no record at all": (b"", 1),
    "many records promised": (b"", 65535),
    "data longer than the message": (b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 60, 400), 1),
    "an address too short": (b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 60, 3) + b"\6\6\6", 1),
    "an address too long": (b"\xc0\x0c" + struct.pack(">HHIH", A, 1, 60, 5) + bytes(5), 1),
    "an alias without a name": (b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 0), 1),
    "an alias that goes on too long": (
        b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 4) + b"\1a\0x", 1),
    "an alias outside its data": (b"\xc0\x0c" + struct.pack(">HHIH", 5, 1, 60, 2) + b"\5a", 1),
}


@pytest.mark.parametrize("damage", sorted(DAMAGED))
def test_damaged_answers_hold_nothing(resolver: Resolver, damage: str) -> None:
    section, count = DAMAGED[damage]
    resolver.server.handler = lambda q: [answer_section(q, section, count)]
    answer = resolver.lookup("four.test", family=INET, flags=CANONNAME)
    assert answer.code == NONAME


def test_answers_cut_anywhere(resolver: Resolver) -> None:
    """Every length of a good answer: what is whole is used, the rest is not."""
    full = from_zone(ZONE)(Query(b"", 0, "www.test", A, 0, False, "", ("", 0)))[0]
    resolver.configure("nameserver 127.0.0.1\noptions attempts:1\n", timeout=25)
    for size in range(0, len(full), 7):
        resolver.server.handler = lambda q, n=size: [from_zone(ZONE)(q)[0][:n]]  # type: ignore[misc]
        answer = resolver.lookup("www.test", family=INET)
        assert answer.code in (NONAME, AGAIN) or answer.addresses == ["192.0.2.9"]


def test_flood_does_not_outlast_the_timeout(resolver: Resolver) -> None:
    resolver.configure("nameserver 127.0.0.1\noptions attempts:1\n", timeout=150)
    resolver.server.handler = lambda q: [forged(id_=q.id ^ 1)(q)] * 200
    started = time.monotonic()
    assert resolver.lookup("four.test", family=INET).code == AGAIN
    assert time.monotonic() - started < 10


# ---- resolv.conf ----

SEARCH = "nameserver 127.0.0.1\nsearch one.example two.example\n"


@pytest.mark.parametrize(("conf", "node", "asked", "want"), [
    (SEARCH, "host", ["host.one.example"], "192.0.2.11"),
    (SEARCH.replace("one", "none"), "host", ["host.none.example", "host.two.example"],
     "192.0.2.12"),
    (SEARCH, "host.", ["host"], None),
    (SEARCH, "single", ["single.one.example", "single.two.example", "single"], "192.0.2.14"),
    (SEARCH, "a.b", ["a.b"], "192.0.2.13"),
    (SEARCH, "host.one", ["host.one", "host.one.one.example", "host.one.two.example"], None),
    (SEARCH + "options ndots:2\n", "a.b", ["a.b.one.example", "a.b.two.example", "a.b"],
     "192.0.2.13"),
    (SEARCH + "options ndots:0\n", "single", ["single"], "192.0.2.14"),
    (SEARCH + "domain two.example\n", "host", ["host.two.example"], "192.0.2.12"),
    ("nameserver 127.0.0.1\ndomain one.example two.example\n", "nohost",
     ["nohost.one.example", "nohost"], None),
    ("nameserver 127.0.0.1\nsearch example.one. .\n", "host", ["host.example.one", "host"], None),
    ("nameserver 127.0.0.1\n", "single", ["single"], "192.0.2.14"),
    ("; comment\n# search x\n  nameserver 127.0.0.1 ignored\nsearch\tone.example\r\n", "host",
     ["host.one.example"], "192.0.2.11"),
])
def test_search(resolver: Resolver, conf: str, node: str, asked: list[str],
                want: str | None) -> None:
    resolver.configure(conf)
    answer = resolver.lookup(node, family=INET, flags=CANONNAME)
    assert [q.name for q in resolver.server.queries] == asked
    assert answer.addresses == ([want] if want else [])
    assert answer.code == (0 if want else NONAME)
    if want:
        assert answer.canonical == asked[-1]


def test_search_goes_on_after_no_data_but_not_after_silence(resolver: Resolver) -> None:
    resolver.configure(SEARCH + "options attempts:1\n", timeout=500)

    cases: tuple[tuple[dns_server.Handler, int, int], ...] = (
        (lambda q: [q.reply()], NONAME, 3),
        (lambda q: [q.reply(rcode=SERVFAIL)], AGAIN, 3),
        (lambda q: [], AGAIN, 1),
    )
    for first, code, queries in cases:
        resolver.server.clear()
        resolver.server.handler = lambda q, first=first: (  # type: ignore[misc]
            first if q.name == "x.one.example" else from_zone(ZONE))(q)
        assert resolver.lookup("x", family=INET).code == code
        assert len(resolver.server.queries) == queries


def test_options(resolver: Resolver) -> None:
    resolver.configure("nameserver 127.0.0.1\noptions edns0\n")
    assert resolver.lookup("four.test", family=INET).code == 0
    assert resolver.server.queries[0].edns == 1232
    # A server that does not know EDNS is asked without.
    for rcode in (FORMERR, NOTIMP):
        resolver.server.clear()
        resolver.server.handler = lambda q, r=rcode: (  # type: ignore[misc]
            [q.reply(rcode=r)] if q.edns else from_zone(ZONE)(q))
        assert resolver.lookup("four.test", family=INET).code == 0
        assert [q.edns for q in resolver.server.queries] == [1232, 0]
    resolver.server.handler = from_zone(ZONE)
    resolver.configure("nameserver 127.0.0.1\noptions use-vc\n")
    assert len(resolver.lookup("both.test").addresses) == 3
    assert [q.tcp for q in resolver.server.queries] == [True, True]
    resolver.configure("nameserver 127.0.0.1\noptions no-aaaa\n")
    assert resolver.lookup("both.test").addresses == ["192.0.2.1", "192.0.2.2"]
    assert [q.type for q in resolver.server.queries] == [A]
    assert resolver.lookup("both.test", family=INET6).code == NONAME
    resolver.configure(THREE + "options rotate\n")
    for _ in range(3):
        resolver.lookup("four.test", family=INET)
    assert {q.server for q in resolver.server.queries} == set(resolver.server.addresses)


def test_no_servers_means_this_host(resolver: Resolver) -> None:
    for conf in ("", "nameserver nonsense\nnameserver 1.2.3.4.5\nnameserver fe80::1%nosuch\n"):
        resolver.configure(conf)
        assert resolver.lookup("four.test", family=INET).addresses == ["192.0.2.4"]
    (resolver.directory / "resolv.conf").unlink()
    assert resolver.lookup("four.test", family=INET).addresses == ["192.0.2.4"]


def test_ipv6_server(tmp_path: Path) -> None:
    try:
        server = Server(("::1",))
    except RuntimeError:
        pytest.skip("no IPv6")
    with server, Driver() as driver:
        server.handler = from_zone(ZONE)
        resolver = Resolver(driver, server, tmp_path)
        assert len(resolver.lookup("both.test").addresses) == 3
        assert {q.server for q in server.queries} == {"::1"}


# ---- Interruptions and shortages ----

def lookup_everything(resolver: Resolver) -> Answer:
    return resolver.lookup("www", "http", flags=ADDRCONFIG | CANONNAME)


@pytest.fixture
def everything(resolver: Resolver) -> Resolver:
    """A lookup that goes through all of it: files, search list, two servers, TCP, sorting."""

    def handle(query: Query) -> Sequence[bytes]:
        if query.server == "127.0.0.1":
            return [query.reply(rcode=SERVFAIL)]
        if query.name == "www.test" and not query.tcp:
            return [query.reply(flags=TC)]
        return from_zone(ZONE)(query)

    resolver.configure("nameserver 127.0.0.1\nnameserver 127.0.0.2\nsearch none test\n")
    resolver.server.handler = handle
    answer = lookup_everything(resolver)
    assert (answer.code, answer.canonical) == (0, "edge.test")
    assert set(answer.addresses) == {"192.0.2.9", "2001:db8::9"}
    return resolver


@pytest.mark.parametrize("error", [-errno.EINTR, -512, -514, -516])
def test_every_system_call_may_be_interrupted(everything: Resolver, error: int) -> None:
    driver = everything.driver
    lookup_everything(everything)
    calls = driver.stats()[0]
    assert calls > 60
    # All of them for EINTR, which the others only differ from in number.
    for count in range(0, 1000, 1 if error == -errno.EINTR else 7):
        driver.fault("call", count, error, unwind=error == -errno.EINTR)
        answer = lookup_everything(everything)
        made, _, descriptors, blocks = driver.stats()
        assert (descriptors, blocks) == (0, 0), count
        if made <= count:
            assert answer.code == 0
            break
        assert answer.restart == error, count
    assert count > 60


def test_handlers_do_not_start_a_wait_again(everything: Resolver) -> None:
    """EINTR from ppoll with nothing to unwind: the sockets and questions stay as they are."""
    everything.server.clear()
    lookup_everything(everything)
    asked = len(everything.server.queries)
    for count in range(100):
        everything.server.clear()
        everything.driver.fault("call", count, -errno.EINTR, number=PPOLL)
        answer = lookup_everything(everything)
        assert (answer.restart, answer.code) == (0, 0)
        assert len(everything.server.queries) == asked
        if everything.driver.stats()[0] <= count:
            break
    assert count > 4
    # And the time that has passed counts.
    everything.configure("nameserver 127.0.0.1\noptions attempts:1\n", timeout=100)
    everything.server.handler = lambda q: []
    started = time.monotonic()
    everything.driver.fault("call", 0, -errno.EINTR, number=PPOLL)
    assert everything.lookup("four.test").code == AGAIN
    assert 0.1 <= time.monotonic() - started < 10


def test_a_handler_that_ends_the_guest_ends_the_lookup(everything: Resolver) -> None:
    """Whatever the system call itself returned, no other follows it."""
    driver = everything.driver
    for count in range(0, 1000, 3):
        driver.fault("call", count, 0, unwind=True)
        answer = lookup_everything(everything)
        made, _, descriptors, blocks = driver.stats()
        assert (descriptors, blocks) == (0, 0)
        assert made <= count + 1
        if made <= count:
            break
        assert answer.restart == -errno.EINTR or answer.code == 0
    assert count > 60


def test_every_system_call_may_fail(everything: Resolver) -> None:
    """Any result is fine, as long as nothing is left behind."""
    driver = everything.driver
    for error in (errno.EMFILE, errno.EPERM):
        for count in range(1000):
            driver.fault("call", count, -error)
            answer = lookup_everything(everything)
            made, _, descriptors, blocks = driver.stats()
            assert answer.restart == 0 and (descriptors, blocks) == (0, 0), count
            if answer.code == SYSTEM:
                assert answer.error == -error
            if made <= count:
                break
        assert count > 60


def test_every_allocation_may_fail(everything: Resolver) -> None:
    driver = everything.driver
    codes = set()
    for count in range(1000):
        driver.fault("alloc", count)
        answer = lookup_everything(everything)
        _, made, descriptors, blocks = driver.stats()
        assert (descriptors, blocks) == (0, 0), count
        if made <= count:
            assert answer.code == 0
            break
        codes.add(answer.code)
    assert count > 8 and codes <= {MEMORY, 0}


def test_getnameinfo_may_be_interrupted(resolver: Resolver) -> None:
    driver = resolver.driver
    for kind, error in (("call", -errno.EINTR), ("alloc", 0)):
        for count in range(1000):
            driver.fault(kind, count, error, unwind=kind == "call")
            r, code, _, _ = resolver.reverse("192.0.2.1", port=80)
            calls, allocations, descriptors, blocks = driver.stats()
            assert (descriptors, blocks) == (0, 0)
            if (calls if kind == "call" else allocations) <= count:
                assert (r, code) == (0, 0)
                break
            assert (r, code if kind == "alloc" else 0) == (error, MEMORY if kind == "alloc" else 0)
        assert count > 4


# ---- getnameinfo ----

@pytest.mark.parametrize(("text", "options", "want"), [
    ("192.0.2.1", {}, (0, b"both.test")), ("2001:db8::6", {}, (0, b"six.test")),
    ("::ffff:192.0.2.1", {}, (0, b"both.test")), ("192.0.2.2", {}, (0, b"delegated.test")),
    ("192.0.2.77", {}, (0, b"192.0.2.77")), ("2001:db8::5", {}, (0, b"2001:db8::5")),
    ("192.0.2.77", {"flags": NI_NAMEREQD}, (NONAME, b"")),
    ("192.0.2.1", {"flags": NI_NUMERICHOST}, (0, b"192.0.2.1")),
    ("192.0.2.1", {"flags": NI_NUMERICHOST | NI_NAMEREQD}, (NONAME, b"")),
    ("127.0.0.1", {}, (0, b"localhost")), ("::1", {}, (0, b"localhost")),
    ("10.1.2.3", {}, (0, b"Printer.example.org")), ("fe80::1", {"scope": 1}, (0, b"linklocal")),
    ("fe80::2", {"scope": 1}, (0, b"fe80::2%lo")),
    ("fe80::2", {"scope": 1, "flags": NI_NUMERICSCOPE}, (0, b"fe80::2%1")),
    ("fe80::2", {"scope": 4000000000}, (0, b"fe80::2%4000000000")),
    ("2001:db8::5", {"scope": 3}, (0, b"2001:db8::5%3")),
    # Names that no host can have, or that look like addresses, are not believed.
    ("192.0.2.3", {}, (0, b"192.0.2.3")), ("192.0.2.4", {}, (0, b"192.0.2.4")),
    ("192.0.2.1", {"host": 9}, (OVERFLOW, b"")), ("192.0.2.1", {"host": 10}, (0, b"both.test")),
])
def test_getnameinfo_host(resolver: Resolver, text: str, options: dict[str, int],
                          want: tuple[int, bytes]) -> None:
    r, code, host, _ = resolver.reverse(text, **options)
    assert r == 0 and (code, host) == want


def test_getnameinfo_when_servers_fail(resolver: Resolver) -> None:
    resolver.server.handler = lambda q: [q.reply(rcode=SERVFAIL)]
    assert resolver.reverse("192.0.2.1")[1:3] == (0, b"192.0.2.1")
    assert resolver.reverse("192.0.2.1", flags=NI_NAMEREQD)[1] == AGAIN
    resolver.server.handler = lambda q: [q.reply(rcode=NXDOMAIN)]
    assert resolver.reverse("192.0.2.1", flags=NI_NAMEREQD)[1] == NONAME


@pytest.mark.parametrize(("port", "options", "want"), [
    (80, {}, (0, b"http")), (80, {"flags": NI_NUMERICSERV}, (0, b"80")),
    (80, {"flags": NI_DGRAM}, (0, b"80")), (161, {"flags": NI_DGRAM}, (0, b"snmp")),
    (161, {}, (0, b"161")), (0, {}, (0, b"0")), (65535, {}, (0, b"65535")),
    (80, {"serv": 4}, (OVERFLOW, b"")), (80, {"serv": 5}, (0, b"http")),
])
def test_getnameinfo_service(resolver: Resolver, port: int, options: dict[str, int],
                             want: tuple[int, bytes]) -> None:
    options = {"flags": 0, **options}
    options["flags"] |= NI_NUMERICHOST
    _, code, _, serv = resolver.reverse("192.0.2.1", port=port, **options)
    assert (code, serv) == want


# ---- Addresses as text ----

@settings(deadline=None, max_examples=500)
@given(text=st.one_of(
    st.text("0123456789abcdefx:.", max_size=24),
    st.lists(st.sampled_from(["0", "1", "ffff", ":", "::", ".", "127", "0x1", "010", "1.2.3.4"]),
             max_size=12).map("".join),
    st.integers(0, 2**128 - 1).map(lambda n: str(ipaddress.IPv6Address(n))),
    st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.IPv4Address(n))),
    st.lists(st.sampled_from(["0", "1", "ab", "ffff"]), min_size=8, max_size=8).map(":".join),
))
def test_inet(shared: Resolver, text: str) -> None:
    want = "-"
    try:
        packed = socket.inet_pton(INET6, text)
        want = socket.inet_ntop(INET6, packed)
        # glibc also prints ::a.b.c.d, which RFC 5952 does not ask for.
        if packed[:12] == bytes(12) and "." in want:
            want = str(ipaddress.IPv6Address(packed))
    except OSError:
        with contextlib.suppress(OSError):
            want = socket.inet_ntoa(socket.inet_aton(text))
    assert shared.driver.run("inet", text)[0] == want


# ---- RFC 6724 ----

def sort(resolver: Resolver, pairs: Sequence[tuple[str, str | None]]) -> list[str]:
    words: list[host_driver.Word] = [len(pairs)]
    for to, source in pairs:
        words += [INET6 if ":" in to else INET, to, int(source is not None), source]
    order = resolver.driver.run("sort", *words)
    return [pairs[int(i)][0] for i in order]


@pytest.mark.parametrize("pairs", [
    # Section 10.2: destination and the source that goes with it, best first.
    [("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")],
    [("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")],
    [("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")],
    [("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")],
    [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "fe80::2")],
    [("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")],
    # An address without a route is last; loopback before everything.
    [("::1", "::1"), ("2001:db8::1", "2001:db8::2"), ("127.0.0.1", "127.0.0.1"),
     ("2001:db8:ffff::1", None)],
    # Longest prefix, of IPv6 only.
    [("2001:db8:1:2::1", "2001:db8:1:2::2"), ("2001:db8:8::1", "2001:db8:1:2::2")],
    [("192.0.2.200", "10.0.0.1"), ("10.0.0.2", "10.0.0.1")],
    # Unique local addresses lose against IPv4 where their label does not match.
    [("192.0.2.1", "192.0.2.2"), ("fd00::1", "2001:db8::2")],
])
def test_sort(shared: Resolver, pairs: list[tuple[str, str | None]]) -> None:
    want = [to for to, _ in pairs]
    assert sort(shared, pairs) == want
    if not all("." in to for to in want):      # equals keep their order
        assert sort(shared, pairs[::-1]) == want


def test_sort_is_stable(shared: Resolver) -> None:
    pairs = [(f"192.0.2.{i}", "192.0.2.200") for i in (5, 3, 9, 1, 7)]
    assert sort(shared, pairs) == [to for to, _ in pairs]


# ---- Hostile input ----

def test_fuzz_dns(tmp_path: Path) -> None:
    query = Query(b"", 0x1234, "www.example.com", A, 0, False, "", ("", 0))
    records = [alias("www.example.com", "a.example.com"), alias("a.example.com", "b.test"),
               address("b.test", "192.0.2.1"), address("b.test", "2001:db8::1"),
               pointer("www.example.com", "target.example.org")]
    compressed = answer_section(
        query, b"\xc0\x0c\0\5\0\1\0\0\0\1\0\4\1a\xc0\x10" + b"\xc0\x2d\0\1\0\1\0\0\0\1\0\4abcd", 2)
    seeds = [query.reply(records), query.reply(records[::-1]), compressed,
             query.reply(rcode=NXDOMAIN),
             dataclasses.replace(query, type=AAAA).reply(records * 60)]
    long = ".".join(["x" * 63] * 3 + ["y" * 60])
    seeds += [query.reply([alias("www.example.com", long), address(long, "192.0.2.1")]),
              query.reply([address("www.example.com", f"192.0.2.{i}") for i in range(60)])]
    files = []
    for i, seed in enumerate(seeds):
        files.append(tmp_path / f"message{i}")
        files[-1].write_bytes(seed)
    host_driver.fuzz("dns", 25000, 1, files)


@pytest.mark.parametrize(("target", "text"), [
    ("hosts", HOSTS + "".join(f"\n127.0.1.{i} localhost" for i in range(9))),
    ("services", SERVICES),
    ("resolv", THREE + SEARCH + "options ndots:2 timeout:3 attempts:9 rotate edns0 use-vc\n"),
])
def test_fuzz_files(tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "seed").write_text(text)
    (tmp_path / "long").write_text(text * 40)
    host_driver.fuzz(target, 4000, 2, [tmp_path / "seed", tmp_path / "long"])
