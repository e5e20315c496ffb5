"""The access log: a line of JSON a request or connection on standard output."""

from __future__ import annotations

from functools import cache
from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation.headers import literal
from seaway.envoy.translation.wire import packed

_COMMON = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "local": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "connection": "%CONNECTION_ID%",
    "tls_version": "%DOWNSTREAM_TLS_VERSION%",
    "sni": "%REQUESTED_SERVER_NAME%",
}
_HTTP = {
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "host": "%REQ(:AUTHORITY)%",
    "status": "%RESPONSE_CODE%",
    "route": "%METADATA(ROUTE:seaway:object)%",
    "rule": "%METADATA(ROUTE:seaway:part)%",
    "rule_name": "%METADATA(ROUTE:seaway:rule)%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "upstream_time": "%RESPONSE_DURATION%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "forwarded_for": "%REQ(X-FORWARDED-FOR)%",
}


@cache
def access_log(gateway: str, listener: str, http: bool, route: str = "") -> Any:
    """An AccessLog for a chain; what stands still of it is written as it is."""
    found = messages.AccessLog(name="envoy.access_loggers.stdout")
    sink = messages.StdoutAccessLog()
    fields = sink.log_format.json_format.fields
    constant = {"gateway": gateway, "listener": listener} | ({} if http or not route else {"route": route})
    for name, value in sorted(
        (_COMMON | (_HTTP if http else {}) | {k: literal(v) for k, v in constant.items()}).items()
    ):
        fields[name].string_value = value
    sink.log_format.omit_empty_values = True
    found.typed_config.CopyFrom(packed(sink))
    return found
