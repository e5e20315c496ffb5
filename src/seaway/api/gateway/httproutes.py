"""HTTPRoute, and what it shares with GRPCRoute."""

from __future__ import annotations

from seaway.api.gateway.conditions import ROUTE_STATUS
from seaway.api.gateway.filters import HTTP_FILTERS, METHODS
from seaway.api.gateway.names import DURATION, HEADER_NAME, HOSTNAME, PATH_PATTERN, SECTION_NAME
from seaway.api.gateway.references import PARENTS, weighted
from seaway.api.gateway.schema import (
    Tree,
    choice,
    defaulted,
    keyed,
    listing,
    record,
    rule,
    text,
    told,
    unique,
    whole,
)

MATCH_TYPE = defaulted(choice("Exact", "RegularExpression"), "Exact")
HOSTNAMES = told(listing(HOSTNAME, None, 16), "Hosts that requests must be for; any where there are none.")
# Of the experimental channel, GEP-1619.
SESSION_PERSISTENCE = record(
    {
        "sessionName": text(None, 128),
        "type": defaulted(choice("Cookie", "Header"), "Cookie"),
        "absoluteTimeout": DURATION,
        "cookieConfig": record({"lifetimeType": defaulted(choice("Permanent", "Session"), "Session")}),
    },
    rule(
        "!has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) || "
        "self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
        "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
    ),
    rule("!has(self.cookieConfig) || self.type == 'Cookie'", "cookieConfig can only be set with type Cookie"),
)
# Of the experimental channel, GEP-1731.
RETRY = record(
    {
        "codes": unique(whole(400, 599, None), None),
        "attempts": whole(1, None, None),
        "backoff": DURATION,
    }
)


def total(count: str) -> Tree:
    """The rule that bounds the matches of a route; `count` is how those of rule `%d` are counted."""
    parts = (f"(self.size() > {n} ? {count.replace('%d', str(n))} : 0)" for n in range(16))
    return rule(
        f"{' + '.join(parts)} <= 128",
        "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a route must "
        "be less than 128",
    )


_LITERAL = "self.type in ['Exact','PathPrefix']"
_WHEN = "when type one of ['Exact', 'PathPrefix']"


def _never(how: str, what: str, told: str) -> Tree:
    return rule(f"({_LITERAL}) ? !self.value.{how}('{what}') : true", f"must not {told} '{what}' {_WHEN}")


PATH = record(
    {
        "type": defaulted(choice("Exact", "PathPrefix", "RegularExpression"), "PathPrefix"),
        "value": defaulted(text(None, 1024), "/"),
    },
    rule(
        f"({_LITERAL}) ? self.value.startsWith('/') : true",
        f"value must be an absolute path and start with '/' {_WHEN}",
    ),
    *(_never("contains", what, "contain") for what in ("//", "/./", "/../", "%2f", "%2F", "#")),
    *(_never("endsWith", what, "end with") for what in ("/..", "/.")),
    rule(
        f"{_LITERAL} || self.type == 'RegularExpression'",
        "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
    ),
    rule(
        f'({_LITERAL}) ? self.value.matches(r"""{PATH_PATTERN}""") : true',
        f"must only contain valid characters (matching {PATH_PATTERN}) for types ['Exact', 'PathPrefix']",
    ),
)


def matched(most: int) -> Tree:
    """Headers or query parameters by their values."""
    return keyed(record({"type": MATCH_TYPE, "name!": HEADER_NAME, "value!": text(1, most)}), ["name"], None, 16)


_ROOT = {"type": "PathPrefix", "value": "/"}
MATCHES = defaulted(
    listing(
        record(
            {
                "path": defaulted(PATH, _ROOT),
                "headers": matched(4096),
                "queryParams": matched(1024),
                "method": choice(*METHODS),
            }
        ),
        None,
        64,
    ),
    [{"path": _ROOT}],
)


def _one_prefix(where: str, told: str, kind: str, field: str) -> Tree:
    """Only where a rule matches one prefix is it known what is to be replaced; `%s` in `where` is the question of filters."""
    asked = (
        f"exists_one(f, has(f.{field}) && has(f.{field}.path) && f.{field}.path.type == 'ReplacePrefixMatch' && "
        f"has(f.{field}.path.replacePrefixMatch))"
    )
    one = "size(self.matches) != 1 || !has(self.matches[0].path) || self.matches[0].path.type != 'PathPrefix'"
    return rule(
        f"({where.replace('%s', asked)}) ? (({one}) ? false : true) : true",
        f"{told} using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
    )


_OWN = "has(self.filters) && self.filters.%s"
_OF_BACKENDS = "has(self.backendRefs) && self.backendRefs.exists_one(b, (has(b.filters) && b.filters.%s))"
_RULE = record(
    {
        "name": SECTION_NAME,
        "matches": told(MATCHES, "Requests that it is for: those that one of these matches."),
        "filters": HTTP_FILTERS,
        "backendRefs": listing(weighted(filters=HTTP_FILTERS), None, 16),
        "timeouts": record(
            {"request": DURATION, "backendRequest": DURATION},
            rule(
                "!(has(self.request) && has(self.backendRequest) && duration(self.request) != duration('0s') && "
                "duration(self.backendRequest) > duration(self.request))",
                "backendRequest timeout cannot be longer than request timeout",
            ),
        ),
        "retry": RETRY,
        "sessionPersistence": SESSION_PERSISTENCE,
    },
    rule(
        "(has(self.backendRefs) && size(self.backendRefs) > 0) ? "
        "(!has(self.filters) || self.filters.all(f, !has(f.requestRedirect))): true",
        "RequestRedirect filter must not be used together with backendRefs",
    ),
    _one_prefix(_OWN, "When", "RequestRedirect", "requestRedirect"),
    _one_prefix(_OWN, "When", "URLRewrite", "urlRewrite"),
    _one_prefix(_OF_BACKENDS, "Within backendRefs, when", "RequestRedirect", "requestRedirect"),
    _one_prefix(_OF_BACKENDS, "Within backendRefs, When", "URLRewrite", "urlRewrite"),
)
HTTP_ROUTE = {
    "spec!": record(
        {
            "parentRefs": told(PARENTS, "What the route attaches to."),
            "hostnames": HOSTNAMES,
            "rules": defaulted(
                listing(_RULE, 1, 16, total("self[%d].matches.size()")), [{"matches": [{"path": _ROOT}]}]
            ),
        }
    ),
    "status": ROUTE_STATUS,
}
