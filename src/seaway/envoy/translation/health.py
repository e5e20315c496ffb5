"""Active health checks: endpoints are asked how they are, by every proxy for itself."""

from __future__ import annotations

from typing import Any

from seaway.routing.ir import Cluster
from seaway.routing.policy import HealthCheck


def check(found: Any, wanted: Cluster, health: HealthCheck) -> None:
    """Into a Cluster. What Kubernetes says of endpoints goes on to count:

    - Who is taken out (a pod that ends, or is not ready) gets nothing more at once, also when it still passes; Envoy's own
      default is to use it for as long as it does.
    - Who comes is asked at once, and again each interval until it passes (Envoy's own default where nothing is requested is a
      minute). A cluster all of whose endpoints are new has nobody who is known to be well, and uses them all meanwhile
      (balancing.PANIC_PERCENT): therefore `ignore_new_hosts_until_first_hc`, by which they would count as not there, is left
      off. A new cluster is waited for until each endpoint has answered once, or for the timeout; what routed elsewhere before
      goes on to do so until then (xds/warming.py).
    """
    found.ignore_health_on_host_removal = True
    one = found.health_checks.add()
    interval = max(round(health.interval * 1e9), 1_000_000)
    one.timeout.FromNanoseconds(max(round(health.timeout * 1e9), 1_000_000))
    one.interval.FromNanoseconds(interval)
    one.no_traffic_interval.FromNanoseconds(interval)
    one.unhealthy_threshold.value, one.healthy_threshold.value = max(health.unhealthy, 1), max(health.healthy, 1)
    if health.kind == "http":
        _http(one.http_health_check, wanted, health)
    elif health.kind == "grpc" and wanted.protocol == "h2":
        one.grpc_health_check.authority = host_of(wanted, health)
    else:
        # Also whom nobody speaks HTTP/2 to, and who therefore cannot be asked by gRPC: Envoy would refuse the cluster.
        one.tcp_health_check.SetInParent()


def _http(found: Any, wanted: Cluster, health: HealthCheck) -> None:
    found.path, found.host = health.path or "/", host_of(wanted, health)
    if wanted.protocol == "h2":
        found.codec_client_type = 1  # CodecClientType.HTTP2
    for status in sorted(set(health.statuses)) or (200,):
        found.expected_statuses.add(start=status, end=status + 1)
    # Without it one wrong answer would be enough, whatever the threshold is (health_check.proto).
    found.retriable_statuses.add(start=100, end=600)


def host_of(wanted: Cluster, health: HealthCheck) -> str:
    """The name that endpoints are asked under: what TLS and resolution call them, else the Service's."""
    namespace, service, *_ = (*wanted.name.split("/"), "")
    named = wanted.tls.hostname if wanted.tls is not None else ""
    return health.host or named or wanted.external or f"{service}.{namespace}"
