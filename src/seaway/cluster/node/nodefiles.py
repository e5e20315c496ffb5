"""The files of a node's own that its pods are given names by: /etc/resolv.conf and /etc/hosts. They are the node's: a pod with
a hostPath may read and change them, as on any node."""

from __future__ import annotations

import os
from collections.abc import Sequence

from seaway.cluster.node import hostnames, resolving

MACHINE = "/etc/resolv.conf"
RESOLV_CONF, HOSTS = "resolv.conf", "hosts"
LIMIT = 1 << 20


class NodeFiles:
    """`folder` is where the node's files lie; `servers` and `searches` are `resolving.of_node`'s."""

    def __init__(self, folder: str, servers: Sequence[str], searches: Sequence[str] | None) -> None:
        self._folder, self._servers, self._searches = folder, servers, searches
        self._made: str | None = None
        os.makedirs(folder + "/etc", exist_ok=True)

    def _folder_fd(self) -> int:
        """The node's /etc. Links are not followed: a pod that may write there must not lead us to the machine's files."""
        return os.open(self._folder + "/etc", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _read(self, name: str) -> str:
        folder = self._folder_fd()
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(fd, encoding="utf-8", errors="replace") as f:
                return f.read(LIMIT)
        except FileNotFoundError:
            return ""
        finally:
            os.close(folder)

    def _write(self, name: str, text: str) -> None:
        folder = self._folder_fd()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(f".{name}.new", flags, 0o644, dir_fd=folder)
            with os.fdopen(fd, "w") as f:
                f.write(text)
            os.replace(f".{name}.new", name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)

    def resolv_conf(self) -> resolving.ResolvConf:
        """The node's resolv.conf as it stands; written anew first where the machine's has changed."""
        try:
            with open(MACHINE, encoding="utf-8", errors="replace") as f:
                machine = f.read()
        except OSError:
            machine = ""
        text = resolving.of_node(machine, self._servers, self._searches)
        if text != self._made:
            self._write(RESOLV_CONF, text)
            self._made = text
        return resolving.parse(self._read(RESOLV_CONF))

    def hosts(self) -> str:
        return self._read(HOSTS)

    def start(self, name: str, addresses: Sequence[object], domain: str) -> str:
        """What a node has from its start; what is wrong with it (an event of the node), empty: nothing."""
        try:
            if not self._read(HOSTS):
                self._write(HOSTS, hostnames.hosts_of_node(name, addresses))
            return resolving.beyond_limits(self.resolv_conf(), MACHINE, domain)
        except (OSError, resolving.ResolvConfError) as e:
            return str(e)
