"""Settings as lines that a person reads: what will be done, and what is ignored; pure."""

from __future__ import annotations

from collections.abc import Iterator

from seaway.dns.corefile.zones import written
from seaway.dns.settings import Block, Cache, Forward, Hosts, Kubernetes, Name, Rewrite, Settings, Upstream


def describe(settings: Settings) -> list[str]:
    """One line a listener, indented lines for what it does, then the server's own and what has no effect."""
    lines: list[str] = []
    for block in settings.blocks:
        lines.append(_listener(block))
        lines += ["  " + line for line in _block(block)]
    lines += _server(settings)
    return lines + [f"ignored: {sentence}" for sentence in settings.ignored]


def _listed(zones: tuple[Name, ...]) -> str:
    return ", ".join(written(z) for z in zones)


def _below(zones: tuple[Name, ...]) -> str:
    return f" below {_listed(zones)}" if zones else ""


def _seconds(value: float) -> str:
    return f"{value:g} s"


def _listener(block: Block) -> str:
    kind = "TLS" if block.transport == "tls" else "UDP and TCP"
    where = ", ".join(block.binds) or "all addresses"
    return f"port {block.port} ({kind}) on {where}: {_listed(block.zones)}"


def _block(block: Block) -> Iterator[str]:
    """In the order in which a query passes them."""
    if block.tls:
        asked = f", clients: {block.tls.client_auth}" if block.tls.client_auth != "nocert" else ""
        yield f"certificate {block.tls.certificate}{asked}"
    if block.bufsize:
        yield f"answers by UDP of at most {block.bufsize} octets"
    if block.errors:
        yield "errors are logged"
        for row in block.errors.consolidate:
            yield f"  those like {row.pattern!r} once in {_seconds(row.period)} ({row.level})"
    for log in block.logs:
        yield f"queries{_below(log.zones)} are logged ({', '.join(log.classes)}) as {log.format}"
    if block.hinfo_for_any:
        yield "queries of type ANY get one HINFO record"
    for rule in block.rewrites:
        yield _rewrite(rule)
    if block.autopath:
        after = ("the cluster's search path" if block.autopath.cluster else "", block.autopath.file)
        yield f"autopath{_below(block.autopath.zones)}: {', then '.join(a for a in after if a) or 'none'}"
    for access in block.access:
        types, networks = ", ".join(access.types) or "all types", ", ".join(access.networks) or "all clients"
        yield f"{access.action}{_below(access.zones)}: {types} from {networks}"
    if block.cache:
        yield from _cache(block.cache)
    if block.hosts:
        yield _hosts(block.hosts)
    if block.kubernetes:
        yield _kubernetes(block.kubernetes)
    if block.loop:
        yield "a forwarding loop is looked for at the start"
    for forward in block.forwards:
        yield _forward(forward)
    if block.loadbalance:
        yield "the addresses of an answer take turns"
    if block.minimal:
        yield "answers go without records that were not asked for"
    if not (block.kubernetes or block.hosts or block.forwards):
        yield "nothing answers here: queries are refused"


def _rewrite(rule: Rewrite) -> str:
    end = "" if rule.stop else ", then the next rule"
    if rule.field == "edns0":
        return f"rewrite edns0 {' '.join(rule.edns)}{end}"
    turn = f"{rule.old} ({rule.match})" if rule.field in ("name", "ttl", "rcode") else rule.old
    if rule.field == "rcode":
        return f"rewrite rcode of {turn}: {rule.rcode} to {rule.new}{end}"
    if rule.field == "ttl":
        return f"rewrite ttl of {turn}: {rule.new} s{end}"
    back = ", answers turned back" if rule.answer_auto else ""
    return f"rewrite {rule.field} {turn} to {rule.new}{back}{end}"


def _cache(cache: Cache) -> Iterator[str]:
    yield (
        f"cache{_below(cache.zones)}: {cache.entries} answers up to {cache.max_ttl} s, {cache.denial_entries} denials up to "
        f"{cache.denial_max_ttl} s, SERVFAIL {_seconds(cache.servfail_ttl)}"
    )
    if cache.prefetch:
        often = f"{cache.prefetch} queries within {_seconds(cache.prefetch_window)}"
        yield f"  asked again after {often}, at {cache.prefetch_percent} % of the TTL"
    if cache.serve_stale:
        first = "after the upstream was asked" if cache.stale_verify else "at once"
        yield f"  stale answers for {_seconds(cache.serve_stale)}, {first}"
    for kind, zones in (("answers", cache.disable_success), ("denials", cache.disable_denial)):
        if zones is not None:
            yield f"  no {kind} are kept{_below(zones)}"


def _fallthrough(zones: tuple[Name, ...] | None) -> str:
    if zones is None:
        return "unknown names end here"
    return "unknown names go on" + ("" if () in zones else _below(zones))


def _hosts(hosts: Hosts) -> str:
    rows = f" and {len(hosts.rows)} rows" if hosts.rows else ""
    return f"hosts{_below(hosts.zones)}: {hosts.file}{rows}, ttl {hosts.ttl} s; {_fallthrough(hosts.fallthrough)}"


def _kubernetes(kubernetes: Kubernetes) -> str:
    parts = [f"pods {kubernetes.pods}", f"ttl {kubernetes.ttl} s"]
    parts += ["no endpoints"] if kubernetes.noendpoints else []
    parts += ["Services without endpoints are unknown"] if kubernetes.ignore_empty_service else []
    parts += ["endpoints by pod name"] if kubernetes.endpoint_pod_names else []
    parts += [f"namespaces {', '.join(kubernetes.namespaces)}"] if kubernetes.namespaces else []
    parts += [f"namespaces with {kubernetes.namespace_labels}"] if kubernetes.namespace_labels else []
    parts += [f"Services with {kubernetes.labels}"] if kubernetes.labels else []
    return f"kubernetes {_listed(kubernetes.zones)}: {', '.join(parts)}; {_fallthrough(kubernetes.fallthrough)}"


def _upstream(upstream: Upstream) -> str:
    host = f"[{upstream.host}]" if ":" in upstream.host else upstream.host
    name = f" ({upstream.server_name})" if upstream.server_name else ""
    return ("tls://" if upstream.tls else "") + f"{host}:{upstream.port}{name}"


def _forward(forward: Forward) -> str:
    to = [_upstream(u) for u in forward.upstreams] + [f"those of {f}" for f in forward.files]
    excepted = f", not {_listed(forward.excepted)}" if forward.excepted else ""
    bounds = f", at most {forward.max_concurrent} at once" if forward.max_concurrent else ""
    transport = ", by TCP" if forward.force_tcp else ", by UDP first" if forward.prefer_udp else ""
    return f"forward {written(forward.origin)}{excepted} to {', '.join(to)} ({forward.policy}{transport}{bounds})"


def _server(settings: Settings) -> Iterator[str]:
    yield f"health on {settings.health}, {_seconds(settings.lameduck)} lameduck" if settings.health else "no health endpoint"
    yield f"ready on {settings.ready}" if settings.ready else "no ready endpoint"
    yield f"metrics on {settings.metrics}" if settings.metrics else "no metrics"
    if settings.reload:
        around = f", spread over {_seconds(settings.reload_jitter)}" if settings.reload_jitter else ""
        yield f"the Corefile is read again every {_seconds(settings.reload)}{around}"
    else:
        yield "the Corefile is read once"
    if settings.workers:
        yield f"{settings.workers} worker processes"
