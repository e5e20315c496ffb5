"""Parameters out of ConfigMaps: what is read, what is refused and with which words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seaway.cluster.config import Gateway
from seaway.cluster.processes import gateway_arguments
from seaway.gateway.infrastructure.parameters import READERS, SMALL, Parameters, read


def of(**data: str) -> Parameters:
    found = read(Parameters(), [{"data": data}])
    assert not found.problems, found.problems
    return found.parameters


def test_values_are_yaml_and_reach_their_field() -> None:
    found = of(replicas="3", image="registry.example.com/envoy:v1.40.0", accessLog="false", concurrency="0", drainSeconds="30",
               tolerations="- {key: ingress, operator: Exists}", resources="limits: {memory: 256Mi, cpu: 1}",
               serviceAnnotations="service.beta.kubernetes.io/aws-load-balancer-type: nlb",
               topologySpread="- {maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: DoNotSchedule}",
               affinity="nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}")
    assert (found.replicas, found.access_log, found.concurrency, found.drain_seconds) == (3, False, 0, 30)
    assert found.memory_limit == "256Mi" and found.tolerations == ({"key": "ingress", "operator": "Exists"},)
    assert found.service_annotations == {"service.beta.kubernetes.io/aws-load-balancer-type": "nlb"}
    assert Parameters().memory_limit == ""


def test_a_gateways_keys_go_over_its_classs_and_both_over_the_controllers_defaults() -> None:
    found = read(Parameters(concurrency=1), [{"data": {"replicas": "3", "drainSeconds": "30"}}, {"data": {"replicas": "5"}}, {}])
    assert (found.parameters.replicas, found.parameters.drain_seconds, found.parameters.concurrency) == (5, 30, 1)


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("replicas", "many", 'data[replicas]: Invalid value: "many": must be a whole number'),
        ("replicas", "true", "data[replicas]: Invalid value: true: must be a whole number"),
        ("replicas", "-1", "data[replicas]: Invalid value: -1: must be between 0 and 1000, inclusive"),
        ("drainSeconds", "0", "data[drainSeconds]: Invalid value: 0: must be between 1 and 3600, inclusive"),
        ("kind", "StatefulSet", 'data[kind]: Unsupported value: "StatefulSet": supported values: "Deployment", "DaemonSet"'),
        ("accessLog", "maybe", 'data[accessLog]: Invalid value: "maybe": must be true or false'),
        ("image", "a b", 'data[image]: Invalid value: "a b": must be the name of an image'),
        ("nodeSelector", "[a]", 'data[nodeSelector]: Invalid value: ["a"]: must be a map'),
        ("nodeSelector", "a: 1", "data[nodeSelector][a]: Invalid value: 1: must be a string"),
        ("nodeSelector", "'a b': c", 'data[nodeSelector][a b]: Invalid value: "a b": must be a qualified name'),
        ("tolerations", "{key: a}", 'data[tolerations]: Invalid value: {"key": "a"}: must be a list'),
        ("tolerations", "- {key: a, operater: Exists}", "data[tolerations][0].operater: Invalid value: unknown field"),
        ("tolerations", "- {tolerationSeconds: soon}", 'data[tolerations][0].tolerationSeconds: Invalid value: "soon": must be a whole number'),
        ("topologySpread", "- {maxSkew: 1, topologyKey: z}", "data[topologySpread][0].whenUnsatisfiable: Required value"),
        ("affinity", "podAffinity: []", "data[affinity].podAffinity: Invalid value: []: must be a map"),
        ("resources", "limits: {memory: lots}",
         'data[resources].limits[memory]: Invalid value: "lots": quantities must match the regular expression \'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$\''),
        ("resources", "requests: {cpu: -1}", "data[resources].requests[cpu]: Invalid value: -1: must be greater than or equal to 0"),
        ("tolerations", "- [", "data[tolerations]: Invalid value: is not YAML in line 1: expected the node content, but found '<stream end>'"),
        ("tolerations", "&a [*a]", "data[tolerations]: Invalid value: is not YAML in line 1: aliases are not read"),
        ("tolerations", "!!python/object/apply:os.system [ls]",
         "data[tolerations]: Invalid value: is not YAML in line 1: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
        ("replicas", "1" * 70000, "data[replicas]: Too long: may not be more than 65536 bytes"),
        ("tolerations", "[" * 5000, "data[tolerations]: Invalid value: is not YAML"),
    ],
)
def test_what_is_wrong_is_told_with_its_field_and_changes_nothing(key: str, text: str, problem: str) -> None:
    found = read(Parameters(), [{"data": {key: text, "concurrency": "7"}}])
    assert [str(p)[: len(problem)] for p in found.problems] == [problem]
    assert found.parameters == Parameters(concurrency=7)


def test_fleets_are_small_in_a_cluster_on_ones_own_machine() -> None:
    words = [w.removeprefix("--parameter=").partition("=") for w in gateway_arguments(Gateway()) if w.startswith("--parameter=")]
    assert read(Parameters(), [{"data": {key: text for key, _, text in words}}]) == (SMALL, ())


def test_an_unknown_key_names_those_there_are() -> None:
    [problem] = read(Parameters(), [{"data": {"replica": "3"}}]).problems
    assert problem.path == "data[replica]" and all(key in problem.text for key in READERS)
    assert [p.path for p in read(Parameters(), [{"binaryData": {"replicas": "Mw=="}}]).problems] == ["binaryData[replicas]"]


def test_what_fits_alone_and_not_together_is_refused() -> None:
    found = read(Parameters(), [{"data": {"serviceType": "ClusterIP", "loadBalancerClass": "a/b", "externalTrafficPolicy": "Local"}}])
    assert [p.path for p in found.problems] == ["data[loadBalancerClass]", "data[externalTrafficPolicy]"]


def test_the_page_of_the_gateway_describes_every_parameter_and_no_other() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "gateway.md").read_text()
    table = page.partition("| key | default |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.M)) == set(READERS)
    for key, (field, _) in READERS.items():
        shown = re.search(rf"^\| `{key}` \| (.*?) \|", table, re.M)
        default = getattr(Parameters(), field)
        if isinstance(default, str | int) and not isinstance(default, bool) and default:
            assert shown and re.match(rf"`?{re.escape(str(default))}", shown[1]), key
