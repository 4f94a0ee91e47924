#!/usr/bin/env python3
"""Records what a kernel answers on questions about addresses and routes, for Tests/LinuxHost/RoutingTests.swift.

Run as `unshare -Urn python3 record.py`: it makes interfaces in a network namespace of its own, asks what
RoutingQuestion.swift asks, and writes what comes back, message after message, into routes.bin. e0 and on have the numbers
10, 12, and so on, their peers those between.
"""
import os, socket, struct, subprocess

def ip(*words):
    subprocess.run(["ip", *words], check=True)

def question(kind, family, sequence, interface=None, server=None):
    if kind == "addresses":
        body, type, flags = struct.pack("=BBBBI", family, 0, 0, 0, interface), 22, 0x301
    elif kind == "routes":
        body, type, flags = bytes([family]) + bytes(11) + struct.pack("=HHI", 8, 4, interface), 26, 0x301
    else:
        body, type, flags = bytes([family, 8 * len(server)]) + bytes(10) + struct.pack("=HH", 4 + len(server), 1) + server, 26, 1
    return struct.pack("=IHHII", 16 + len(body), type, flags, sequence, 0) + body

def ask(message, is_dump):
    s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    s.setsockopt(270, 12, 1)
    s.sendto(message, (0, 0))
    whole = b""
    while True:
        data = s.recv(32768)
        whole += data
        types, at = [], 0
        while at < len(data):
            length, type = struct.unpack_from("=IH", data, at)
            types.append(type)
            at += (length + 3) & ~3
        if not is_dump or 3 in types or 2 in types:
            return whole

ip("link", "set", "lo", "up")
for n in range(9):
    ip("link", "add", f"e{n}", "index", str(10 + 2 * n), "type", "veth", "peer", "name", f"p{n}", "index", str(11 + 2 * n))
    if n != 7:
        ip("link", "set", f"e{n}", "up")
        ip("link", "set", f"p{n}", "up")
ip("addr", "add", "192.0.2.1/24", "dev", "e1")
ip("addr", "add", "2001:db8::1/64", "dev", "e1", "nodad")
ip("route", "add", "198.51.100.0/24", "dev", "e2", "table", "100")
ip("route", "add", "default", "nexthop", "dev", "e3", "nexthop", "dev", "e4")
ip("nexthop", "add", "id", "7", "dev", "e5")
ip("route", "add", "203.0.113.0/24", "nhid", "7")
ip("-6", "nexthop", "add", "id", "8", "dev", "e5")
ip("-6", "route", "add", "2001:db8:5::/48", "nhid", "8")
ip("addr", "add", "169.254.7.7/16", "scope", "link", "dev", "e6")
ip("addr", "add", "192.0.2.200/24", "dev", "e7")
ip("-6", "route", "add", "default", "via", "fe80::1", "dev", "e8", "proto", "ra")

record, sequence = b"", 0
for n in range(9):
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in ("addresses", "routes"):
            sequence += 1
            record += ask(question(kind, family, sequence, interface=10 + 2 * n), True)
for server in (socket.inet_aton("192.0.2.77"), socket.inet_pton(socket.AF_INET6, "2001:db8::77")):
    sequence += 1
    family = socket.AF_INET if len(server) == 4 else socket.AF_INET6
    record += ask(question("way", family, sequence, server=server), False)
# An interface that there is none of, and a question that the kernel does not understand.
for interface, family in ((99, socket.AF_INET), (99, socket.AF_INET6)):
    sequence += 1
    record += ask(question("routes", family, sequence, interface=interface), True)
sequence += 1
record += ask(struct.pack("=IHHII", 28, 26, 0x301, sequence, 0) + bytes([2, 9]) + bytes(10), True)
open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "routes.bin"), "wb").write(record)
print(len(record), "bytes,", sequence, "questions,", os.uname().release)
