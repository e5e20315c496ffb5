"""A program: starts the discovery server as a controller does, and says with which versions of TLS it can be spoken to."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
import time
from pathlib import Path

from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.identity import identity
from seaway.envoy.xds.server import Credentials, Server
from seaway.pki.authority import Authority, Pair
from seaway.routing.ir import Fleet


def handshake(port: int, by: Authority, pair: Pair, version: ssl.TLSVersion) -> str:
    """The version that was agreed on, asking for this one alone; all of its suites are offered."""
    context = ssl.create_default_context(cadata=by.pair.certificate.decode())
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL")
    context.set_alpn_protocols(["h2"])
    with tempfile.TemporaryDirectory() as at:
        (Path(at) / "crt").write_bytes(pair.certificate)
        (Path(at) / "key").write_bytes(pair.key)
        context.load_cert_chain(Path(at) / "crt", Path(at) / "key")
    with socket.create_connection(("127.0.0.1", port), 5) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as found:
        return str(found.version())


async def main() -> None:
    by = Authority.new("ca", time.time())
    pair = by.issue("proxy", time.time(), uris=(identity(Fleet("Gateway", "web", "main")),))
    own = by.issue("server", time.time(), hosts=("127.0.0.1",), server=True)
    server = Server(Fleets())
    port = await server.start("127.0.0.1:0", Credentials(own.certificate, own.key, by.pair.certificate))
    for name, version in (("TLSv1.3", ssl.TLSVersion.TLSv1_3), ("TLSv1.2", ssl.TLSVersion.TLSv1_2)):
        try:
            print(f"{name}: {await asyncio.to_thread(handshake, port, by, pair, version)}")
        except (ssl.SSLError, ConnectionError):
            print(f"{name}: refused")
    await server.stop()


asyncio.run(main())
