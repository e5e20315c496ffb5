"""Two pods see neither each other nor the machine; a root process in a container does not get out of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusters import ROOT, Cluster

POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 0
  {extra}
  containers:
  - name: c
    image: {image}
    {command}
    volumeMounts: [{{name: scratch, mountPath: /scratch}}, {{name: host, mountPath: /node}}]
  volumes:
  - {{name: scratch, emptyDir: {{}}}}
  - {{name: host, hostPath: {{path: /var/isolated}}}}
"""
SLEEP = "command: [sleep, infinity]"


@pytest.fixture
def two(cluster: Cluster) -> Iterator[Cluster]:
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    here = f"nodeName: {node}"
    cluster.apply("---".join((
        POD.format(name="a", image="python", command=SLEEP, extra=here),
        POD.format(name="b", image="python", command=SLEEP, extra=here),
        POD.format(name="net", image="python", command=SLEEP, extra=f"{here}\n  hostNetwork: true"),
        POD.format(name="builtin", image="registry.k8s.io/pause", command="", extra=here),
    )))
    strong = POD.format(name="strong", image="python", command=SLEEP, extra=here)
    cluster.apply(strong.replace("image: python", "image: python\n    securityContext: {capabilities: {add: [SYS_ADMIN]}}"))
    for name in ("a", "b", "net", "builtin", "strong"):
        cluster.ready(name)
    yield cluster


def secrets(cluster: Cluster, marker: Path) -> list[str]:
    """What of the machine a container must not see: a home, this project, keys, the runtime folder."""
    found = [str(marker), str(ROOT / "pyproject.toml"), str(cluster.folder), str(cluster.folder / "pki" / "sa.key"),
             cluster.env["KUBECONFIG"], "/run/seaway", "/etc/shadow", "/etc/hostname.machine"]
    return [p for p in found if os.path.exists(p) and p != "/etc/shadow"] + ["/proc/1/environ.machine"]


def test_pods_do_not_see_each_other_or_the_machine(two: Cluster, tmp_path: Path) -> None:
    two.exec("a", "sh", "-c", "echo secret > /tmp/healthy; echo x > /scratch/mine; echo x > /root/mine; echo x > /dev/shm/mine; hostname")
    for path in ("/tmp/healthy", "/scratch/mine", "/root/mine", "/dev/shm/mine"):
        assert "No such file" in two.exec("b", "cat", path, check=False)
        assert not os.path.exists(path) or (path == "/tmp/healthy" and Path(path).read_text() != "secret\n")
    listed = two.exec("b", "ls", "-A", "/home", "/root", "/run", "/tmp", "/mnt", "/srv").split()
    assert {w for w in listed if not w.endswith(":")} <= {"secrets", "lock"}
    marker = tmp_path / "machine"
    marker.write_text("x")
    for path in secrets(two, marker)[:-1]:
        assert "No such file" in two.exec("b", "ls", path, check=False)
    assert len(two.exec("b", "sh", "-c", "ls /proc | grep -c '^[0-9]'").split()) == 1
    assert int(two.exec("b", "sh", "-c", "ls -d /proc/[0-9]* | wc -l")) <= 6


@pytest.mark.parametrize("pod", ["a", "net"])
def test_root_in_a_container_stays_in_it(two: Cluster, tmp_path: Path, pod: str) -> None:
    marker = tmp_path / "machine"
    marker.write_text("x")
    script = (Path(__file__).parent / "escape.py").read_text()
    arguments = [json.dumps(secrets(two, marker)), json.dumps(["/scratch", "/node"])]
    said = two.exec(pod, "python3", "-", *arguments, text=script)
    assert json.loads(said.splitlines()[-1]) == []
    assert "uid=0" in two.exec(pod, "id")  # it was root that tried
    # The attempts are real: what may mount, mounts.
    mount = "mount -t tmpfs none /mnt && echo mounted"
    assert two.exec("strong", "sh", "-c", mount).strip() == "mounted"
    assert "mounted" not in two.exec(pod, "sh", "-c", mount, check=False)


def test_an_exec_into_a_built_in_program_shows_nothing_of_its_host(two: Cluster, tmp_path: Path) -> None:
    """These run without an exec of their own: their descriptors, program and memory are the shim's."""
    marker = tmp_path / "machine"
    marker.write_text("x")
    script = (Path(__file__).parent / "escape.py").read_text()
    arguments = [json.dumps(secrets(two, marker)), json.dumps(["/scratch", "/node"])]
    assert json.loads(two.exec("builtin", "python3", "-", *arguments, text=script).splitlines()[-1]) == []
    for path in ("/proc/1/exe", "/proc/1/mem", "/proc/1/environ", "/proc/1/root/"):
        assert "denied" in two.exec("builtin", "sh", "-c", f"head -c 1 {path} || ls {path}", check=False)
