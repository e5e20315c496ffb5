"""Every annotation that ingress-nginx knows (v1.11 to v1.14, and what older ones had), and what becomes of it here.
docs/ingress.md shows the same tables: a test compares."""

from __future__ import annotations

PREFIX = "nginx.ingress.kubernetes.io/"

# name -> how it is carried out
SUPPORTED: dict[str, str] = {
    # sessions
    "affinity": "`cookie`: a client stays with its endpoint as long as that is there",
    "affinity-mode": "both modes are `persistent`: a client is never moved from an endpoint that is there",
    "affinity-canary-behavior": "`sticky`: a client also stays with the canary, or without it; `legacy` is refused",
    "session-cookie-name": "default `INGRESSCOOKIE`",
    "session-cookie-path": "default: the path of the rule, `/` where that is a regex",
    "session-cookie-domain": "a host name",
    "session-cookie-max-age": "seconds; 0: until the browser ends",
    "session-cookie-expires": "seconds, where there is no `session-cookie-max-age`",
    "session-cookie-samesite": "`None`, `Lax` or `Strict`",
    "session-cookie-secure": "`true` or `false`",
    "session-cookie-change-on-failure": "always `true`: who loses its endpoint gets another one, and its cookie",
    # balancing and backends
    "load-balance": "`round_robin`, or `ewma`, which is least requests here",
    "upstream-hash-by": (
        "a ring by `$remote_addr`, `$request_uri`, `$host`, `$http_NAME`, `$arg_NAME`, `$cookie_NAME`, or several of them"
    ),
    "upstream-vhost": "the host that backends are asked for",
    "backend-protocol": "`HTTP`, `HTTPS` (not checked by itself), `GRPC`, `GRPCS`, `AUTO_HTTP` (as the client came)",
    "service-upstream": "requests go to the Service's address, and whoever serves that chooses the pod",
    "proxy-ssl-secret": "a Secret of the same namespace: `tls.crt` and `tls.key` are shown, `ca.crt` checks",
    "proxy-ssl-verify": "`on` or `off`, against the Secret's `ca.crt`; what cannot be checked is answered with 503",
    "proxy-ssl-name": "the name that is asked for and checked; default `SERVICE.NAMESPACE.svc`",
    "proxy-ssl-server-name": "always `on`",
    "proxy-http-version": "`1.1`; `1.0` is refused",
    "mirror-target": "a copy of every request, with the path that the backend sees; only `$request_uri` may follow the host",
    "default-backend": "a Service of the same namespace that answers where a path's own has no port or does not exist",
    # paths and hosts
    "rewrite-target": "the whole path, with `$1` to `$9` for the groups of the rule's path",
    "use-regex": (
        "paths of the host are regexes (RE2), without case, from the beginning, the longest first; of all Ingresses of the host"
    ),
    "app-root": "`/` of the Ingress's hosts is redirected there with 302",
    "x-forwarded-prefix": "the header `X-Forwarded-Prefix` for backends",
    "server-alias": "other names of the Ingress's first host, apart by commas, unless other Ingresses' rules name them; no regex",
    "from-to-www-redirect": "`www.HOST` is redirected to the host with 308, or the other way round",
    "permanent-redirect": "an http or https URL; `$request_uri` may stand at its end",
    "permanent-redirect-code": "300 to 308; default 301",
    "temporal-redirect": "as `permanent-redirect`, with 302; comes before it",
    "temporal-redirect-code": "300 to 307; default 302",
    "ssl-redirect": "see [TLS](#tls)",
    "force-ssl-redirect": "see [TLS](#tls)",
    "ssl-passthrough": "connections of the host go to the backend of its path `/` undecrypted; "
    "addresses that may pass, or may not, are kept to, "
    "and where the Ingress asks for more (`auth-*`, a SecurityPolicy) the connections are closed",
    # how much, how long
    "proxy-body-size": "bytes, or with `k`, `m`, `g`: larger requests are answered with 413; `0`, or nothing said: no limit",
    "proxy-connect-timeout": "seconds",
    "proxy-read-timeout": "seconds that a backend may say nothing; then 504",
    "proxy-send-timeout": "seconds; it and `proxy-read-timeout` are one here, the larger counts",
    "proxy-next-upstream": "`error`, `timeout`, `http_CODE`, `non_idempotent`, `off`; default `error timeout`",
    "proxy-next-upstream-tries": "default 3",
    "limit-rps": "requests a second of a client's address, for each proxy; more are answered with 429 (ingress-nginx: 503)",
    "limit-rpm": "requests a minute",
    "limit-burst-multiplier": "so many times as many at once; default 5",
    "limit-allowlist": "networks that are not counted",
    "limit-whitelist": "the older name of `limit-allowlist`",
    # who may pass
    "allowlist-source-range": "addresses and networks; all others are answered with 403",
    "whitelist-source-range": "the older name of `allowlist-source-range`",
    "denylist-source-range": "these are answered with 403",
    "auth-type": "`basic`; `digest` is refused, and closes the paths",
    "auth-secret": "of the same namespace",
    "auth-secret-type": "`auth-file`: its entry `auth` is an htpasswd file; `auth-map`: an entry a user",
    "auth-realm": "what the browser shows",
    "auth-url": (
        "a Service `http://NAME.NAMESPACE.svc:PORT/path`, of another namespace with a ReferenceGrant there (from Ingress of"
        " networking.k8s.io), or a public name; it has 5 s, or `proxy-read-timeout`"
    ),
    "auth-method": "default GET",
    "auth-response-headers": "of its answer, for the backend",
    "auth-proxy-set-headers": "a ConfigMap of the same namespace with headers for whom is asked; no variables of nginx",
    "auth-signin": "where who gets 401 is sent to, with the URL that was asked for in the parameter `rd`",
    "auth-signin-redirect-param": "only `rd`",
    "auth-tls-secret": "a Secret of the same namespace with `ca.crt`; for the whole host",
    "auth-tls-verify-client": "`on`, `optional`, `optional_no_ca`, `off`",
    "auth-tls-pass-certificate-to-upstream": "`ssl-client-cert` for backends",
    "enable-cors": "`true`",
    "cors-allow-origin": "default `*`, which never goes with credentials",
    "cors-allow-methods": "default GET, PUT, POST, DELETE, PATCH, OPTIONS",
    "cors-allow-headers": "default as ingress-nginx has it",
    "cors-allow-credentials": "default `true`",
    "cors-expose-headers": "names",
    "cors-max-age": "default 1728000",
    # canary
    "canary": "`true`: paths of another Ingress of the namespace have a second backend; header before cookie before weight",
    "canary-by-header": "`always`, `never`",
    "canary-by-header-value": "this value instead of `always`",
    "canary-by-header-pattern": "a regex (RE2) instead of `always`",
    "canary-by-cookie": "`always`, `never`",
    "canary-weight": "of `canary-weight-total`",
    "canary-weight-total": "default 100",
}

# Snippets are text for another proxy's configuration.
REFUSED: dict[str, str] = {
    name: "snippets of nginx's configuration are never carried out"
    for name in (
        "auth-snippet",
        "configuration-snippet",
        "modsecurity-snippet",
        "server-snippet",
        "stream-snippet",
    )
}

_BUFFERS = "bodies are streamed, and buffered only as far as flow control asks for"
_KEPT = "connections to whom is asked are kept and shared anyway"
_TRACING = "there is no tracing"
_FIREWALL = "there is no web application firewall"
_FASTCGI = "FastCGI is not spoken"
_GLOBAL = "requests are counted by each proxy; a BackendTrafficPolicy may count over all of them (`scope: Global`)"
_ERRORS = "answers of backends reach clients as they are"
_COOKIES = "answers of backends are not rewritten"
# name -> why it is ignored
IGNORED: dict[str, str] = {
    "auth-always-set-cookie": "cookies of whom is asked only reach the client when it is refused",
    "auth-cache-duration": "every request is asked about",
    "auth-cache-key": "every request is asked about",
    "auth-keepalive": _KEPT,
    "auth-keepalive-requests": _KEPT,
    "auth-keepalive-share-vars": _KEPT,
    "auth-keepalive-timeout": _KEPT,
    "auth-request-redirect": "whom is asked gets the URL of the request itself",
    "auth-tls-error-page": "who has no certificate gets no connection, and so no page",
    "auth-tls-verify-depth": "chains of any length that lead to the authority are taken",
    "client-body-buffer-size": _BUFFERS,
    "connection-proxy-header": "Connection is a matter of each hop (RFC 9110 7.6.1)",
    "custom-headers": "its ConfigMap is for the whole of ingress-nginx; an HTTPRoute has a filter for headers",
    "custom-http-errors": _ERRORS,
    "disable-proxy-intercept-errors": _ERRORS,
    "enable-access-log": "the log is on or off for all of a class (`accessLog` in its parameters)",
    "enable-global-auth": "there is no authorization for all Ingresses",
    "enable-influxdb": "metrics are for Prometheus",
    "enable-modsecurity": _FIREWALL,
    "enable-opentelemetry": _TRACING,
    "enable-opentracing": _TRACING,
    "enable-owasp-core-rules": _FIREWALL,
    "enable-rewrite-log": "`seaway gateway routes` shows what is rewritten",
    "fastcgi-index": _FASTCGI,
    "fastcgi-params-configmap": _FASTCGI,
    "global-rate-limit": _GLOBAL,
    "global-rate-limit-ignored-cidrs": _GLOBAL,
    "global-rate-limit-key": _GLOBAL,
    "global-rate-limit-window": _GLOBAL,
    "http2-push-preload": "browsers no longer take pushes",
    "influxdb-host": "metrics are for Prometheus",
    "influxdb-measurement": "metrics are for Prometheus",
    "influxdb-port": "metrics are for Prometheus",
    "influxdb-server-name": "metrics are for Prometheus",
    "limit-connections": "connections of a single client are not counted; `maxConnections` of a class bounds all of them",
    "limit-rate": "bytes a second are not counted",
    "limit-rate-after": "bytes a second are not counted",
    "mirror-host": "copies keep the host of their request",
    "mirror-request-body": "copies have the body of their request",
    "modsecurity-transaction-id": _FIREWALL,
    "opentelemetry-operation-name": _TRACING,
    "opentelemetry-trust-incoming-span": _TRACING,
    "opentracing-trust-incoming-span": _TRACING,
    "preserve-trailing-slash": "a redirect to https keeps the path as it is",
    "proxy-buffer-size": _BUFFERS,
    "proxy-buffering": _BUFFERS,
    "proxy-buffers-number": _BUFFERS,
    "proxy-busy-buffers-size": _BUFFERS,
    "proxy-cookie-domain": _COOKIES,
    "proxy-cookie-path": _COOKIES,
    "proxy-max-temp-file-size": _BUFFERS,
    "proxy-next-upstream-timeout": "tries are bounded by their number, and each by `proxy-read-timeout`",
    "proxy-redirect-from": _COOKIES,
    "proxy-redirect-to": _COOKIES,
    "proxy-request-buffering": _BUFFERS,
    "proxy-ssl-ciphers": "the proxy's own choice",
    "proxy-ssl-protocols": "the proxy's own choice: TLS 1.2 and 1.3",
    "proxy-ssl-verify-depth": "chains of any length that lead to the authority are taken",
    "relative-redirects": "redirects name the host",
    "satisfy": "all that is asked for has to hold, as with `all`",
    "session-cookie-conditional-samesite-none": "browsers that mistake SameSite=None are no more",
    "session-cookie-hash": "the cookie names the endpoint",
    "ssl-ciphers": "of a ClientTrafficPolicy for the class",
    "ssl-prefer-server-ciphers": "of a ClientTrafficPolicy for the class",
    "upstream-hash-by-subset": "a ring has all endpoints",
    "upstream-hash-by-subset-size": "a ring has all endpoints",
    "use-port-in-redirects": "redirects go to the ports 80 and 443",
}
# These would let more pass if they were ignored.
CLOSING: dict[str, str] = {
    "auth-tls-match-cn": "certificates cannot be told apart by their common name",
}
