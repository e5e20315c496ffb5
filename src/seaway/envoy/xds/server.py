"""The edge of the discovery server: one gRPC port with mutual TLS 1.3; delta ADS, and the counting of requests. grpc is loaded
when it starts.

The client's certificate alone says which fleet a stream is of. A stream is written to when its proxy has taken what was written
before: what changes meanwhile is not queued but looked up anew, so that a slow proxy costs neither memory nor others' time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from typing import Any, NamedTuple

from seaway.envoy.counting.fleets import Counts
from seaway.envoy.xds.fleets import Fleets
from seaway.envoy.xds.identity import fleet_of
from seaway.envoy.xds.messages import Request, encode
from seaway.envoy.xds.session import Session
from seaway.routing.ir import Fleet

SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
LIMITS = "envoy.service.ratelimit.v3.RateLimitService"
# gRPC takes no lowest TLS version. The only suites of TLS 1.2 that it is left with sign by RSA, which our EC keys cannot: what
# remains is TLS 1.3, whose suites this does not name (BoringSSL, SSL_CTX_set_cipher_list).
_SUITES = "GRPC_SSL_CIPHER_SUITES"
# gRPC reads these when it is loaded. It would write a line for each stranger that knocks, and each that leaves.
_SETTINGS = {_SUITES: "ECDHE-RSA-AES256-GCM-SHA384", "GRPC_VERBOSITY": "ERROR", "GRPC_ENABLE_FORK_SUPPORT": "false"}
log = logging.getLogger("seaway.xds")


class Credentials(NamedTuple):
    """PEM: the server's certificate chain and key, and the authorities that sign clients (old and new while they change)."""

    certificate: bytes
    key: bytes
    authorities: bytes


class Limits(NamedTuple):
    """What proxies may cost at most."""

    streams: int = 1_000  # of a fleet
    request: int = 8 << 20  # bytes; a proxy that comes back names all that it has
    connection_age: int = 6 * 3600  # seconds; then the connection is made anew, and its certificate looked at again


class Server:
    """Serves the fleets to their proxies. `fleets` may be updated at any time, in the event loop's thread."""

    def __init__(self, fleets: Fleets, limits: Limits = Limits(), counts: Counts | None = None) -> None:  # noqa: B008
        self._fleets = fleets
        self._counts = counts if counts is not None else Counts()
        self._limits = limits
        self._server: Any = None
        self._credentials: Credentials | None = None
        self._offered: Credentials | None = None

    async def start(self, address: str, credentials: Credentials) -> int:
        """Listens on `host:port` (port 0: any); the port. What is bad in the address or the credentials is an OSError."""
        if "grpc" in sys.modules and _SUITES not in os.environ:
            log.warning("xds: gRPC was loaded before, so that TLS 1.2 is spoken too")
        for setting, value in _SETTINGS.items():
            os.environ.setdefault(setting, value)
        import grpc

        self._credentials = self._offered = credentials
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._limits.request),
                ("grpc.max_send_message_length", -1),
                # Of a connection; a proxy asks about each request that is limited (infrastructure.bootstrap, QUESTIONS).
                ("grpc.max_concurrent_streams", 128),
                ("grpc.so_reuseport", 0),
                # A proxy that vanished without a word is seen to be gone, so that statuses wait for it no longer.
                ("grpc.keepalive_time_ms", 20_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                ("grpc.max_connection_age_ms", self._limits.connection_age * 1_000),
                ("grpc.max_connection_age_grace_ms", 5_000),
            ]
        )
        from seaway.envoy.messages import DeltaDiscoveryRequest, RateLimitRequest

        handler = grpc.stream_stream_rpc_method_handler(
            self._stream, request_deserializer=DeltaDiscoveryRequest.FromString, response_serializer=bytes
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"DeltaAggregatedResources": handler}),)
        )
        counting = grpc.unary_unary_rpc_method_handler(
            self._limit, request_deserializer=RateLimitRequest.FromString, response_serializer=bytes
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(LIMITS, {"ShouldRateLimit": counting}),)
        )
        secured = grpc.dynamic_ssl_server_credentials(
            self._configuration(credentials), self._renewed, require_client_authentication=True
        )
        try:
            port = int(server.add_secure_port(address, secured))
        except RuntimeError as e:
            raise OSError(f"cannot listen on {address}: {e}") from None
        await server.start()
        self._server = server
        return port

    def renew(self, credentials: Credentials) -> None:
        """Handshakes from now on are by these; open streams live on until their connection's age."""
        self._credentials = credentials

    async def stop(self, grace: float = 0.0) -> None:
        if self._server is not None:
            await self._server.stop(grace)
            self._server = None

    def _configuration(self, credentials: Credentials) -> Any:
        import grpc

        return grpc.ssl_server_certificate_configuration(
            [(credentials.key, credentials.certificate)], root_certificates=credentials.authorities
        )

    def _renewed(self) -> Any:
        """Asked by gRPC at every handshake, from a thread of its own: None means no change."""
        now = self._credentials
        if now is None or now is self._offered:
            return None
        self._offered = now
        return self._configuration(now)

    async def _stream(self, _requests: Any, context: Any) -> None:
        import grpc

        fleet = _fleet(context)
        if fleet is None:
            log.warning("xds: %s has a certificate that is not of a fleet", context.peer())
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the client certificate is not of a fleet")
        elif self._fleets.streams(fleet) >= self._limits.streams:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"{fleet.title} has {self._limits.streams} streams")
        else:
            await self._serve(fleet, context)

    async def _limit(self, request: Any, context: Any) -> bytes:
        """Whether a request may pass, of those that the fleet's limits count. Who may not be asked about is let through."""
        import grpc

        fleet = _fleet(context)
        if fleet is None:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, "the client certificate is not of a fleet")
        elif not self._fleets.knows(fleet):
            await context.abort(grpc.StatusCode.UNAVAILABLE, f"{fleet.title} is not known here")
        else:
            return self._counts.asked(fleet, request, time.monotonic())
        raise AssertionError  # abort does not return

    async def _serve(self, fleet: Fleet, context: Any) -> None:
        import grpc

        session = self._fleets.open(fleet)
        wake = asyncio.Event()
        session.on_work = wake.set
        reading = asyncio.ensure_future(self._read(fleet, session, context, wake))
        session.on_end = lambda: _cancel(reading)
        reading.add_done_callback(lambda _: wake.set())
        log.info("xds: %s: stream of %s opened", fleet.title, context.peer())
        reason: str | None = None
        try:
            while not reading.done():
                wake.clear()
                while not reading.done() and (response := session.next()) is not None:
                    await context.write(encode(response))
                if not reading.done():
                    await wake.wait()
            reason = "this fleet is no more" if reading.cancelled() else reading.result()
        finally:
            session.on_work = session.on_end = _nothing
            reading.cancel()
            self._fleets.close(fleet, session)
            log.info("xds: %s: stream of %s (%s) ended", fleet.title, context.peer(), session.proxy.name)
        if reason:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, reason)

    async def _read(self, fleet: Fleet, session: Session, context: Any, wake: asyncio.Event) -> str | None:
        """Takes requests in until the proxy has no more; a reason when it asked for too much."""
        import grpc

        while (message := await context.read()) is not grpc.aio.EOF:
            if not session.proxy.name and message.node.id:
                session.proxy.name = message.node.id[:256]
            reason = self._fleets.receive(fleet, session, _request(message))
            if reason is not None:
                return reason
            wake.set()
        return None


def _nothing() -> None:
    pass


def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()


def _fleet(context: Any) -> Fleet | None:
    """The fleet that the client's certificate speaks for: it has one URI, and that is a fleet's."""
    found = context.auth_context().get("peer_spiffe_id", ())
    return fleet_of(found[0].decode("ascii", "replace")) if len(found) == 1 else None


def _request(message: Any) -> Request:
    return Request(
        message.type_url,
        tuple(message.resource_names_subscribe),
        tuple(message.resource_names_unsubscribe),
        dict(message.initial_resource_versions),
        message.response_nonce,
        message.error_detail.message if message.HasField("error_detail") else None,
    )
