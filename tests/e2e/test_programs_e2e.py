"""Images that stand for programs: the real ones, with the official images' defaults, configured as people configure them."""

from __future__ import annotations

from clusters import Cluster, wait_for

NGINX = """
apiVersion: v1
kind: ConfigMap
metadata: {name: site}
data:
  default.conf: |
    server {
      listen 8080;
      location /hello { default_type text/plain; return 200 "hello from the ConfigMap\\n"; }
      location /api/ { proxy_pass http://backend/; }
    }
---
apiVersion: v1
kind: ConfigMap
metadata: {name: templates}
data: {default.conf.template: "server { listen 80; return 200 \\"I am ${WHO} at $uri\\\\n\\"; }"}
---
apiVersion: v1
kind: Pod
metadata: {name: configured, labels: {app: configured}}
spec:
  containers:
  - name: c
    image: nginx:1.27
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /hello, port: http}, periodSeconds: 1}
    volumeMounts: [{name: site, mountPath: /etc/nginx/conf.d}]
  volumes: [{name: site, configMap: {name: site}}]
---
apiVersion: v1
kind: Pod
metadata: {name: templated, labels: {app: templated}}
spec:
  containers:
  - name: c
    image: nginx
    env: [{name: WHO, value: a template}]
    readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
    volumeMounts: [{name: t, mountPath: /etc/nginx/templates}]
  volumes: [{name: t, configMap: {name: templates}}]
"""
BROKEN = """
apiVersion: v1
kind: ConfigMap
metadata: {name: broken}
data: {nginx.conf: "events {} http { server { listen 80; no_such_directive on; } }"}
---
apiVersion: v1
kind: Pod
metadata: {name: broken}
spec:
  containers: [{name: c, image: nginx, volumeMounts: [{name: v, mountPath: /etc/nginx/nginx.conf, subPath: nginx.conf}]}]
  volumes: [{name: v, configMap: {name: broken}}]
"""
HAPROXY = """
apiVersion: v1
kind: ConfigMap
metadata: {name: haproxy}
data:
  haproxy.cfg: |
    defaults
      mode http
      timeout client 5s
      timeout connect 5s
      timeout server 5s
    frontend all
      bind :8080
      default_backend web
    backend web
      http-request set-header X-Through haproxy
      server one backend:80
---
apiVersion: v1
kind: Pod
metadata: {name: haproxy, labels: {app: haproxy}}
spec:
  containers:
  - name: c
    image: haproxy:3.0
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: v, mountPath: /usr/local/etc/haproxy}]
  volumes: [{name: v, configMap: {name: haproxy}}]
"""


def test_create_deployment_and_expose_nginx_and_httpd(client: Cluster) -> None:
    client.kubectl("create", "deployment", "web", "--image=nginx")
    client.kubectl("expose", "deployment", "web", "--port=80")
    client.kubectl("create", "deployment", "old", "--image=httpd:2.4")
    client.kubectl("expose", "deployment", "old", "--port=80")
    client.rollout("deployment/web")
    client.rollout("deployment/old")
    wait_for(lambda: "<h1>Welcome to nginx!</h1>" in client.curl("http://web", check=False))
    wait_for(lambda: "<h1>It works!</h1>" in client.curl("http://old", check=False))
    wait_for(lambda: '"GET / HTTP/1.1" 200' in client.kubectl("logs", "deploy/web") and "GET /" in client.kubectl("logs", "deploy/old"))
    events = client.kubectl("get", "events")
    assert 'nginx stands in for image "nginx"' in events and 'apache2 stands in for image "httpd:2.4"' in events


def test_config_maps_really_change_nginx_and_haproxy_and_a_wrong_one_fails_the_pod(client: Cluster) -> None:
    client.kubectl("run", "backend", "--image=traefik/whoami", "--port=80", "--expose")
    client.ready("backend")
    client.apply(NGINX + "---" + HAPROXY + "---" + BROKEN)
    for name, port in (("configured", 8080), ("templated", 80), ("haproxy", 8080)):
        client.ready(name)
        client.kubectl("expose", "pod", name, f"--name={name}-svc", "--port=80", f"--target-port={port}")
    wait_for(lambda: client.curl("http://configured-svc/hello", check=False) == "hello from the ConfigMap\n")
    wait_for(lambda: "GET /x HTTP" in client.curl("http://configured-svc/api/x", check=False))
    wait_for(lambda: client.curl("http://templated-svc/path", check=False) == "I am a template at /path\n")
    wait_for(lambda: "x-through: haproxy" in client.curl("http://haproxy-svc/", check=False).lower())
    wait_for(lambda: 'unknown directive "no_such_directive"' in client.kubectl("logs", "broken", check=False))
    wait_for(lambda: client.get("pod", "broken")["status"]["containerStatuses"][0]["restartCount"] > 0)


def test_redis_answers_other_pods_and_honours_its_arguments(cluster: Cluster) -> None:
    cluster.kubectl("run", "redis", "--image=redis:7", "--port=6379", "--expose")
    cluster.kubectl("run", "locked", "--image=redis", "--port=6379", "--", "--requirepass", "secret", "--appendonly", "yes")
    cluster.ready("redis")
    cluster.ready("locked")
    wait_for(lambda: "PONG" in cluster.exec("locked", "redis-cli", "-h", "redis", "ping", check=False))
    assert cluster.exec("locked", "redis-cli", "-h", "redis", "set", "k", "v").strip() == "OK"
    assert cluster.exec("redis", "redis-cli", "get", "k").strip() == "v"
    wait_for(lambda: "NOAUTH" in cluster.exec("locked", "redis-cli", "get", "k", check=False))
    assert "appendonlydir" in cluster.exec("locked", "ls", "/data")


def test_base_images_have_their_programs(cluster: Cluster) -> None:
    serve = "mkdir /www; echo from busybox > /www/index.html; (while :; do echo piped | nc -l -p 9000; done) & httpd -f -p 8000 -h /www"
    cluster.kubectl("run", "box", "--image=busybox", "--port=8000", "--", "sh", "-c", serve)
    cluster.kubectl("expose", "pod", "box", "--name=box-svc", "--port=80", "--target-port=8000")
    cluster.kubectl("run", "py", "--image=python:3.12", "--command", "--", "sleep", "1000")
    cluster.kubectl("create", "serviceaccount", "reader")
    cluster.kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods")
    cluster.kubectl("create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={cluster.namespace}:reader")
    overrides = '{"spec": {"serviceAccountName": "reader"}}'
    cluster.kubectl("run", "kc", "--image=bitnami/kubectl", "--restart=Never", f"--overrides={overrides}", "--", "get", "pods")
    cluster.ready("box")
    cluster.ready("py")
    wait_for(lambda: cluster.exec("box", "wget", "-qO-", "-T", "3", "http://box-svc", check=False) == "from busybox\n")
    wait_for(lambda: cluster.exec("box", "sh", "-c", "nc 127.0.0.1 9000 < /dev/null", check=False) == "piped\n")
    assert "10.96.0.1" in cluster.exec("box", "nslookup", "kubernetes.default.svc.cluster.local")
    assert cluster.exec("py", "python", "-c", "print(6 * 7)").strip() == "42"
    wait_for(lambda: "box" in cluster.kubectl("logs", "kc", check=False))


ENVOYS = """
apiVersion: v1
kind: Pod
metadata: {name: envoy}
spec:
  terminationGracePeriodSeconds: 5
  containers: [{name: envoy, image: "envoyproxy/envoy:v1.40.0", env: [{name: loglevel, value: warn}],
    readinessProbe: {httpGet: {path: /, port: 10000}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Pod
metadata: {name: distroless}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: envoy
    image: docker.io/envoyproxy/envoy:distroless-v1.40.0
    securityContext: {runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    readinessProbe: {httpGet: {path: /, port: 10000}, periodSeconds: 1}
"""


def test_envoys_images_run_envoy_with_their_defaults_and_as_their_user(cluster: Cluster) -> None:
    cluster.apply(ENVOYS)
    cluster.ready("envoy")
    cluster.ready("distroless")
    address = cluster.get("pod", "distroless")["status"]["podIP"]
    shown = cluster.kubectl("exec", "envoy", "--", "sh", "-c", f"curl -s http://{address}:10000/; grep ^Uid /proc/1/status; envoy --version")
    assert "Envoy works here" in shown and "Uid:\t101\t" in shown and "/1.40.0/" in shown
    assert "Uid:\t65532\t" in cluster.kubectl("exec", "distroless", "--", "grep", "^Uid", "/proc/1/status")
    assert "[info]" not in cluster.kubectl("logs", "envoy") and "starting main dispatch loop" in cluster.kubectl("logs", "distroless")
