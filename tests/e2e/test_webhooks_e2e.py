"""A webhook as operators bring it: a pod behind a Service, with a certificate of its own, through kubectl."""

from __future__ import annotations

import base64
import json
import time

from clusters import Cluster, wait_for

from seaway.pki.authority import Authority

SERVER = '''
import base64, http.server, json, ssl

class Hook(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(b"ok")
    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review["request"]
        response = {"uid": request["uid"], "allowed": True}
        if self.path.startswith("/mutate"):
            patch = [{"op": "add", "path": "/metadata/labels", "value": {"mutated-by": "webhook"}}]
            response.update(patchType="JSONPatch", patch=base64.b64encode(json.dumps(patch).encode()).decode(), warnings=["labelled for you"])
        elif (request["object"] or {}).get("data", {}).get("forbidden"):
            response.update(allowed=False, status={"message": "no forbidden things", "code": 403})
        self.answer(json.dumps({**review, "request": None, "response": response}).encode())
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

server = http.server.ThreadingHTTPServer(("", 8443), Hook)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
'''
POD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: hook}
spec:
  replicas: 2
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: hook
        image: python
        command: [python3, /code/server.py]
        readinessProbe: {httpGet: {path: /, port: 8443, scheme: HTTPS}, periodSeconds: 1}
        volumeMounts: [{name: code, mountPath: /code}, {name: tls, mountPath: /tls}]
      volumes:
      - {name: code, configMap: {name: code}}
      - {name: tls, secret: {secretName: tls}}
---
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {selector: {app: hook}, ports: [{port: 443, targetPort: 8443}]}
"""


def configuration(kind: str, namespace: str, path: str, ca: str) -> str:
    hook = {
        "name": f"{path}.{namespace}.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "timeoutSeconds": 5,
        "clientConfig": {"service": {"namespace": namespace, "name": "hook", "path": f"/{path}"}, "caBundle": ca},
        "rules": [{"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}, "objectSelector": {"matchExpressions": [{"key": "spared", "operator": "DoesNotExist"}]},
    }
    return json.dumps({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": namespace}, "webhooks": [hook]})


def test_webhooks_in_pods_behind_a_service_change_and_refuse_and_their_end_is_told(cluster: Cluster) -> None:
    authority = Authority.new("hooks", time.time())
    pair = authority.issue("hook", time.time(), hosts=(f"hook.{cluster.namespace}.svc",), server=True)
    coded = {"tls.crt": base64.b64encode(pair.certificate).decode(), "tls.key": base64.b64encode(pair.key).decode()}
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": {"name": "tls"}, "data": coded}))
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code"}, "data": {"server.py": SERVER}}))
    cluster.apply(POD)
    cluster.rollout("deployment/hook")
    wait_for(lambda: [e for s in cluster.get("endpointslices", "-l", "kubernetes.io/service-name=hook")["items"] for e in s["endpoints"] or () if e["conditions"]["ready"]])
    ca = base64.b64encode(authority.pair.certificate).decode()
    try:
        cluster.apply(configuration("MutatingWebhookConfiguration", cluster.namespace, "mutate", ca))
        cluster.apply(configuration("ValidatingWebhookConfiguration", cluster.namespace, "validate", ca))
        said = cluster.kubectl("create", "configmap", "good", "--from-literal=a=b", check=False)
        assert "Warning: labelled for you" in said and "configmap/good created" in said
        assert cluster.get("configmap", "good")["metadata"]["labels"] == {"mutated-by": "webhook"}
        said = cluster.kubectl("create", "configmap", "bad", "--from-literal=forbidden=yes", check=False)
        assert f'admission webhook "validate.{cluster.namespace}.example.com" denied the request: no forbidden things' in said
        assert "(server dry run)" in cluster.kubectl("create", "configmap", "dry", "--from-literal=a=b", "--dry-run=server")
        assert "NotFound" in cluster.kubectl("get", "configmap", "dry", check=False)
        # One of two is enough: an endpoint that has just died is passed over.
        first = cluster.get("pods", "-l", "app=hook")["items"][0]["metadata"]["name"]
        cluster.kubectl("delete", "pod", first, "--grace-period=0", "--force", "--wait=false", check=False)
        cluster.kubectl("label", "configmap", "good", "again=yes")
        cluster.kubectl("scale", "deployment", "hook", "--replicas=0")
        wait_for(lambda: not cluster.get("pods", "-l", "app=hook")["items"])
        said = wait_for(lambda: (t := cluster.kubectl("create", "configmap", "late", check=False)) and "no endpoints available" in t and t)
        name = f'"mutate.{cluster.namespace}.example.com"'
        assert f"Internal error occurred: failed calling webhook {name}: failed to call webhook: Post" in said
        assert f'https://hook.{cluster.namespace}.svc:443/mutate?timeout=5s": no endpoints available for service "hook"' in said.replace("\\", "")
    finally:
        for kind in ("mutatingwebhookconfiguration", "validatingwebhookconfiguration"):
            cluster.kubectl("delete", kind, cluster.namespace, "--ignore-not-found")
    assert "created" in cluster.kubectl("create", "configmap", "late")
