"""Who pods, nodes and components are on a running cluster, and that none of them can do another's work."""

from __future__ import annotations

import base64
import json
import time

import yaml
from clusters import CLIENT, Cluster, wait_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
# component -> (something it does, something that is none of its business), as arguments of `kubectl auth can-i`
COMPONENTS = {
    "controllers": ("create endpointslices.discovery.k8s.io", "get secrets"),
    "workloads": ("create deployments.apps", "create clusterrolebindings.rbac.authorization.k8s.io"),
    "scheduler": ("create pods --subresource=binding", "create pods"),
    "cloud": ("patch services --subresource=status", "list endpointslices.discovery.k8s.io"),
    "publish": ("get services", "list services"),
}


def as_bearer(cluster: Cluster, token: str, *args: str) -> str:
    """kubectl with nothing but a token."""
    return cluster.kubectl(f"--token={token}", "--client-certificate=", "--client-key=", *args, check=False)


def test_a_pods_token_is_bound_to_it_reads_no_other_namespaces_secret_and_ends_with_it(cluster: Cluster) -> None:
    cluster.apply(CLIENT)
    for namespace in (cluster.namespace, "default"):
        cluster.kubectl("create", "secret", "generic", f"held-{cluster.namespace}", "--from-literal=a=b", "-n", namespace)
    cluster.ready("client")
    token = cluster.exec("client", "cat", TOKEN).strip()
    part = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    pod = cluster.get("pod", "client")
    assert claims["kubernetes.io"]["pod"] == {"name": "client", "uid": pod["metadata"]["uid"]}
    assert claims["kubernetes.io"]["node"]["name"] == pod["spec"]["nodeName"]
    assert time.time() + 60 < claims["exp"] < time.time() + 366 * 86400
    who = as_bearer(cluster, token, "auth", "whoami")
    assert f"system:serviceaccount:{cluster.namespace}:default" in who and pod["metadata"]["uid"] in who
    held = f"held-{cluster.namespace}"
    assert "Forbidden" in as_bearer(cluster, token, "get", "secret", held)
    cluster.kubectl("create", "role", "reader", "--verb=get", "--resource=secrets")
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={cluster.namespace}:default")
    assert held in as_bearer(cluster, token, "get", "secret", held)
    assert "Forbidden" in as_bearer(cluster, token, "get", "secret", held, "-n", "default")
    assert "Forbidden" in as_bearer(cluster, token, "get", "secrets") and "Forbidden" in as_bearer(cluster, token, "delete", "secret", held)
    cluster.kubectl("delete", "secret", held, "-n", "default")
    cluster.kubectl("delete", "pod", "client", "--grace-period=0", "--force")
    wait_for(lambda: "NotFound" in cluster.kubectl("get", "pod", "client", check=False))
    assert "Unauthorized" in as_bearer(cluster, token, "get", "secret", held), "at once"


def test_every_component_and_node_has_its_own_credential_and_only_its_own_rights(cluster: Cluster) -> None:
    folder = cluster.folder / "kubeconfigs"
    server = yaml.safe_load((cluster.folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    nodes = [n["metadata"]["name"] for n in cluster.get("nodes")["items"]]
    assert {p.name for p in folder.iterdir()} == {*COMPONENTS, *(f"node-{n}" for n in nodes)}

    def run(name: str, *args: str) -> str:
        return cluster.kubectl(f"--kubeconfig={folder / name}", f"--server={server}", *args, check=False)

    for name, (own, foreign) in COMPONENTS.items():
        who = json.loads(run(name, "auth", "whoami", "-o", "json"))["status"]["userInfo"]
        assert who["username"] == f"system:serviceaccount:kube-system:{name}" and "system:masters" not in who["groups"]
        assert run(name, "auth", "can-i", *own.split(), "-n", "default").strip() == "yes", (name, own)
        assert run(name, "auth", "can-i", *foreign.split(), "-n", "default").startswith("no"), (name, foreign)
        assert run(name, "auth", "can-i", "*", "*").startswith("no"), name
    cluster.kubectl("create", "secret", "generic", "held", "--from-literal=a=b")
    for node, other in zip(nodes, reversed(nodes), strict=True):
        assert "Forbidden" in run(f"node-{node}", "get", "secret", "held")
        assert "Forbidden" in run(f"node-{node}", "get", "secrets", "-A") and "Forbidden" in run(f"node-{node}", "get", "pods", "-A")
        assert node in run(f"node-{node}", "get", "node", node) and "Forbidden" in run(f"node-{node}", "get", "node", other)
        assert "Forbidden" in run(f"node-{node}", "label", "node", node, "node-role.kubernetes.io/mine=")
        assert "Forbidden" in run(f"node-{node}", "taint", "node", node, "a=b:NoSchedule")
    for account in ("kube-proxy", "dns"):  # pods of ours: their tokens are their accounts'
        who = f"--as=system:serviceaccount:kube-system:{account}"
        assert cluster.kubectl("auth", "can-i", "watch", "endpointslices.discovery.k8s.io", who).strip() == "yes"
        for verb, what in (("get", "secrets"), ("create", "pods"), ("patch", "services"), ("list", "pods")):
            assert cluster.kubectl("auth", "can-i", verb, what, who, check=False).startswith("no"), (account, verb, what)


def test_a_nodes_certificate_is_renewed_where_a_role_says_so(cluster: Cluster) -> None:
    (node, *_) = (n["metadata"]["name"] for n in cluster.get("nodes")["items"])
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"), x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{node}")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    spec = {
        "request": base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        "usages": ["client auth", "digital signature"],
    }
    name = f"renewed-{cluster.namespace}"
    tree = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": name}, "spec": spec}
    server = yaml.safe_load((cluster.folder / "kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
    as_node = (f"--kubeconfig={cluster.folder / 'kubeconfigs' / f'node-{node}'}", f"--server={server}")
    role = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={role}", "--group=system:nodes")
    try:
        cluster.kubectl(*as_node, "create", "-f", "-", text=json.dumps(tree))
        issued = wait_for(lambda: cluster.get("csr", name)["status"].get("certificate"), within=15, what="a certificate")
        certificate = x509.load_pem_x509_certificate(base64.b64decode(issued))
        assert certificate.subject.rfc4514_string() == f"CN=system:node:{node},O=system:nodes"
        (approved,) = cluster.get("csr", name)["status"]["conditions"]
        assert (approved["type"], approved["reason"]) == ("Approved", "AutoApproved")
    finally:
        cluster.kubectl("delete", "clusterrolebinding", name)
        cluster.kubectl("delete", "csr", name, "--ignore-not-found")
