"""The `kubernetes` plugin's lines (plugin/kubernetes/setup.go); pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from seaway.api.selectors import SelectorError, parse_labels
from seaway.dns.corefile.lines import Directive, Line
from seaway.dns.corefile.quantities import duration, one_of, whole
from seaway.dns.corefile.scope import Scope, only
from seaway.dns.corefile.zones import fallthrough, is_reverse, written, zones
from seaway.dns.settings import MAX_TTL, Kubernetes

POD_MODES = ("disabled", "insecure", "verified")
PROPERTIES = (
    "endpoint_pod_names pods namespaces endpoint tls labels namespace_labels fallthrough ttl noendpoints zonal ignore "
    "kubeconfig multicluster startup_timeout apiserver_qps apiserver_burst apiserver_max_inflight"
).split()
_GONE = {
    "upstream": "it was removed in CoreDNS 1.7, as names are always looked up by the server itself: delete the line",
    "resyncperiod": "it was removed in CoreDNS 1.7: delete the line",
    "transfer": "zone transfers are a plugin of their own since CoreDNS 1.7: delete the line",
}


def kubernetes(found: Sequence[Directive], scope: Scope) -> Kubernetes:
    directive = only(found)
    served = zones(directive.args, directive.line) or scope.zones
    if all(is_reverse(zone) for zone in served):
        raise directive.line.error("at least one zone must not be a reverse zone, like cluster.local")
    settings, zonal = Kubernetes(zones=served), None
    for line in directive.properties:
        if line.word == "zonal":
            line.alone()
            zonal = line
        settings = _property(settings, line, scope)
    if settings.namespaces and settings.namespace_labels:
        raise directive.line.error("namespaces and namespace_labels cannot both be set; delete one of them")
    if zonal and settings.noendpoints:
        raise zonal.error("zonal needs endpoints; delete zonal or noendpoints")
    return settings


def _property(settings: Kubernetes, line: Line, scope: Scope) -> Kubernetes:
    match line.word:
        case "pods":
            (mode,) = line.takes(1, 1, "pods " + "|".join(POD_MODES))
            return replace(settings, pods=one_of(line, mode, POD_MODES))
        case "endpoint_pod_names":
            line.alone()
            return replace(settings, endpoint_pod_names=True)
        case "ttl":
            seconds = line.takes(1, None, "ttl SECONDS")[0]
            return replace(settings, ttl=whole(line, seconds, 0, MAX_TTL))
        case "noendpoints":
            line.alone()
            return replace(settings, noendpoints=True)
        case "ignore":
            if line.args:
                one_of(line, line.args[0], ("empty_service",))
                return replace(settings, ignore_empty_service=True)
            return settings
        case "namespaces":
            names = line.takes(1, None, "namespaces NAMESPACE...")
            return replace(settings, namespaces=tuple(dict.fromkeys((*settings.namespaces, *names))))
        case "labels":
            return replace(settings, labels=_selector(line))
        case "namespace_labels":
            return replace(settings, namespace_labels=_selector(line))
        case "fallthrough":
            return replace(settings, fallthrough=fallthrough(line))
        case "startup_timeout":
            text = line.takes(1, None, "startup_timeout DURATION")[0]
            return replace(settings, startup_timeout=duration(line, text))
    _without_effect(settings, line, scope)
    return settings


def _selector(line: Line) -> str:
    text = " ".join(line.takes(1, None, f"{line.word} SELECTOR"))
    try:
        parse_labels(text)
    except SelectorError as e:
        raise line.error(f"{line.word}: {e}") from None
    return text


def _without_effect(settings: Kubernetes, line: Line, scope: Scope) -> None:
    """What is checked, and has no effect here."""
    match line.word:
        case "endpoint":
            line.takes(1, None, "endpoint URL")
            scope.ignore(line, "endpoint has no effect: the API server is that of the service account or of the server's flags")
        case "tls":
            line.takes(3, 3, "tls CERT KEY CA")
            scope.ignore(line, "tls has no effect: the API server is that of the service account or of the server's flags")
        case "kubeconfig":
            line.takes(1, 2, "kubeconfig FILE [CONTEXT]")
            scope.ignore(line, "kubeconfig has no effect: start the server with --kubeconfig instead")
        case "apiserver_qps":
            (text,) = line.takes(1, 1, "apiserver_qps NUMBER")
            try:
                valid = float(text) >= 0
            except ValueError:
                valid = False
            if not valid:
                raise line.error(f"apiserver_qps must be a number of at least 0, not {text!r}")
            scope.ignore(line, "apiserver_qps has no effect: the server lists once, then watches")
        case "apiserver_burst" | "apiserver_max_inflight":
            (text,) = line.takes(1, 1, f"{line.word} NUMBER")
            whole(line, text, 0)
            scope.ignore(line, f"{line.word} has no effect: the server lists once, then watches")
        case "multicluster":
            for zone in zones(line.args, line):
                if zone not in settings.zones:
                    served = ", ".join(written(z) for z in settings.zones)
                    raise line.error(f"multicluster {written(zone)}: it is not one of the plugin's zones ({served})")
            scope.ignore(line, "multicluster is not supported: ServiceImports are not answered")
        case "zonal":
            scope.ignore(line, "zonal is not supported: names of one zone are not answered")
        case _:
            raise line.unknown(PROPERTIES, _GONE.get(line.word, ""))
