"""Listeners, as Gateways and ListenerSets have them, and their status."""

from __future__ import annotations

from seaway.api.gateway.conditions import conditions
from seaway.api.gateway.names import HOSTNAME, LABEL_PATTERN, OPTION, PORT, SECTION_NAME
from seaway.api.gateway.references import LABEL_SELECTOR, ROUTE_KIND, SECRET
from seaway.api.gateway.schema import Tree, choice, defaulted, keyed, listing, mapping, record, rule, text, told, whole

PROTOCOL = text(1, 255, rf"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|{LABEL_PATTERN}(\.{LABEL_PATTERN})*\/[A-Za-z0-9]+$")


def namespaces(default: str, *more: str) -> Tree:
    """Which namespaces something may come from."""
    choices = defaulted(choice("All", "Selector", "Same", *more), default)
    return defaulted(record({"from": choices, "selector": LABEL_SELECTOR}), {"from": default})


TLS = record(
    {
        "mode": defaulted(choice("Terminate", "Passthrough"), "Terminate"),
        "certificateRefs": told(listing(SECRET, None, 64), "Secrets with tls.crt and tls.key."),
        "options": mapping(OPTION, 16),
    },
    rule(
        "self.mode == 'Terminate' ? size(self.certificateRefs) > 0 || size(self.options) > 0 : true",
        "certificateRefs or options must be specified when mode is Terminate",
    ),
)
ALLOWED_ROUTES = defaulted(
    record({"namespaces": namespaces("Same"), "kinds": listing(ROUTE_KIND, None, 8)}), {"namespaces": {"from": "Same"}}
)
LISTENER = record(
    {
        "name!": SECTION_NAME,
        "hostname": told(HOSTNAME, "Only requests to this host; any where it is absent."),
        "port!": PORT,
        "protocol!": told(PROTOCOL, "HTTP, HTTPS, TLS, TCP or UDP."),
        "tls": TLS,
        "allowedRoutes": told(ALLOWED_ROUTES, "Which routes may attach: of which namespaces, of which kinds."),
    }
)


def listeners(ports: bool) -> Tree:
    """A list of them. `ports`: each surely has a port; the rule of distinct listeners leaves out those that have none."""
    each, has_port = ("", "") if ports else ("!has(l1.port) || ", "has(l2.port) && ")
    hosts = (
        "(has(l1.hostname) && has(l2.hostname) ? l1.hostname == l2.hostname : !has(l1.hostname) && !has(l2.hostname))"
    )
    return keyed(
        LISTENER,
        ["name"],
        1,
        64,
        rule(
            "self.all(l, l.protocol in ['HTTP', 'TCP', 'UDP'] ? !has(l.tls) : true)",
            "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
        ),
        rule(
            "self.all(l, (l.protocol == 'HTTPS' && has(l.tls)) ? "
            "(l.tls.mode == '' || l.tls.mode == 'Terminate') : true)",
            "tls mode must be Terminate for protocol HTTPS",
        ),
        rule(
            "self.all(l, (l.protocol == 'TLS' ? has(l.tls) && has(l.tls.mode) && l.tls.mode != '' : true))",
            "tls mode must be set for protocol TLS",
        ),
        rule(
            "self.all(l, l.protocol in ['TCP', 'UDP'] ? (!has(l.hostname) || l.hostname == '') : true)",
            "hostname must not be specified for protocols ['TCP', 'UDP']",
        ),
        rule(
            "self.all(l1, self.exists_one(l2, l1.name == l2.name))", "Listener name must be unique within the Gateway"
        ),
        rule(
            f"self.all(l1, {each}self.exists_one(l2, {has_port}l1.port == l2.port && l1.protocol == l2.protocol && "
            f"{hosts}))",
            "Combination of port, protocol and hostname must be unique for each listener",
        ),
    )


LISTENER_STATUS = keyed(
    record(
        {
            "name!": SECTION_NAME,
            "supportedKinds": listing(ROUTE_KIND, None, 8),
            "attachedRoutes!": whole(),
            "conditions!": conditions(),
        }
    ),
    ["name"],
    None,
    64,
)
