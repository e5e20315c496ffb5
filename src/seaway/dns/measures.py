"""The workers' counts as CoreDNS's metrics; pure. Dashboards and alerts made for CoreDNS read them as they are."""

from __future__ import annotations

from collections.abc import Iterable

from seaway import __version__
from seaway.dns import wire
from seaway.dns.settings import Settings
from seaway.dns.tally import DURATIONS, SIZES, Row
from seaway.metrics.exposition import escaped

# the tally's word -> (metric, help, labels; of histograms the bounds)
COUNTERS = {
    "requests": ("dns_requests_total", "Queries.", ("zone", "proto", "family", "type")),
    "responses": ("dns_responses_total", "Replies, by what they say and who knew.", ("zone", "rcode", "plugin")),
    "do": ("dns_do_requests_total", "Queries with the DO bit.", ("zone",)),
    "cache_hits": ("cache_hits_total", "Forwarded names that were known.", ("type",)),
    "cache_misses": ("cache_misses_total", "Forwarded names that had to be asked for.", ()),
    "cache_requests": ("cache_requests_total", "Queries for forwarded names.", ()),
    "prefetch": ("cache_prefetch_total", "Names asked for anew before their end.", ()),
    "served_stale": ("cache_served_stale_total", "Replies past their time, for want of better.", ()),
    "evictions": ("cache_evictions_total", "Answers that made room for others.", ()),
    "rejected": ("forward_max_concurrent_rejects_total", "Queries refused above max_concurrent.", ()),
    "probe_failures": ("proxy_healthcheck_failures_total", "Health checks without an answer.", ("to",)),
    "panics": ("panics_total", "Questions that failed within the server.", ()),
    "autopath": ("autopath_success_total", "Search paths walked to an answer.", ()),
    "hedged": ("seaway_hedged_total", "Questions asked of a second upstream because the first was late.", ()),
    "limited": ("seaway_limited_total", "Queries above the limit of their client.", ()),
    "ignored": ("seaway_ignored_total", "Packets that are no query.", ()),
    "unusable": ("seaway_unusable_total", "Upstreams' replies that could not be read.", ("to",)),
    "unsent": ("seaway_unsent_total", "Replies that the kernel did not take.", ()),
    "acl": ("seaway_acl_total", "Queries that a rule of acl stopped.", ("action", "zone")),
}
GAUGES = {"cache_entries": ("cache_entries", "Forwarded names that are known.", ("type",))}
HISTOGRAMS = {
    "duration": ("dns_request_duration_seconds", "From query to reply, in seconds.", ("zone",), DURATIONS),
    "request_size": ("dns_request_size_bytes", "Sizes of queries in bytes.", ("zone", "proto"), SIZES),
    "response_size": ("dns_response_size_bytes", "Sizes of replies in bytes.", ("zone", "proto"), SIZES),
    "upstream": ("proxy_request_duration_seconds", "Upstreams' answers, in seconds.", ("to", "rcode"), DURATIONS),
}


def exposition(rows: Iterable[Row], settings: Settings) -> str:
    """Prometheus' text format 0.0.4."""
    server = f"dns://:{settings.blocks[0].port}" if settings.blocks else "dns://:53"
    by_word: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    for word, labels, number in rows:
        by_word.setdefault(word, []).append((labels, number))
    lines = [
        *_head("build_info", "What answers.", "gauge"),
        f'coredns_build_info{{goversion="",revision="seaway",version="{__version__}"}} 1',
    ]
    for kind, table in (("counter", COUNTERS), ("gauge", GAUGES)):
        for word, (name, told, labels) in table.items():
            lines += _head(name, told, kind)
            lines += [_line(name, labels, values, number, server) for values, number in sorted(by_word.get(word, ()))]
            if not by_word.get(word) and not labels:
                lines.append(_line(name, (), (), 0, server))
    for word, (name, told, labels, bounds) in HISTOGRAMS.items():
        lines += _head(name, told, "histogram")
        lines += _histogram(name, labels, bounds, by_word, word, server)
    lines += _plugins(settings, server)
    return "\n".join(lines) + "\n"


def _head(name: str, told: str, kind: str) -> list[str]:
    return [f"# HELP coredns_{name} {told}", f"# TYPE coredns_{name} {kind}"]


def _line(name: str, labels: tuple[str, ...], values: tuple[str, ...], number: float, server: str) -> str:
    pairs = {**dict(zip(labels, values, strict=False)), **({} if name == "panics_total" else {"server": server})}
    if name.startswith("proxy_"):
        pairs = {**pairs, "proxy_name": "forward"}
        del pairs["server"]
    if name.startswith(("dns_", "cache_")):
        pairs["view"] = ""
    if name.startswith("cache_"):
        pairs["zones"] = "."
    shown = ",".join(f'{k}="{escaped(v)}"' for k, v in sorted(pairs.items()))
    text = str(int(number)) if float(number).is_integer() else repr(float(number))
    return f"coredns_{name}{{{shown}}} {text}" if shown else f"coredns_{name} {text}"


def _histogram(
    name: str,
    labels: tuple[str, ...],
    bounds: tuple[float, ...],
    by_word: dict[str, list[tuple[tuple[str, ...], float]]],
    word: str,
    server: str,
) -> list[str]:
    buckets: dict[tuple[str, ...], dict[str, float]] = {}
    for values, number in by_word.get(f"{word}_bucket", ()):
        buckets.setdefault(values[:-1], {})[values[-1]] = number
    sums, counts = dict(by_word.get(f"{word}_sum", ())), dict(by_word.get(f"{word}_count", ()))
    lines = []
    for values in sorted(counts):
        total = 0.0
        for bound in (*map(str, bounds), "+Inf"):
            total += buckets.get(values, {}).get(bound, 0)
            lines.append(_line(f"{name}_bucket", (*labels, "le"), (*values, bound), total, server))
        lines.append(_line(f"{name}_sum", labels, values, sums.get(values, 0), server))
        lines.append(_line(f"{name}_count", labels, values, counts[values], server))
    return lines


def _plugins(settings: Settings, server: str) -> list[str]:
    """Which plugins are on, zone by zone, as CoreDNS tells it."""
    lines = _head("plugin_enabled", "What a zone's block has.", "gauge")
    for block in settings.blocks:
        on = {
            "acl": block.access, "autopath": block.autopath, "cache": block.cache, "errors": block.errors,
            "forward": block.forwards, "hosts": block.hosts, "kubernetes": block.kubernetes,
            "loadbalance": block.loadbalance, "log": block.logs, "loop": block.loop, "rewrite": block.rewrites,
        }  # fmt: skip
        for zone in block.zones:
            text = wire.to_text(wire.name_of(zone))
            lines += [
                f'coredns_plugin_enabled{{name="{plugin}",server="{server}",view="",zone="{text}"}} 1'
                for plugin, value in on.items()
                if value
            ]
    return lines
