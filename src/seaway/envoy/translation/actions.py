"""What is done with a matched request, as Envoy's route actions."""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import hashing, headers, rewrites
from seaway.envoy.translation.names import NOWHERE
from seaway.envoy.translation.wire import packed
from seaway.routing.ir import Forward, HeaderEdits, Match, Respond, Retry, Rewrite, Rule, Target

_MILLION = 1_000_000
# What never reached a backend is tried at another one, whatever the request was.
UNSENT = "connect-failure,refused-stream,reset-before-request"


def respond(route: Any, action: Respond) -> None:
    route.direct_response.status = action.code
    if action.body:
        route.direct_response.body.inline_string = action.body
    headers.edit(route, "response", HeaderEdits(set=action.headers))


def _seconds(duration: Any, value: float) -> None:
    duration.FromNanoseconds(round(value * 1e9))


# nginx's proxy_next_upstream, "non_idempotent": these are never sent twice.
NOT_IDEMPOTENT = "POST|LOCK|PATCH"


def retry_policy(policy: Any, retry: Retry | None, try_timeout: float = 0.0, read_timeout: float = 0.0) -> None:
    """Without a Retry only what no backend has seen is tried again."""
    policy.retry_on = UNSENT
    policy.num_retries.value = 2
    if retry is not None:
        conditions = []
        if retry.connect:
            # `reset` is also what an attempt that took too long is (retry_state_impl.cc).
            conditions += ["connect-failure", "refused-stream", "reset"]
        if retry.codes:
            conditions.append("retriable-status-codes")
            policy.retriable_status_codes.extend(retry.codes)
        policy.retry_on = ",".join(conditions)  # nothing: nothing is tried again
        policy.num_retries.value = retry.attempts
        if retry.idempotent:
            method = policy.retriable_request_headers.add(name=":method", invert_match=True)
            method.string_match.safe_regex.regex = NOT_IDEMPOTENT
        if retry.backoff > 0:
            _seconds(policy.retry_back_off.base_interval, max(retry.backoff, 0.001))
            _seconds(policy.retry_back_off.max_interval, max(retry.backoff * 10, 0.001))
    if try_timeout:
        _seconds(policy.per_try_timeout, try_timeout)
    if read_timeout:
        _seconds(policy.per_try_idle_timeout, read_timeout)
    policy.retry_host_predicate.add(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=packed(messages.PreviousHostsPredicate())
    )
    policy.host_selection_retry_max_attempts = 3


def live(targets: tuple[Target, ...]) -> list[Target]:
    return [t for t in targets if t.weight > 0]


def _own_route(target: Target) -> bool:
    """Whether Envoy has no way to say this of one of several clusters of a route."""
    return target.redirect is not None or bool(target.rewrite.path_kind) or target.rewrite.auto_host


def shares(targets: list[Target]) -> list[tuple[tuple[Target, ...], int]]:
    """Targets that share a route, with the millionths of requests up to which the route is taken (a million: all that is left).

    Every route of a request is asked with the same random number, so that the thresholds add up (`runtime_fraction`).
    """
    alone = [t for t in targets if _own_route(t)]
    together = tuple(t for t in targets if not _own_route(t))
    total, upto = sum(t.weight for t in targets), 0
    found: list[tuple[tuple[Target, ...], int]] = []
    for target in alone:
        upto += target.weight
        found.append(((target,), round(upto * _MILLION / total)))
    if together:
        found.append((together, _MILLION))
    return found


def forward(route: Any, action: Forward, targets: tuple[Target, ...], rule: Rule) -> None:
    """To `targets`, none of which is redirected. A backend's own edits of headers come after its rule's; Envoy would apply them
    before, so that they are written down as one."""
    found = route.route
    found.cluster_not_found_response_code = found.INTERNAL_SERVER_ERROR
    rewrite, edited = action.rewrite, any(t.request != HeaderEdits() or t.response != HeaderEdits() for t in targets)
    if len(targets) == 1:
        target = targets[0]
        rewrite = _with(rewrite, target.rewrite)
        found.cluster = target.cluster or NOWHERE
        edit_both(route, headers.then(rule.request, target.request), headers.then(rule.response, target.response))
        host = headers.host_of(target.request) or headers.host_of(rule.request)
    else:
        if not edited:
            edit_both(route, rule.request, rule.response)
        _weighted(found.weighted_clusters, targets, rule if edited else None)
        host = headers.host_of(rule.request)
    if rule.policy is not None and rule.policy.hash_on:
        hashing.write(found.hash_policy, rule.policy.hash_on)
        if len(targets) > 1:
            # Who always gets the same endpoint of a cluster always gets the same cluster, too. (But for the request for which a
            # cookie is made: Envoy chooses its cluster by chance.)
            found.weighted_clusters.use_hash_policy.value = True
    _rewrite(found, rewrite, rule.match, host)
    _seconds(found.timeout, action.timeout)
    if action.retry is not None or action.try_timeout or action.read_timeout:
        retry_policy(found.retry_policy, action.retry, action.try_timeout, action.read_timeout)
    for mirror in action.mirrors:
        if mirror.cluster and mirror.numerator > 0:
            one = found.request_mirror_policies.add(cluster=mirror.cluster, disable_shadow_host_suffix_append=True)
            value = one.runtime_fraction.default_value
            value.numerator = min(round(mirror.numerator * _MILLION / (mirror.denominator or 100)), _MILLION)
            value.denominator = value.MILLION


def _with(rule: Rewrite, own: Rewrite) -> Rewrite:
    """A backend's own rewrite comes before its rule's, each part for itself."""
    path = own if own.path_kind else rule
    return Rewrite(
        own.host or ("" if own.auto_host else rule.host),
        path.path_kind,
        path.path,
        path.path_pattern,
        own.auto_host or (rule.auto_host and not own.host),
    )


def _rewrite(found: Any, rewrite: Rewrite, match: Match, host: str) -> None:
    if rewrite.host or (host and not rewrite.auto_host):
        found.host_rewrite_literal = rewrite.host or host
    elif rewrite.auto_host:
        found.auto_host_rewrite.value = True
    rewrites.forwarded(found, rewrite.path_kind, rewrite.path, rewrite.path_pattern, match.path)


def edit_both(message: Any, request: HeaderEdits, response: HeaderEdits) -> None:
    headers.edit(message, "request", request)
    headers.edit(message, "response", response)


def _weighted(found: Any, targets: tuple[Target, ...], rule: Rule | None) -> None:
    """`rule`: whose edits of headers are written with those of each target."""
    for target in targets:
        one = found.clusters.add(name=target.cluster or NOWHERE)
        one.weight.value = target.weight
        request, response = target.request, target.response
        if rule is not None:
            request, response = headers.then(rule.request, request), headers.then(rule.response, response)
        edit_both(one, request, response)
        own = target.rewrite.host or headers.host_of(target.request)
        if own:
            one.host_rewrite_literal = own
