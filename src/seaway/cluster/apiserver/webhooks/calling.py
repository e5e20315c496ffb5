"""A document sent to a webhook's server and its answer brought back: TLS, time-outs, connections kept; Go's words for
what goes wrong, since these reach users and they search for them."""

from __future__ import annotations

import asyncio
import errno
import itertools
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, urlsplit

import aiohttp
from yarl import URL

from seaway.cluster.apiserver.storage import encode
from seaway.cluster.apiserver.webhooks import exchange
from seaway.cluster.apiserver.webhooks.configured import HTTPS, Client, Service
from seaway.cluster.apiserver.webhooks.exchange import Unusable

Tree = dict[str, Any]
ANSWER_LIMIT = 3 << 20
CONTEXTS = 64
CONNECT_SECONDS = 2.0  # then the next endpoint is tried: this one's node may be gone
LATE = "context deadline exceeded"
SYSTEM_ERRORS = {
    errno.ECONNREFUSED: "connect: connection refused",
    errno.EHOSTUNREACH: "connect: no route to host",
    errno.ENETUNREACH: "connect: network is unreachable",
    errno.ETIMEDOUT: "i/o timeout",
}
UNKNOWN_AUTHORITY = (18, 19, 20, 21)  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and its like
EXPIRED, NOT_YET, WRONG_NAME = 10, 9, (62, 64)


class Caller:
    """`resolve` gives the addresses behind a Service, or raises Unusable."""

    def __init__(self, resolve: Callable[[Service], list[tuple[str, int]]]) -> None:
        self._resolve = resolve
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[bytes, ssl.SSLContext] = OrderedDict()
        self._turn = itertools.count()

    async def post(self, client: Client, document: Tree, seconds: float, tell_time: bool = True) -> Tree:
        """The answer to a document, within so many seconds; Unusable says why there is none."""
        shown = client.shown(seconds if tell_time else None)
        context = self._context(client.ca)
        body = encode(document)
        try:
            async with asyncio.timeout(seconds):
                status, kind, raw = await self._exchange(client, context, body, shown)
        except TimeoutError:
            raise Unusable(f'{exchange.CALL}Post "{shown}": {LATE}') from None
        except Unusable as e:
            raise Unusable(f'{exchange.CALL}Post "{shown}": {e}') from None
        if not 200 <= status <= 206:
            raise Unusable(exchange.CALL + exchange.refused(status, raw))
        return exchange.decoded(raw, status, kind)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _context(self, ca: bytes) -> ssl.SSLContext:
        found = self._contexts.get(ca)
        if found is None:
            try:
                found = ssl.create_default_context(cadata=ca.decode("ascii") if ca else None)
            except (ssl.SSLError, ValueError):
                why = "unable to load root certificates: unable to parse bytes as PEM block"
                raise Unusable(f"could not get REST client: {why}") from None
            # As Go has it: every certificate of the bundle is trusted, of an authority or not, and common names are not read.
            found.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            found.verify_flags &= ~ssl.VERIFY_X509_STRICT
            found.hostname_checks_common_name = False
            self._contexts[ca] = found
            if len(self._contexts) > CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(ca)
        return found

    async def _exchange(
        self, client: Client, context: ssl.SSLContext, body: bytes, shown: str
    ) -> tuple[int, str, bytes]:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=90)
            times = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=times)
        parts = urlsplit(shown)
        places = [(parts.hostname or "", parts.port or HTTPS)] if client.service is None else self._places(client)
        for last, (host, port) in enumerate(places, 1 - len(places)):
            try:
                try:
                    return await self._post(parts, host, port, context, body)
                except aiohttp.ServerDisconnectedError:  # a kept connection that the server had done with
                    return await self._post(parts, host, port, context, body)
            except aiohttp.ClientConnectorError as e:
                if last < 0 and not isinstance(e, (aiohttp.ClientSSLError, aiohttp.ClientConnectorDNSError)):
                    continue  # nothing was sent: the next endpoint may be alive
                raise Unusable(_connection_problem(e, host, port, parts.hostname or host)) from None
            except aiohttp.ConnectionTimeoutError:
                if last < 0:
                    continue
                raise Unusable(f"dial tcp {_place(host, port)}: i/o timeout") from None
            except aiohttp.ServerDisconnectedError:
                raise Unusable("EOF") from None
            except (aiohttp.ClientError, OSError) as e:
                raise Unusable(_other_problem(e)) from None
        raise Unusable("no endpoints")

    def _places(self, client: Client) -> list[tuple[str, int]]:
        """The endpoints, another one first each time."""
        assert client.service is not None
        found = self._resolve(client.service)
        start = next(self._turn) % len(found)
        return found[start:] + found[:start]

    async def _post(
        self, parts: SplitResult, host: str, port: int, context: ssl.SSLContext, body: bytes
    ) -> tuple[int, str, bytes]:
        assert self._session is not None
        name = f"[{host}]" if ":" in host else host
        url = URL(f"https://{name}:{port}{parts.path or '/'}{'?' + parts.query if parts.query else ''}", encoded=True)
        headers = {
            "Host": parts.netloc,
            "Accept": "application/json, */*",
            "Content-Type": "application/json",
            "User-Agent": "kube-apiserver-admission",
        }
        async with self._session.post(
            url, data=body, headers=headers, ssl=context, server_hostname=parts.hostname, allow_redirects=False
        ) as answer:
            raw, most = bytearray(), max(ANSWER_LIMIT, 4 * len(body))  # conversions of lists are as large as these
            async for chunk in answer.content.iter_any():
                raw += chunk
                if len(raw) > most:
                    raise Unusable(f"http: response body is larger than {most} bytes")
            return answer.status, answer.headers.get("Content-Type", ""), bytes(raw)


def _connection_problem(error: aiohttp.ClientConnectorError, host: str, port: int, name: str) -> str:
    inner = error.os_error
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {host}: no such host"
    certificate = getattr(error, "certificate_error", None) or inner
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return "tls: failed to verify certificate: x509: " + _certificate_problem(certificate, name)
    if isinstance(inner, ssl.SSLError):
        return _tls_problem(inner)
    told = SYSTEM_ERRORS.get(inner.errno or 0) or f"connect: {(inner.strerror or str(inner)).lower()}"
    return f"dial tcp {_place(host, port)}: {told}"


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _certificate_problem(error: ssl.SSLCertVerificationError, name: str) -> str:
    code = error.verify_code
    if code in UNKNOWN_AUTHORITY:
        return "certificate signed by unknown authority"
    if code in (EXPIRED, NOT_YET):
        return "certificate has expired or is not yet valid"
    if code in WRONG_NAME:
        return f"certificate is not valid for {name}"
    return str(error.verify_message)


def _tls_problem(error: ssl.SSLError) -> str:
    if "WRONG_VERSION_NUMBER" in str(error):
        return "http: server gave HTTP response to HTTPS client"
    return f"tls: {(error.reason or 'handshake failure').replace('_', ' ').lower()}"


def _other_problem(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return _tls_problem(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        return "unexpected EOF"
    if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
        return "read: connection reset by peer"
    return f"{type(error).__name__}: {error}" if str(error) else "EOF"
