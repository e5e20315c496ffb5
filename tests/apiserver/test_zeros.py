"""Zero values and quantities in the form in which Kubernetes stores them."""

from __future__ import annotations

import pytest

from seaway.api import quantities
from seaway.cluster.apiserver import schema, zeros

POD = "io.k8s.api.core.v1.Pod"


def test_a_zero_that_go_omits_is_not_kept() -> None:
    tree, _ = schema.read(POD, {"spec": {"hostNetwork": False, "nodeName": "", "volumes": []}}, None)
    assert tree == {"spec": {}}


def test_a_zero_behind_a_pointer_is_kept() -> None:
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    assert schema.read(POD, {"spec": dict(spec)}, None)[0]["spec"] == spec


def test_required_fields_are_written_as_zeros() -> None:
    tree: dict[str, object] = {"spec": {"selector": {}, "template": {"spec": {"containers": [{}]}}}}
    zeros.complete("io.k8s.api.apps.v1.StatefulSet", tree)
    assert tree == {
        "metadata": {},
        "spec": {
            "selector": {},
            "serviceName": "",
            "updateStrategy": {},
            "template": {"metadata": {}, "spec": {"containers": [{"name": "", "resources": {}}]}},
        },
        "status": {"replicas": 0, "availableReplicas": 0},
    }


def test_a_definition_without_facts_stays_as_it_is() -> None:
    tree: dict[str, object] = {"spec": {"a": None}}
    zeros.complete("", tree)
    assert tree == {"spec": {"a": None}}


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("1000m", "1"),
        ("0.5", "500m"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1025Mi", "1025Mi"),
        ("0.1Ki", "102400m"),
        ("2000", "2k"),
        ("10e2", "1e3"),
        ("-1", "-1"),
        ("0Gi", "0"),
        (2, "2"),
    ],
)
def test_quantities_are_canonical(given: str | int, stored: str) -> None:
    assert quantities.canonical(given) == stored


def test_a_quantity_is_rounded_up_to_thousandths() -> None:
    assert (quantities.rounded_up("100u"), quantities.rounded_up("1500m")) == ("1m", "1500m")


@pytest.mark.parametrize(
    ("text", "why"), [("1Q", "must match the regular"), ("x", "must match the regular"), ("1ki", "unable to parse")]
)
def test_what_is_no_quantity_is_said(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        quantities.canonical(text)
