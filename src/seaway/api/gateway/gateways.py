"""GatewayClass, Gateway and ListenerSet."""

from __future__ import annotations

from seaway.api.gateway.conditions import waiting
from seaway.api.gateway.listeners import LISTENER_STATUS, listeners, namespaces
from seaway.api.gateway.names import CONTROLLER_NAME, HOST_PATTERN, LABEL_PATTERN, OBJECT_NAME, PORT, SUBDOMAIN_PATTERN
from seaway.api.gateway.references import ANYWHERE, GATEWAY, LOCAL, SECRET
from seaway.api.gateway.schema import (
    Tree,
    choice,
    defaulted,
    keyed,
    listing,
    mapping,
    record,
    rule,
    ruled,
    text,
    told,
    whole,
)

CLASS = {
    "spec!": record(
        {
            "controllerName!": told(
                ruled(CONTROLLER_NAME, rule("self == oldSelf", "Value is immutable")),
                "The controller that looks after Gateways of this class.",
            ),
            "parametersRef": ANYWHERE,
            "description": text(None, 64),
        }
    ),
    "status": waiting({"supportedFeatures": keyed(record({"name!": text()}), ["name"], None, 64)}, "Accepted"),
}

# meta/v1: what keys and values of labels look like
_KEY = rf"^({SUBDOMAIN_PATTERN}/)?([A-Za-z0-9][-A-Za-z0-9_.]{{0,61}})?[A-Za-z0-9]$"


def _keys(of: str) -> tuple[Tree, Tree]:
    return (
        rule(
            f'self.all(key, key.matches(r"""{_KEY}"""))',
            f"{of.capitalize()} keys must be in the form of an optional DNS subdomain prefix followed by a required name "
            "segment of up to 63 characters.",
        ),
        rule(
            'self.all(key, key.split("/")[0].size() < 253)',
            f"If specified, the {of} key's prefix must be a DNS subdomain not longer than 253 characters in total.",
        ),
    )


INFRASTRUCTURE = record(
    {
        "labels": mapping(text(0, 63, "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"), 8, *_keys("label")),
        "annotations": mapping(text(0, 4096), 16, *_keys("annotation")),
        "parametersRef": LOCAL,
    }
)

_IS_ADDRESS: list[Tree] = [
    {
        "properties": {
            "type": {"enum": ["IPAddress"]},
            "value": {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        }
    },
    {"properties": {"type": {"not": {"enum": ["IPAddress"]}}}},
]
ADDRESS_TYPE = text(
    1,
    253,
    r"^Hostname|IPAddress|NamedAddress|"
    rf"{LABEL_PATTERN}(\.{LABEL_PATTERN})*\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$",
)


def _address(value: dict[str, Tree], host: Tree) -> Tree:
    return {**record({"type": defaulted(ADDRESS_TYPE, "IPAddress"), **value}, host), "oneOf": _IS_ADDRESS}


def _distinct(kind: str) -> Tree:
    return rule(
        f"self.all(a1, a1.type == '{kind}' && has(a1.value) ? "
        "self.exists_one(a2, a2.type == a1.type && has(a2.value) && a2.value == a1.value) : true )",
        f"{kind} values must be unique",
    )


ADDRESSES = listing(
    _address(
        {"value": text(None, 253)},
        rule(
            f'self.type == \'Hostname\' ? (!has(self.value) || self.value.matches(r"""{HOST_PATTERN}""")): true',
            f"Hostname value must be empty or contain only valid characters (matching {HOST_PATTERN})",
        ),
    ),
    None,
    16,
    _distinct("IPAddress"),
    _distinct("Hostname"),
)
GIVEN_ADDRESSES = listing(
    _address(
        {"value!": text(1, 253)},
        rule(
            f'self.type == \'Hostname\' ? self.value.matches(r"""{HOST_PATTERN}"""): true',
            f"Hostname value must only contain valid characters (matching {HOST_PATTERN})",
        ),
    ),
    None,
    16,
)

FRONTEND = record(
    {
        "validation": record(
            {
                "caCertificateRefs!": listing(ANYWHERE, 1, 16),
                "mode": defaulted(choice("AllowValidOnly", "AllowInsecureFallback"), "AllowValidOnly"),
            }
        )
    }
)
GATEWAY_TLS = record(
    {
        "backend": told(record({"clientCertificateRef": SECRET}), "How backends know the Gateway."),
        "frontend": told(
            record(
                {
                    "default!": FRONTEND,
                    "perPort": keyed(
                        record({"port!": PORT, "tls!": FRONTEND}),
                        ["port"],
                        None,
                        64,
                        rule(
                            "self.all(t1, self.exists_one(t2, t1.port == t2.port))",
                            "Port for TLS configuration must be unique within the Gateway",
                        ),
                    ),
                }
            ),
            "How clients show who they are.",
        ),
    }
)
GATEWAY_FIELDS = {
    "spec!": record(
        {
            "gatewayClassName!": told(OBJECT_NAME, "The GatewayClass whose controller serves it."),
            "listeners!": told(listeners(ports=True), "Where it takes traffic: ports, protocols, hosts."),
            "addresses": told(ADDRESSES, "The addresses that are asked for."),
            "infrastructure": told(INFRASTRUCTURE, "What the objects that serve it carry."),
            "allowedListeners": record({"namespaces": namespaces("None", "None")}),
            "tls": GATEWAY_TLS,
        }
    ),
    "status": waiting(
        {
            "addresses": told(GIVEN_ADDRESSES, "The addresses that it is reached at."),
            "listeners": LISTENER_STATUS,
            "attachedListenerSets": whole(),
        },
        "Accepted",
        "Programmed",
    ),
}
LISTENER_SET = {
    "spec!": record(
        {
            "parentRef!": told(GATEWAY, "The Gateway that these listeners join."),
            "listeners!": listeners(ports=False),
        }
    ),
    "status": waiting({"listeners": LISTENER_STATUS}, "Accepted", "Programmed"),
}
