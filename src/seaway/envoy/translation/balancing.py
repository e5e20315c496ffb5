"""How a cluster's endpoints share its requests: algorithms, slow start, and who is left out because it answers badly."""

from __future__ import annotations

from typing import Any

from seaway.envoy import messages
from seaway.envoy.translation import hashing
from seaway.envoy.translation.wire import packed
from seaway.routing.policy import BackendPolicy, Balancing, Outliers

_SMALLEST_RING, _LARGEST_RING = 1024, 8_388_608
_LARGEST_TABLE = 5_000_011  # of Maglev (maglev.proto)
# Where nobody is well, everybody is asked: the check itself may be what is wrong, and no answer is the worst one. But as long
# as one endpoint of a hundred is well, those that are not get nothing; by Envoy's own 50 % two sick ones of three would get
# their share.
PANIC_PERCENT = 1


def balance(found: Any, policy: BackendPolicy) -> None:
    """Into a Cluster."""
    _algorithm(found, policy.balancing or Balancing())
    if policy.health is not None or policy.outliers is not None:
        found.common_lb_config.healthy_panic_threshold.value = PANIC_PERCENT
    if policy.outliers is not None:
        _outliers(found.outlier_detection, policy.outliers)


def _algorithm(found: Any, wanted: Balancing) -> None:
    if wanted.algorithm == "round-robin":
        found.lb_policy = found.ROUND_ROBIN
        _slow_start(found.round_robin_lb_config, wanted)
    elif wanted.algorithm == "random":
        found.lb_policy = found.RANDOM
    elif wanted.algorithm == "ring-hash":
        ring = messages.RingHash()
        ring.minimum_ring_size.value = min(max(wanted.table_size, _SMALLEST_RING), _LARGEST_RING)
        hashing.write(ring.consistent_hashing_lb_config.hash_policy, wanted.hash_on)
        _extension(found, "ring_hash", ring)
    elif wanted.algorithm == "maglev":
        maglev = messages.Maglev()
        if wanted.table_size:
            maglev.table_size.value = prime(min(wanted.table_size, _LARGEST_TABLE))
        hashing.write(maglev.consistent_hashing_lb_config.hash_policy, wanted.hash_on)
        _extension(found, "maglev", maglev)
    else:
        found.lb_policy = found.LEAST_REQUEST
        _slow_start(found.least_request_lb_config, wanted)


def _extension(found: Any, name: str, config: Any) -> None:
    extension = found.load_balancing_policy.policies.add().typed_extension_config
    extension.name = f"envoy.load_balancing_policies.{name}"
    extension.typed_config.CopyFrom(packed(config))


def _slow_start(config: Any, wanted: Balancing) -> None:
    if wanted.slow_start > 0:
        config.slow_start_config.slow_start_window.FromNanoseconds(round(wanted.slow_start * 1e9))


def prime(number: int) -> int:
    """The next prime from `number` on: what a Maglev table needs for a size."""
    number = max(number, 2)
    while any(number % n == 0 for n in range(2, int(number**0.5) + 1)):
        number += 1
    return number


def _outliers(found: Any, wanted: Outliers) -> None:
    found.consecutive_5xx.value = max(wanted.consecutive_errors, 1)
    if wanted.consecutive_gateway_errors > 0:
        found.consecutive_gateway_failure.value = wanted.consecutive_gateway_errors
        found.enforcing_consecutive_gateway_failure.value = 100
    found.interval.FromNanoseconds(round(wanted.interval * 1e9))
    found.base_ejection_time.FromNanoseconds(round(wanted.base_ejection * 1e9))
    # A tenth of three endpoints is none of them, with which nothing would ever happen.
    found.max_ejection_percent.value, found.always_eject_one_host.value = min(max(wanted.most, 1), 100), True
    # Who asked for consecutive errors did not ask for comparisons with the others, which Envoy makes besides.
    found.enforcing_success_rate.value = found.enforcing_failure_percentage.value = 0
    # Who passes its health check and fails its requests stays out for its time.
    found.successful_active_health_check_uneject_host.value = False
