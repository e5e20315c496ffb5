"""The gateway's metrics. Series are bounded by the families themselves; none is labelled by route."""

from __future__ import annotations

from seaway.metrics.families import Registry

SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)


class Measures:
    def __init__(self) -> None:
        self.registry = Registry()
        self._settle = self.registry.histogram(
            "seaway_gateway_settle_seconds", "Time from changed objects to what is programmed and written.", SECONDS
        )
        self._decisions = self.registry.counter(
            "seaway_gateway_decisions_total", "Decisions that were made, anew or for the first time."
        )
        self.statuses = self.registry.counter("seaway_gateway_status_writes_total", "Statuses that were written.")
        self.resources = self.registry.gauge(
            "seaway_gateway_xds_resources", "Resources that the proxies of a fleet are to hold.", ("fleet",)
        )
        self.proxies = self.registry.gauge(
            "seaway_gateway_xds_proxies", "Proxies of a fleet that are connected.", ("fleet",)
        )
        self.rejected = self.registry.gauge(
            "seaway_gateway_xds_rejected", "Resources that a fleet's proxies refuse.", ("fleet",)
        )

        self._sent = self.registry.counter(
            "seaway_gateway_xds_sent_total", "Resources, and removals, that a fleet's proxies were sent.", ("fleet",)
        )

        self.counted = self.registry.counter(
            "seaway_gateway_limited_requests_total",
            "Requests that the global limits of a fleet counted: passed, or refused.",
            ("fleet", "verdict"),
        )
        self.buckets = self.registry.gauge(
            "seaway_gateway_limit_buckets", "Buckets of a fleet's global limits that are not full.", ("fleet",)
        )

    def count(self, fleet: str, verdict: str, buckets: int) -> None:
        self.counted.inc(fleet, verdict)
        self.buckets.set(buckets, fleet)

    def sent(self, fleet: str, total: int) -> None:
        self._sent.add(max(0, total - self._sent.value(fleet)), fleet)

    def settled(self, seconds: float, decided: int) -> None:
        self._settle.observe(seconds)
        self._decisions.add(decided - self._decisions.value())
