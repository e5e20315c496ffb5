"""Runs inside User-mode Linux: virtual servers by raw netlink on kube-ipvs0, and real connections through them.

Writes one JSON line: for each scheduler and family who answered a pod, and the modules and tools that are there.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "flows"))

import flowdata
import flownet
from flowdata import SITES

from seaway.cluster.fabric.rtnetlink import attribute, number_attribute, text_attribute

GENERIC, CONTROLLER = 16, 16  # NETLINK_GENERIC, GENL_ID_CTRL
NEW_SERVICE, NEW_DEST = 1, 5  # IPVS_CMD_NEW_SERVICE, IPVS_CMD_NEW_DEST


class Ipvs:
    """Just enough of linux/ip_vs.h to have virtual servers."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, GENERIC)
        self._socket.bind((0, 0))
        answer = self._send(CONTROLLER, 3, text_attribute(2, "IPVS"))  # CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME
        at = 20
        while struct.unpack_from("=HH", answer, at)[1] != 1:  # CTRL_ATTR_FAMILY_ID
            at += (struct.unpack_from("=H", answer, at)[0] + 3) & ~3
        self._family = struct.unpack_from("=H", answer, at + 4)[0]

    def _send(self, kind: int, command: int, body: bytes) -> bytes:
        message = struct.pack("=BBH", command, 1, 0) + body
        self._socket.send(struct.pack("=IHHII", 16 + len(message), kind, 5, 1, 0) + message)
        answer = self._socket.recv(1 << 16)
        if struct.unpack_from("=H", answer, 4)[0] == 2:
            code = -struct.unpack_from("=i", answer, 16)[0]
            if code:
                raise OSError(code, f"ipvs command {command}: {os.strerror(code)}")
        else:
            self._socket.recv(1 << 16)  # the acknowledgement
        return answer

    @staticmethod
    def _address(family: int, address: str) -> bytes:
        return socket.inet_pton(family, address).ljust(16, b"\0")

    def _service(self, family: int, address: str, port: int) -> bytes:
        return (
            attribute(1, struct.pack("=H", family))
            + attribute(2, struct.pack("=H", socket.IPPROTO_TCP))
            + attribute(3, self._address(family, address))
            + attribute(4, struct.pack("!H", port))
        )

    def service(self, family: int, address: str, port: int, scheduler: str) -> None:
        mask = struct.pack("=I", 128) if family == socket.AF_INET6 else b"\xff" * 4
        more = text_attribute(6, scheduler) + attribute(7, struct.pack("=II", 0, 0xFFFFFFFF))
        more += number_attribute(8, 0) + attribute(9, mask)
        self._send(self._family, NEW_SERVICE, attribute(1, self._service(family, address, port) + more))

    def destination(self, family: int, address: str, port: int, to: str, to_port: int) -> None:
        target = attribute(1, self._address(family, to)) + attribute(2, struct.pack("!H", to_port))
        target += b"".join(number_attribute(kind, value) for kind, value in ((3, 0), (4, 1), (5, 0), (6, 0)))
        target += attribute(11, struct.pack("=H", family))
        body = attribute(1, self._service(family, address, port)) + attribute(2, target)
        self._send(self._family, NEW_DEST, body)


def works(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def main() -> None:
    agents = flownet.build_network([])
    flownet.start_servers(agents, [8080], [8080])
    assert works("ip", "link", "add", "kube-ipvs0", "type", "dummy"), "no dummy interface"
    ipvs = Ipvs()
    found: dict[str, object] = {
        "iptables-legacy": works("iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE", "--random-fully"),
        "ip6tables-legacy": works("ip6tables-legacy", "-t", "nat", "-A", "POSTROUTING", "-m", "comment", "--comment", "x"),
        "ipset": works("ipset", "create", "KUBE-CLUSTER-IP", "hash:ip,port"),
        "sctp": _sctp(),
    }
    for number, scheduler in enumerate(("rr", "lc", "wrr", "wlc", "sh", "dh", "sed", "nq", "mh"), 1):
        for family in (4, 6):
            kind = socket.AF_INET if family == 4 else socket.AF_INET6
            vip = flowdata.address(f"cluster.{number}", family)
            assert works("ip", "address", "add", vip, "dev", "kube-ipvs0"), vip
            ipvs.service(kind, vip, 80, scheduler)
            for site in ("a", "b"):
                ipvs.destination(kind, vip, 80, SITES[site].addresses[family], 8080)
            probe = {
                "key": 0, "protocol": "tcp", "family": family, "to": [[vip, 80]], "members": [], "least": 10, "most": 10,
                "sources": [SITES["c"].addresses[family]], "timeout": 5,
            }  # fmt: skip
            (result,) = agents["c"].ask({"do": "probe", "probes": [probe]})["results"]
            rows = [row for rows in result["answers"].values() for row in rows]
            found[f"{scheduler}/{family}"] = [sorted({r[0] for r in rows}), len(rows), result["oddities"]]
    print(json.dumps(found))


def _sctp() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        return True
    except OSError:
        return False


main()
