"""The API server's metrics, by upstream's names; their labels are those of served kinds, so that they are bounded.

k8s.io/apiserver pkg/endpoints/metrics, pkg/admission/metrics, pkg/storage/etcd3/metrics.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from seaway.api.kinds import Kind
from seaway.cluster.apiserver import discovery
from seaway.cluster.apiserver.trace import Trace
from seaway.metrics import process
from seaway.metrics.families import Registry, exponential

if TYPE_CHECKING:
    from seaway.cluster.apiserver.storage import Storage
    from seaway.cluster.apiserver.webhooks.admission import Called

COMPONENT = "apiserver"
SECONDS = (
    *(0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5),
    *(2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60),
)
WEBHOOK_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)
WHAT = ("group", "version", "resource", "subresource", "scope", "component")
PATHS = frozenset(
    {"/healthz", "/livez", "/readyz", "/version", "/metrics", "/openapi/v2", "/openapi/v3", "/api", "/apis"}
)
CONVERSION_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 45, 60)
READS = ("GET", "LIST", "WATCH")
KNOWN_USERS = frozenset({"admin", "system:anonymous", "system:apiserver", "apiserver-loopback-client"})


class Metrics:
    """What the door, the storage and the webhooks tell; `registry` is what /metrics shows."""

    def __init__(self) -> None:
        r = self.registry = Registry()
        self.requests = r.counter(
            "apiserver_request_total",
            "[STABLE] Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, "
            "scope, component, and HTTP response code.",
            ("verb", "dry_run", *WHAT, "code"),
            5000,
        )
        self.seconds = r.histogram(
            "apiserver_request_duration_seconds",
            "[STABLE] Response latency distribution in seconds for each verb, dry run value, group, version, resource, "
            "subresource, scope and component.",
            SECONDS,
            ("verb", "dry_run", *WHAT),
        )
        self.sizes = r.histogram(
            "apiserver_response_sizes",
            "[STABLE] Response size distribution in bytes for each group, version, verb, resource, subresource, scope "
            "and component.",
            exponential(1000, 10, 7),
            ("verb", *WHAT),
        )
        self.long = r.gauge(
            "apiserver_longrunning_requests",
            "[STABLE] Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, "
            "scope and component. Not all requests are tracked this way.",
            ("verb", *WHAT),
        )
        self.inflight = r.gauge(
            "apiserver_current_inflight_requests",
            "[STABLE] Number of requests that this apiserver is working on now, per request kind.",
            ("request_kind",),
        )
        self.watch_events = r.counter(
            "apiserver_watch_events_total",
            "[ALPHA] Number of events sent in watch clients",
            ("group", "version", "resource"),
        )
        self.attempts = r.counter("authentication_attempts", "[ALPHA] Counter of authenticated attempts.", ("result",))
        self.users = r.counter(
            "authenticated_user_requests",
            "[ALPHA] Counter of authenticated requests broken out by username.",
            ("username",),
        )
        self.decisions = r.counter(
            "apiserver_authorization_decisions_total",
            "[ALPHA] Total number of terminal decisions made by an authorizer split by authorizer type, name, and "
            "decision.",
            ("type", "name", "decision"),
        )
        self._webhooks(r)
        self.audit_events = r.counter(
            "apiserver_audit_event_total", "[ALPHA] Counter of audit events generated and sent to the audit backend."
        )
        self.audit_errors = r.counter(
            "apiserver_audit_error_total",
            "[ALPHA] Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected "
            "by the error.",
            ("plugin",),
        )
        self.audit_levels = r.counter(
            "apiserver_audit_level_total",
            "[ALPHA] Counter of policy levels for audit events (1 per request).",
            ("level",),
        )
        self.policy_checks = r.counter(
            "apiserver_validating_admission_policy_check_total",
            "[BETA] Validation admission policy check total, labeled by policy and further identified by binding and "
            "enforcement action taken.",
            ("policy", "policy_binding", "enforcement_action", "error_type"),
        )
        self.deprecated = r.gauge(
            "apiserver_requested_deprecated_apis",
            "[STABLE] Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, "
            "subresource, and removed_release.",
            ("group", "version", "resource", "subresource", "removed_release"),
        )
        self.conversions = r.counter(
            "apiserver_conversion_webhook_request_total",
            "[ALPHA] Counter for conversion webhook requests with success/failure and failure error type",
            ("result", "failure_type"),
        )
        self.conversion_seconds = r.histogram(
            "apiserver_conversion_webhook_duration_seconds",
            "[ALPHA] Conversion webhook request latency",
            CONVERSION_SECONDS,
            ("result", "failure_type"),
        )
        # What health checks found has a path of its own, /metrics/slis, as upstream has it.
        r = self.slis = Registry()
        self.health = r.gauge(
            "kubernetes_healthcheck",
            "[STABLE] This metric records the result of a single healthcheck.",
            ("name", "type"),
        )
        self.health_total = r.counter(
            "kubernetes_healthchecks_total",
            "[STABLE] This metric records the results of all healthcheck.",
            ("name", "type", "status"),
        )
        self._build(self.registry)
        process.add(self.registry)

    def _webhooks(self, r: Registry) -> None:
        prefix = "apiserver_admission_webhook_"
        self.webhook_seconds = r.histogram(
            f"{prefix}admission_duration_seconds",
            "[STABLE] Admission webhook latency histogram in seconds, identified by name and broken out for each "
            "operation and API resource and type (validate or admit).",
            WEBHOOK_SECONDS,
            ("name", "type", "operation", "rejected"),
        )
        self.webhook_requests = r.counter(
            f"{prefix}request_total",
            "[ALPHA] Admission webhook request total, identified by name and broken out for each admission type "
            "(validating or admit) and operation.",
            ("name", "type", "operation", "code", "rejected"),
        )
        self.webhook_rejections = r.counter(
            f"{prefix}rejection_count",
            "[ALPHA] Admission webhook rejection count, identified by name and broken out for each admission type "
            "(validating or admit) and operation.",
            ("name", "type", "operation", "error_type", "rejection_code"),
        )
        self.webhook_open = r.counter(
            f"{prefix}fail_open_count",
            "[ALPHA] Admission webhook fail open count, identified by name and broken out for each admission type "
            "(validating or admit).",
            ("name", "type"),
        )

    @staticmethod
    def _build(r: Registry) -> None:
        told = discovery.version()
        names = (
            "buildDate",
            "compiler",
            "gitCommit",
            "gitTreeState",
            "gitVersion",
            "goVersion",
            "major",
            "minor",
            "platform",
        )
        labels = (
            "build_date",
            "compiler",
            "git_commit",
            "git_tree_state",
            "git_version",
            "go_version",
            "major",
            "minor",
            "platform",
        )
        info = r.gauge("kubernetes_build_info", "[ALPHA] A metric with a constant '1' value.", labels)
        info.set(1, *(str(told.get(name, "")) for name in names))

    # requests

    @staticmethod
    def _what(trace: Trace) -> tuple[str, ...]:
        """The labels of what a request is about, its verb first; none where nobody could count them all."""
        if trace.labels is not None:
            return trace.labels
        kind, info = trace.kind, trace.info
        found: tuple[str, ...] = ()
        if kind is not None:
            found = trace.verb, kind.group, kind.version, kind.resource, info.subresource, trace.scope, COMPONENT
        elif not info.is_resource and info.path in PATHS:
            found = trace.verb, "", "", "", info.path, "", COMPONENT
        trace.labels = found
        return found

    def began(self, trace: Trace) -> None:
        """A request for a resource whose user may do it: it is being worked on from here."""
        what = self._what(trace)
        if trace.long:
            self.long.inc(*what)
        else:
            self.inflight.inc("readOnly" if what[0] in READS else "mutating")

    def stopped(self, trace: Trace) -> None:
        """The other end of `began`."""
        what = self._what(trace)
        if trace.long:
            self.long.dec(*what)
        else:
            self.inflight.dec("readOnly" if what[0] in READS else "mutating")

    def ended(self, trace: Trace, code: int, seconds: float, size: int) -> None:
        """Every request, answered; `size` of its body where it is known, else -1."""
        what = self._what(trace)
        if not what:
            return
        verb, *about = what
        dry_run = "All" if trace.dry_run else ""
        self.requests.inc(verb, dry_run, *about, str(code))
        self.seconds.observe(seconds, verb, dry_run, *about)
        if size >= 0 and verb in ("GET", "LIST"):
            self.sizes.observe(size, *what)

    def sent(self, kind: Kind, count: int) -> None:
        """Events that left in a watch."""
        self.watch_events.add(count, kind.group, kind.version, kind.resource)

    def identified(self, name: str) -> None:
        """Who asked, as upstream compresses it: known names, and others."""
        self.attempts.inc("success")
        self.users.inc(name if name in KNOWN_USERS else "other")

    # others

    def called(self, called: Called) -> None:
        """A webhook was asked."""
        rejected, code = str(called.rejected).lower(), str(min(called.code, 600))
        self.webhook_seconds.observe(called.seconds, called.name, called.type, called.operation, rejected)
        self.webhook_requests.inc(called.name, called.type, called.operation, code, rejected)
        if called.rejected:
            self.webhook_rejections.inc(called.name, called.type, called.operation, called.error, code)
        elif called.error:
            self.webhook_open.inc(called.name, called.type)

    def asked(self, seconds: float, failure: str) -> None:
        """A conversion webhook was asked; `failure` empty where it converted."""
        result = "failure" if failure else "success"
        self.conversions.inc(result, failure)
        self.conversion_seconds.observe(seconds, result, failure)

    def checked(self, name: str, path: str, well: bool) -> None:
        """A health check was made."""
        self.health.set(1 if well else 0, name, path)
        self.health_total.inc(name, path, "success" if well else "error")

    def watch_seats(self, figures: Callable[[], dict[str, tuple[int, int]]]) -> None:
        """How many requests of each priority level run and wait, counted when somebody looks."""
        prefix = "apiserver_flowcontrol_current_"
        running = self.registry.gauge(
            f"{prefix}executing_requests",
            "[BETA] Number of requests in initial (for a WATCH) or any (for a non-WATCH) execution stage in the API "
            "Priority and Fairness subsystem",
            ("priority_level",),
        )
        waiting = self.registry.gauge(
            f"{prefix}inqueue_requests",
            "[BETA] Number of requests currently pending in queues of the API Priority and Fairness subsystem",
            ("priority_level",),
        )

        def measure() -> None:
            for level, (runs, waits) in figures().items():
                running.set(runs, level)
                waiting.set(waits, level)

        self.registry.before.append(measure)

    def watch_storage(self, storage: Storage) -> None:
        """The numbers and the size of what is stored, counted when somebody looks."""
        old = self.registry.gauge(
            "apiserver_storage_objects",
            "[STABLE] [DEPRECATED, consider using apiserver_resource_objects instead] Number of stored objects at the "
            "time of last check split by kind. In case of a fetching error, the value will be -1.",
            ("resource",),
        )
        objects = self.registry.gauge(
            "apiserver_resource_objects",
            "[ALPHA] Number of stored objects at the time of last check split by kind. In case of a fetching error, the "
            "value will be -1.",
            ("group", "resource"),
        )
        size = self.registry.gauge(
            "apiserver_storage_size_bytes",
            "[STABLE] Size of the storage database file physically allocated in bytes.",
            ("storage_cluster_id",),
        )
        watchers = self.registry.gauge(
            "apiserver_registered_watchers", "[ALPHA] Number of watches that are open now.", ("group", "resource")
        )

        def measure() -> None:
            for gauge in (old, objects, watchers):
                gauge.clear()
            for name, table in storage.objects.items():
                resource, _, group = name.partition(".")
                old.set(len(table), name)
                objects.set(len(table), group, resource)
            for name, watches in storage.watches.items():
                resource, _, group = name.partition(".")
                watchers.set(len(watches), group, resource)
            size.set(_file_size(storage.journal.path), "sqlite")

        self.registry.before.append(measure)


def _file_size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
