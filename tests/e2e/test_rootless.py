"""An ordinary user's cluster: no root, no capability, one user id."""

from __future__ import annotations

import os
from pathlib import Path

from clusters import CLIENT, Cluster, wait_for, web
from image_archives import busybox_files, docker_save, tar

SOMEBODY = """
apiVersion: v1
kind: Pod
metadata: {name: somebody}
spec:
  terminationGracePeriodSeconds: 0
  securityContext: {runAsUser: 65532, runAsGroup: 65532, fsGroup: 65532, runAsNonRoot: true,
    sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]}
  containers:
  - name: envoy
    image: envoyproxy/envoy:distroless-v1.40.0
    securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
    readinessProbe: {httpGet: {path: /, port: 10000}}
"""


class Ordinary(Cluster):
    """The program as a user without rights: ourselves, or, as root, through a user namespace that takes root away."""

    def prefix(self, command: str) -> list[str]:
        # Each of these namespaces is a stranger to the next: what comes after `up` is root's.
        wanted = os.geteuid() == 0 and command == "up"
        return ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if wanted else []


def test_an_ordinary_user_has_a_cluster() -> None:
    with Ordinary("--nodes", "2") as cluster:
        assert "without root" in cluster.said
        cluster.apply(web(2, extra=", type: NodePort") + "---" + CLIENT)
        cluster.rollout("deployment/web")
        cluster.ready("client")
        wait_for(lambda: "Hostname: web-" in cluster.curl("http://web", check=False))
        port = cluster.get("service", "web")["spec"]["ports"][0]["nodePort"]
        wait_for(lambda: "Hostname: web-" in cluster.outside("curl", "-sS", "-m", "3", f"http://172.30.0.2:{port}", check=False))
        assert cluster.exec("client", "id", "-u").strip() == "0"
        conditions = {c["type"]: c for c in cluster.get("nodes")["items"][0]["status"]["conditions"]}
        assert "started without root" in conditions["ResourceLimits"]["message"]
        assert cluster.kubectl("logs", "deploy/seaway-dns", "-n", "kube-system")
        cluster.apply(SOMEBODY)
        cluster.ready("somebody")
        assert "runAsUser 65532: this cluster was started without root" in cluster.kubectl("describe", "pod", "somebody")
        assert "Envoy works here" in cluster.curl(f"http://{cluster.get('pod', 'somebody')['status']['podIP']}:10000/")


def test_an_ordinary_user_runs_archives_and_fetched_programs_and_is_told_where_there_is_no_network(tmp_path: Path) -> None:
    path = tmp_path / "tool.tar"
    script = "id -u; cat /note; sleep 1000"
    layers = [tar(*busybox_files(), {"name": "note", "text": "old\n"}), tar({"name": "note", "text": "new\n"})]
    path.write_bytes(docker_save(layers, ["tool:1"], Cmd=["/bin/sh", "-c", script], User="shop", Env=["PATH=/bin"]))
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "apt-get"
    broken.write_text("#!/bin/sh\necho 'E: Temporary failure resolving a mirror' >&2\nexit 100\n")
    broken.chmod(0o755)
    made = Ordinary()
    made.env["SEAWAY_CACHE"] = str(tmp_path / "cache")
    made.env["PATH"] = f"{tmp_path / 'bin'}:{made.env['PATH']}"
    with made as cluster:
        cluster.seaway("image", "load", str(path), "--name", cluster.name)
        cluster.kubectl("run", "tool", "--image=tool:1")
        cluster.kubectl("run", "web", "--image=nginx", "--port=80")
        cluster.kubectl("run", "old", "--image=httpd", "--port=80")
        cluster.kubectl("run", "client", "--image=curlimages/curl", "--command", "--", "sleep", "1000")
        wait_for(lambda: cluster.kubectl("logs", "tool", check=False).split()[-2:] == ["0", "new"])
        described = wait_for(lambda: (t := cluster.kubectl("describe", "pod", "web")) and "ErrImagePull" in t and t)
        assert "Temporary failure resolving" in described and "seaway image pull nginx" in described
        broken.unlink()  # the network is back
        for name, want in (("web", "Welcome to nginx!"), ("old", "It works!")):
            wait_for(lambda name=name: cluster.get("pod", name)["status"].get("phase") == "Running")
            address = cluster.get("pod", name)["status"]["podIP"]
            wait_for(lambda address=address, want=want: want in cluster.curl(f"http://{address}", check=False))
