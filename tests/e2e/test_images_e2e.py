"""Image archives in a cluster: loaded once, run on every node as their configuration says, or refused with the reason."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from clusters import Cluster, wait_for
from image_archives import busybox_files, docker_save, oci_layout, tar

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  terminationGracePeriodSeconds: 5
  {extra}
  containers: [{{name: c, image: "{image}", imagePullPolicy: {policy}{more}}}]
"""


def pod(name: str, image: str, policy: str = "IfNotPresent", more: str = "", extra: str = "") -> str:
    return POD.format(name=name, image=image, policy=policy, more=more, extra=extra)


def waiting(cluster: Cluster, name: str) -> tuple[str, str]:
    for status in cluster.get("pod", name)["status"].get("containerStatuses", ()):
        state = status["state"].get("waiting", {})
        return state.get("reason", ""), state.get("message", "")
    return "", ""


def test_a_docker_save_file_of_busybox_runs_with_what_it_says(cluster: Cluster, tmp_path: Path) -> None:
    script = "echo stopped by QUIT > /out/why; kill $!; exit 0"
    entry = ["/bin/sh", "-c", f"trap '{script}' QUIT; id; pwd; env; echo args: $*; sleep 1000 & wait", "entry"]
    path = tmp_path / "tool.tar"
    path.write_bytes(docker_save(
        [tar(*busybox_files())], ["shop/tool:1"], Entrypoint=entry, Cmd=["one", "two"], User="shop", WorkingDir="/srv/shop",
        Env=["PATH=/bin", "GREETING=from the image", "BOTH=image"], StopSignal="SIGQUIT", ExposedPorts={"80/tcp": {}}))
    assert "docker.io/shop/tool:1" in cluster.seaway("image", "load", str(path), "--name", cluster.name).stdout
    volume = "volumes: [{name: out, hostPath: {path: /out, type: DirectoryOrCreate}}]"
    extra = f"nodeName: {cluster.name}-worker\n  securityContext: {{fsGroup: 7777}}\n  {volume}"
    mounts = ", volumeMounts: [{name: out, mountPath: /out}], env: [{name: BOTH, value: pod}]"
    # The node's folder belongs to root: another container opens it to the image's user.
    init = "\n  initContainers: [{name: open, image: busybox, command: [chmod, '777', /out], volumeMounts: [{name: out, mountPath: /out}]}]"
    cluster.apply(pod("tool", "shop/tool:1", "Never", mounts, extra + init))
    cluster.ready("tool")
    said = wait_for(lambda: (t := cluster.kubectl("logs", "tool", "-c", "c")) and "args:" in t and t)
    assert "uid=1234(shop) gid=2345(shop)" in said and "3456(extra)" in said
    assert {"/srv/shop", "GREETING=from the image", "BOTH=pod", "PATH=/bin", "HOME=/srv/shop", "args: one two"} <= set(said.split("\n"))
    status = cluster.get("pod", "tool")["status"]["containerStatuses"][0]
    assert status["imageID"].startswith("sha256:") and "Container image" in cluster.kubectl("describe", "pod", "tool")
    assert cluster.exec("tool", "ls", "/").split() == "bin dev etc lib lib64 out proc root srv sys tmp var".split()  # nothing of the host
    node = wait_for(lambda: [n for n in cluster.get("nodes")["items"] if n["status"].get("images")])[0]
    assert "docker.io/shop/tool:1" in [n for i in node["status"]["images"] for n in i["names"]]
    assert "used by" in cluster.seaway("image", "rm", "shop/tool:1", "--name", cluster.name, check=False).stderr
    cluster.kubectl("delete", "pod", "tool")
    cluster.apply(pod("after", "busybox", more=", command: [cat, /out/why], volumeMounts: [{name: out, mountPath: /out}]",
                      extra=f"restartPolicy: Never\n  nodeName: {cluster.name}-worker\n  {volume}"))
    wait_for(lambda: "stopped by QUIT" in cluster.kubectl("logs", "after", check=False))
    listed = cluster.seaway("image", "list", "--name", cluster.name).stdout
    assert "docker.io/shop/tool" in listed
    cluster.kubectl("delete", "pod", "after", "--wait=false")
    assert "Removed" in cluster.seaway("image", "rm", "shop/tool:1", "--name", cluster.name).stdout


def test_an_oci_layout_with_whiteouts_serves_behind_a_service(client: Cluster, tmp_path: Path) -> None:
    cluster = client
    change = tar({"name": "www", "folder": True}, {"name": "www/index.html", "text": "second\n"}, {"name": "www/.wh.secret"})
    layers = [
        tar(*busybox_files()),
        tar({"name": "www/index.html", "text": "first\n"}, {"name": "www/secret", "text": "s"}, {"name": "conf/old", "text": "old"}),
        change,
        tar({"name": "conf/.wh..wh..opq"}, {"name": "conf/new", "text": "new"}, {"name": "www/again.html", "hard": "www/index.html"}),
    ]
    wanted = oci_layout(tmp_path / "layout", layers, "registry.example/web:2", Entrypoint=["httpd", "-f", "-h", "/www"],
                        Cmd=["-p", "8080"], Env=["PATH=/bin"], User="1234:2345", WorkingDir="/conf")
    with tarfile.open(tmp_path / "web.tar.gz", "w:gz") as made:
        made.add(tmp_path / "layout", arcname=".")
    cluster.seaway("image", "load", str(tmp_path / "web.tar.gz"), "--name", cluster.name)
    cluster.apply(pod("web", "registry.example/web:2", "Always", ", readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}"))
    cluster.kubectl("expose", "pod", "web", "--name=site", "--port=80", "--target-port=8080")
    cluster.ready("web")
    wait_for(lambda: cluster.curl("http://site/again.html", check=False) == "second\n")
    assert cluster.exec("web", "ls", "/conf", "/www").split() == ["/conf:", "new", "/www:", "again.html", "index.html"]
    assert cluster.exec("web", "pwd").strip() == "/conf" and cluster.exec("web", "id", "-u").strip() == "1234"
    status = cluster.get("pod", "web")["status"]["containerStatuses"][0]
    assert status["imageID"] == f"registry.example/web@{wanted}"
    assert "Successfully pulled image" in cluster.kubectl("describe", "pod", "web")


def test_pull_policies_have_upstreams_reasons_and_a_load_wakes_who_waits(cluster: Cluster, tmp_path: Path) -> None:
    cluster.apply(pod("never", "shop/late:1", "Never"))
    cluster.apply(pod("pull", "shop/late:1"))
    cluster.apply(pod("wrong", "Shop:1"))
    wait_for(lambda: waiting(cluster, "never") == ("ErrImageNeverPull", 'Container image "shop/late:1" is not present with pull policy of Never'))
    _, message = wait_for(lambda: (w := waiting(cluster, "pull"))[0] == "ImagePullBackOff" and w)
    assert message.startswith('Back-off pulling image "shop/late:1": ErrImagePull: ') and "seaway image load" in message
    wait_for(lambda: waiting(cluster, "wrong")[0] == "InvalidImageName")
    events = cluster.kubectl("get", "events")
    for said in ('Pulling image "shop/late:1"', "Error: ErrImagePull", "Error: ImagePullBackOff", "Error: ErrImageNeverPull"):
        assert said in events
    path = tmp_path / "late.tar"
    path.write_bytes(docker_save([tar(*busybox_files())], ["shop/late:1"], Entrypoint=["/bin/sleep", "1000"]))
    cluster.seaway("image", "load", str(path), "--name", cluster.name)
    cluster.ready("never")
    cluster.ready("pull")


@pytest.mark.parametrize("what", [{"name": "../../evil", "text": "x"}, {"name": "a/evil", "text": "x"}])
def test_a_malicious_archive_is_refused_by_the_command(cluster: Cluster, tmp_path: Path, what: dict) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    path = tmp_path / "evil.tar"
    path.write_bytes(docker_save([tar(*busybox_files()), tar({"name": "a", "to": str(outside)}, what)], ["evil:1"]))
    done = cluster.seaway("image", "load", str(path), "--name", cluster.name, check=False)
    assert done.returncode == 1 and "nothing of it was taken" in done.stderr and done.stderr.count("\n") == 1
    assert not list(outside.iterdir()) and "evil" not in cluster.seaway("image", "list", "--name", cluster.name).stdout
