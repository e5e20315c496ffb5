"""What a node's cache stands on: its addresses on the loopback interface, and its packet rules. They come before the first query
and go after the last; what a killed process has left is taken over. The edge to `nft`."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time

from seaway.dns import nodelocal
from seaway.dns.nodelocal import NodeLocal
from seaway.dns.serving import loopback
from seaway.dns.settings import Settings

log = logging.getLogger("dns")
AGAIN = 30.0  # seconds between looks: who flushes addresses or rules does not know whose they are
PATIENCE = 10.0  # seconds for nft
TRACKED = "queries are tracked by the kernel, and may be lost where its table is full"
PATHS = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin:/usr/local/bin"


class Ground:
    """`lay` before the sockets are opened, `settled` when they are, `keep` now and then, `clear` at the end."""

    def __init__(self, local: NodeLocal) -> None:
        self._local = local
        self._added: list[loopback.Address] = []
        self._settled = False
        self._rules = ""
        self._said = ""
        self._due = 0.0

    def lay(self) -> None:
        """The addresses. OSError where they cannot be had."""
        before = {row.address: row.ours for row in loopback.held()}
        for address in self._local.addresses:
            if loopback.add(address):
                self._added.append(address)
                log.info("%s is on the loopback interface", address)
            elif not before.get(address, True):
                log.info("%s was on the loopback interface before: it stays there", address)

    def settled(self, settings: Settings) -> None:
        """The sockets are open, so no other process is at work here: the rules come, and addresses that an earlier process has
        left, and that are asked for no more, go."""
        self._settled = True
        for row in loopback.held():
            if row.ours and row.address not in self._local.addresses:
                loopback.remove(row.address)
                log.info("%s is no longer on the loopback interface: an earlier process has left it", row.address)
        self.changed(settings)
        self._due = time.monotonic() + AGAIN

    def changed(self, settings: Settings) -> None:
        """The ports may be others."""
        self._rules = nodelocal.rules(settings, self._local)
        self._nft(self._rules, TRACKED)

    def keep(self) -> None:
        """Makes good what others have taken away."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + AGAIN
        try:
            for address in self._local.addresses:
                if loopback.add(address):
                    log.warning("%s was taken from the loopback interface: it is there again", address)
        except OSError as e:
            log.error("%s", e)
        self._nft(self._rules, TRACKED)

    def clear(self) -> None:
        """Nothing stays; where the sockets were never opened another process may be at work, and keeps what it has."""
        try:
            for address in self._added:
                loopback.remove(address)
            if self._settled:
                loopback.take_away()
                self._nft(nodelocal.no_rules(), "its table stays")
        except OSError as e:
            log.error("%s", e)

    def _nft(self, text: str, otherwise: str) -> None:
        """One transaction. Without it the cache works all the same: what is wrong is said once."""
        said = ""
        tool = shutil.which("nft", path=PATHS)
        if tool is None:
            said = "there is no nft on this machine"
        else:
            try:
                done = subprocess.run([tool, "-f", "-"], input=text, capture_output=True, text=True, timeout=PATIENCE)
                said = "" if not done.returncode else f"nft: {(done.stderr.strip().splitlines() or ['it failed'])[0]}"
            except (OSError, subprocess.TimeoutExpired) as e:
                said = f"nft: {e}"
        if said and said != self._said:
            log.warning("%s: %s", said, otherwise)
        self._said = said
