"""Protobuf messages by the facts tables: what is embedded in what, and that every kind can be written and read."""

from __future__ import annotations

import pytest

from seaway.api import facts, kinds
from seaway.cluster.apiserver import protobuf, protowriter
from seaway.cluster.apiserver.messages import SCALARS, fields_of, message_of

CORE, REGISTRATION, RESOURCE = "k8s.io.api.core.v1", "k8s.io.api.admissionregistration.v1", "k8s.io.api.resource.v1"
# What Go embeds (`json:",inline"` with a number in protobuf).
EMBEDDED = {
    f"{REGISTRATION}.NamedRuleWithOperations.ruleWithOperations",
    f"{REGISTRATION}.RuleWithOperations.rule",
    f"{CORE}.EphemeralContainer.ephemeralContainerCommon",
    f"{CORE}.PersistentVolumeSpec.persistentVolumeSource",
    f"{CORE}.Probe.handler",
    f"{CORE}.Volume.volumeSource",
    "k8s.io.api.networking.v1.IngressRule.ingressRuleValue",
    *(f"{RESOURCE}.Device{name}Configuration.deviceConfiguration" for name in ("Allocation", "Claim", "Class")),
    *(
        f"{CORE}.{name}.localObjectReference"
        for name in ("ConfigMapEnvSource", "ConfigMapKeySelector", "ConfigMapProjection", "ConfigMapVolumeSource",
                     "SecretEnvSource", "SecretKeySelector", "SecretProjection")
    ),
}


def test_only_what_go_embeds_is_embedded() -> None:
    found = {f"{m}.{f.name}" for m in facts.messages() for f in fields_of(m) if f.shape == "inline"}
    assert found == EMBEDDED


def test_fields_that_no_definition_has_are_left_out() -> None:
    assert "scheduling" not in {f.name for f in fields_of("k8s.io.api.batch.v1.JobSpec")}
    assert "template" in {f.name for f in fields_of("k8s.io.api.batch.v1.JobSpec")}


@pytest.mark.parametrize("kind", [k for k in kinds.builtin() if k.definition], ids=lambda k: f"{k.group_resource}-{k.version}")
def test_every_message_of_a_kind_is_known(kind: kinds.Kind) -> None:
    """Walks all that a kind holds: each message has fields, and each field something that writes it."""
    queue, seen = [message_of(kind.definition)], set()
    while queue:
        message = queue.pop()
        if message in seen or message in protobuf._SPECIAL or message in protobuf.UNIONS:
            continue
        seen.add(message)
        for field in fields_of(message):
            assert protowriter._put(field)
            if field.kind not in SCALARS:
                queue.append(field.kind)
    assert seen


TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": ["true"]}]}}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Job", {"parallelism": 2, "suspend": False, "template": TEMPLATE}),
        ("CronJob", {"schedule": "* * * * *", "jobTemplate": {"metadata": {}, "spec": {"template": TEMPLATE}}}),
    ],
)
def test_jobs_go_through_protobuf_and_back(kind: str, spec: dict) -> None:
    message = f"k8s.io.api.batch.v1.{kind}"
    tree = {"kind": kind, "apiVersion": "batch/v1", "metadata": {"name": "j", "namespace": "n"}, "spec": spec}
    found = protobuf.decode(protobuf.encode(tree, message), lambda api_version, of: message)
    assert found["metadata"]["name"] == "j"
    inner = found["spec"] if kind == "Job" else found["spec"]["jobTemplate"]["spec"]
    assert inner["template"]["spec"]["containers"] == TEMPLATE["spec"]["containers"]
