"""What the proxy measures, under kube-proxy's names (pkg/proxy/metrics/metrics.go)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from seaway.metrics.families import Counter, Gauge, Registry, exponential
from seaway.proxy.planes import RuleCount
from seaway.proxy.table import CLUSTER, Refusal, ServicePart, Split

FAMILY = {4: "IPv4", 6: "IPv6"}
PREFIX = "kubeproxy_"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
PROGRAMMING = (
    0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 300, 30), 300,
)  # fmt: skip


class Metrics:
    """`mode` names the families that only that mode has; `parts` gives what Services contribute, to be counted when asked, and
    `rules` the rules of a mode that counts them."""

    def __init__(
        self,
        mode: str,
        parts: Callable[[], Iterable[tuple[int, ServicePart]]],
        rules: Callable[[], Iterable[RuleCount]] | None = None,
    ) -> None:
        r = self.registry = Registry()
        short = exponential(0.001, 2, 15)
        labels = ("ip_family",)

        def name(text: str) -> str:
            return PREFIX + text

        self.sync = r.histogram(name("sync_proxy_rules_duration_seconds"), "SyncProxyRules latency", short, labels)
        self.full = r.histogram(name("sync_full_proxy_rules_duration_seconds"), "of full resyncs", short, labels)
        self.partial = r.histogram(name("sync_partial_proxy_rules_duration_seconds"), "of partial syncs", short, labels)
        self.programming = r.histogram(
            name("network_programming_duration_seconds"), "In Cluster Network Programming Latency", PROGRAMMING, labels
        )
        self.last = r.gauge(name("sync_proxy_rules_last_timestamp_seconds"), "The last successful sync", labels)
        self.queued = r.gauge(name("sync_proxy_rules_last_queued_timestamp_seconds"), "The last change queued", labels)
        self.service_changes = r.counter(name("sync_proxy_rules_service_changes_total"), "Service changes", labels)
        self.endpoint_changes = r.counter(name("sync_proxy_rules_endpoint_changes_total"), "Endpoint changes", labels)
        self.service_pending = r.gauge(name("sync_proxy_rules_service_changes_pending"), "not synced yet", labels)
        self.endpoint_pending = r.gauge(name("sync_proxy_rules_endpoint_changes_pending"), "not synced yet", labels)
        self.healthz = r.counter(name("proxy_healthz_total"), "Answers of /healthz", ("code",))
        self.livez = r.counter(name("proxy_livez_total"), "Answers of /livez", ("code",))
        self.reconciled = r.histogram(
            name("conntrack_reconciler_sync_duration_seconds"), "of looking through UDP flows", short, labels
        )
        self.forgotten = r.counter(name("conntrack_reconciler_deleted_entries_total"), "UDP flows ended", labels)
        kind = "iptables_restore" if mode in ("iptables", "ipvs") else "nftables_sync"
        self.failures = r.counter(name(f"sync_proxy_rules_{kind}_failures_total"), "Refused by the kernel", labels)
        self.audits = r.counter(name("audit_repairs_total"), "States of the kernel that somebody had changed", labels)
        self._no_local = r.gauge(
            name("sync_proxy_rules_no_local_endpoints_total"),
            "Services with a Local policy and no endpoint here",
            ("traffic_policy", "ip_family"),
        )
        self.partial_failures: Counter | None = None
        if mode == "iptables":
            text = name("sync_proxy_rules_iptables_partial_restore_failures_total")
            self.partial_failures = r.counter(text, "Changes refused by the kernel", labels)
        if rules is not None:
            of_table = ("table", "ip_family")
            total = r.gauge(name("sync_proxy_rules_iptables_total"), "Rules of ours", of_table)
            last = r.gauge(name("sync_proxy_rules_iptables_last"), "Rules that the last sync wrote", of_table)
            r.before.append(partial(_count_rules, total, last, rules))
        self._parts = parts
        r.before.append(self._count)

    def _count(self) -> None:
        found = {(policy, family): 0 for policy in ("internal", "external") for family in FAMILY.values()}
        for family, part in self._parts():
            here = FAMILY[family]
            ways = (*part.vips.values(), *part.node_ports.values())
            inside = any(
                w.kind == CLUSTER and isinstance(w.answer, Refusal) and w.answer.verdict == "drop" for w in ways
            )
            found["internal", here] += inside
            found["external", here] += any(isinstance(w.answer, Split) and not w.answer.local for w in ways)
        for labels, count in found.items():
            self._no_local.set(count, *labels)

    def refused(self, family: int, whole: bool) -> None:
        """The kernel has refused a sync."""
        self.failures.inc(FAMILY[family])
        if self.partial_failures is not None and not whole:
            self.partial_failures.inc(FAMILY[family])

    def changed(self, families: Iterable[int], endpoints: bool) -> None:
        """A Service, or one of its slices, has changed and waits for a sync."""
        now = time.time()
        total = self.endpoint_changes if endpoints else self.service_changes
        pending = self.endpoint_pending if endpoints else self.service_pending
        for family in families:
            total.inc(FAMILY[family])
            pending.inc(FAMILY[family])
            self.queued.set(now, FAMILY[family])

    def synced(self, family: int, seconds: float, whole: bool, triggers: Iterable[float]) -> None:
        """A family is in the kernel; `triggers` are when what led to it has happened, in seconds since the epoch."""
        here, now = FAMILY[family], time.time()
        self.sync.observe(seconds, here)
        (self.full if whole else self.partial).observe(seconds, here)
        self.last.set(now, here)
        self.service_pending.set(0, here)
        self.endpoint_pending.set(0, here)
        for trigger in triggers:
            self.programming.observe(max(now - trigger, 0.0), here)


def _count_rules(total: Gauge, last: Gauge, rules: Callable[[], Iterable[RuleCount]]) -> None:
    for found in rules():
        total.set(found.total, found.table, FAMILY[found.family])
        last.set(found.last, found.table, FAMILY[found.family])
