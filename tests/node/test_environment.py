"""A container's environment: what comes from where, and who wins."""

from __future__ import annotations

import base64

import pytest

from seaway.cluster.node.environment import complete, declared, needed, service_variables
from seaway.cluster.node.volumes import VolumeError, expand

OBJECTS = {
    ("configmaps", "conf"): {"metadata": {"name": "conf", "namespace": "ns"}, "data": {"A": "map-a", "B": "map-b"}},
    ("secrets", "key"): {"metadata": {"name": "key", "namespace": "ns"}, "data": {"A": base64.b64encode(b"secret-a").decode()}},
}
POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"app": "x"}, "annotations": {"n/a": "y"}},
       "spec": {"nodeName": "node", "serviceAccountName": "sa",
                "containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}, "requests": {"memory": "100Mi"}}}]},
       "status": {"podIP": "10.1.1.1", "podIPs": [{"ip": "10.1.1.1"}, {"ip": "fd00::1"}], "hostIP": "172.30.0.2"}}


def env(pod: dict = POD, services: tuple = (), **container: object) -> dict[str, str]:
    return declared(pod, {"name": "c", **container}, list(services), lambda r, n: OBJECTS.get((r, n)), {"cpu": "4", "memory": "1Gi"})


def refer(name: str, **source: object) -> dict:
    return {"name": name, "valueFrom": source}


# third_party/forked/golang/expansion: $(NAME) where known, $$ is $, everything else stays.
@pytest.mark.parametrize(
    ("text", "want"),
    [("$(A)", "1"), ("$(A)$(B)", "12"), ("-$(A)-", "-1-"), ("$(NONE)", "$(NONE)"), ("$$(A)", "$(A)"), ("$$$(A)", "$1"),
     ("$$$$(A)", "$$(A)"), ("$", "$"), ("$$", "$"), ("$A", "$A"), ("$(A", "$(A"), ("$()", "$()"), ("A)", "A)"), ("", ""),
     ("$x$(A)", "$x1"), ("$(E)", "")],
)
def test_references_are_expanded_and_escapes_are_taken_off(text: str, want: str) -> None:
    assert expand(text, {"A": "1", "B": "2", "E": ""}) == want


def test_a_value_is_not_expanded_twice() -> None:
    assert expand("$(A)", {"A": "$(B)", "B": "2"}) == "$(B)"


def test_the_base_is_a_path_a_home_and_the_host_name() -> None:
    found = complete(env(), {}, "p", "/root")
    assert found["HOSTNAME"] == "p" and found["HOME"] == "/root" and "/usr/bin" in found["PATH"].split(":")


def test_the_image_wins_over_the_runtime_and_the_pod_over_the_image() -> None:
    image = {"PATH": "/app", "A": "image", "B": "image"}
    found = complete(env(env=[{"name": "A", "value": "pod"}, {"name": "C", "value": "$(B)"}]), image, "p", "/srv")
    assert (found["PATH"], found["A"], found["B"], found["HOME"]) == ("/app", "pod", "image", "/srv")
    assert found["C"] == "$(B)"  # the image's variables are not Kubernetes's to expand


def test_entries_see_what_stands_before_them() -> None:
    found = env(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "C", "value": "$(D)"},
                     {"name": "D", "value": "4"}, {"name": "E"}])
    assert [found[k] for k in "ABCDE"] == ["1", "12", "$(D)", "4", ""]


def test_env_wins_over_env_from_and_that_over_services_and_the_last_source_over_the_first() -> None:
    service = {"metadata": {"name": "a"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 1}]}}
    sources = [{"configMapRef": {"name": "conf"}}, {"secretRef": {"name": "key"}}]
    found = env(services=(service,), envFrom=sources, env=[{"name": "B", "value": "own"}, {"name": "A_SERVICE_HOST", "value": "x"}])
    assert (found["A"], found["B"], found["A_SERVICE_HOST"], found["A_SERVICE_PORT"]) == ("secret-a", "own", "x", "1")


def test_a_prefix_is_put_before_every_name() -> None:
    found = env(envFrom=[{"prefix": "X_", "configMapRef": {"name": "conf"}}])
    assert (found["X_A"], found["X_B"]) == ("map-a", "map-b") and "A" not in found


@pytest.mark.parametrize(
    ("path", "want"),
    [("metadata.name", "p"), ("metadata.namespace", "ns"), ("metadata.uid", "u1"), ("metadata.labels['app']", "x"),
     ("metadata.annotations['n/a']", "y"), ("metadata.labels['none']", ""), ("spec.nodeName", "node"),
     ("spec.serviceAccountName", "sa"), ("status.podIP", "10.1.1.1"), ("status.podIPs", "10.1.1.1,fd00::1"),
     ("status.hostIP", "172.30.0.2")],
)
def test_the_downward_api_gives_the_pods_fields(path: str, want: str) -> None:
    assert env(env=[refer("F", fieldRef={"fieldPath": path})])["F"] == want


def test_a_field_that_is_not_served_is_an_error() -> None:
    with pytest.raises(VolumeError, match=r"spec\.hostname"):
        env(env=[refer("F", fieldRef={"fieldPath": "spec.hostname"})])


@pytest.mark.parametrize(
    ("ref", "want"),
    [({"resource": "limits.cpu"}, "2"), ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),  # rounded up
     ({"resource": "requests.memory"}, str(100 * 2**20)), ({"resource": "requests.memory", "divisor": "1Mi"}, "100"),
     ({"resource": "limits.memory", "divisor": "1Gi"}, "1")],  # without a limit: the node's
)
def test_resources_are_divided_and_rounded_up(ref: dict, want: str) -> None:
    assert env(POD, **{"env": [refer("R", resourceFieldRef=ref)]})["R"] == want


@pytest.mark.parametrize(
    ("source", "said"),
    [({"configMapKeyRef": {"name": "none", "key": "A"}}, 'configmap "none" not found'),
     ({"secretKeyRef": {"name": "none", "key": "A"}}, 'secret "none" not found'),
     ({"configMapKeyRef": {"name": "conf", "key": "Z"}}, "couldn't find key Z in ConfigMap ns/conf"),
     ({"secretKeyRef": {"name": "key", "key": "Z"}}, "couldn't find key Z in Secret ns/key")],
)
def test_what_is_missing_is_named_and_may_be_optional(source: dict, said: str) -> None:
    with pytest.raises(VolumeError, match=said):
        env(env=[refer("V", **source)])
    ((kind, ref),) = source.items()
    assert "V" not in env(env=[refer("V", **{kind: {**ref, "optional": True}})])


def test_missing_env_from_sources_are_named_and_may_be_optional() -> None:
    with pytest.raises(VolumeError, match='secret "none" not found'):
        env(envFrom=[{"secretRef": {"name": "none"}}])
    assert env(envFrom=[{"secretRef": {"name": "none", "optional": True}}]) == env()


def test_keys_are_read_from_their_objects() -> None:
    found = env(env=[refer("V", configMapKeyRef={"name": "conf", "key": "B"}), refer("S", secretKeyRef={"name": "key", "key": "A"})])
    assert (found["V"], found["S"]) == ("map-b", "secret-a")


def test_what_is_needed_is_known_beforehand() -> None:
    container = {"envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
                 "env": [refer("X", configMapKeyRef={"name": "c", "key": "k"}), refer("Y", secretKeyRef={"name": "d", "key": "k"}),
                         {"name": "Z", "value": "1"}, refer("W", fieldRef={"fieldPath": "metadata.name"})]}
    assert needed(container) == {("configmaps", "a"), ("secrets", "b"), ("configmaps", "c"), ("secrets", "d")}


def test_service_variables_are_as_docker_links_had_them() -> None:
    tree = {"metadata": {"name": "kube-dns"}, "spec": {"clusterIP": "fd00::a", "ports": [
        {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}}
    assert service_variables([tree]) == {
        "KUBE_DNS_SERVICE_HOST": "fd00::a", "KUBE_DNS_SERVICE_PORT": "53", "KUBE_DNS_SERVICE_PORT_DNS": "53",
        "KUBE_DNS_SERVICE_PORT_DNS_TCP": "53", "KUBE_DNS_PORT": "udp://[fd00::a]:53",
        "KUBE_DNS_PORT_53_UDP": "udp://[fd00::a]:53", "KUBE_DNS_PORT_53_UDP_PROTO": "udp",
        "KUBE_DNS_PORT_53_UDP_PORT": "53", "KUBE_DNS_PORT_53_UDP_ADDR": "fd00::a",
        "KUBE_DNS_PORT_53_TCP": "tcp://[fd00::a]:53", "KUBE_DNS_PORT_53_TCP_PROTO": "tcp",
        "KUBE_DNS_PORT_53_TCP_PORT": "53", "KUBE_DNS_PORT_53_TCP_ADDR": "fd00::a"}


@pytest.mark.parametrize("spec", [{"clusterIP": "None", "ports": [{"port": 1}]}, {"clusterIP": "", "ports": [{"port": 1}]},
                                  {"type": "ExternalName", "externalName": "x"}, {"clusterIP": "10.0.0.1"}])
def test_services_without_an_address_or_a_port_have_no_variables(spec: dict) -> None:
    assert service_variables([{"metadata": {"name": "s"}, "spec": spec}]) == {}
