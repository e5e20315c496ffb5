"""Streams between kubectl and containers: over WebSocket as it is now, and over SPDY as older clients have it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from clusters import Cluster, wait_for

CARRIERS = {"websocket": "true", "spdy": "false"}
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: busybox, command: [sh, -c, "echo begun; cat; echo over; sleep infinity"], stdin: true, stdinOnce: true}
  - {name: w, image: traefik/whoami}
  - {name: t, image: busybox, command: [sh], stdin: true, tty: true}
"""


@pytest.fixture
def pod(cluster: Cluster) -> Cluster:
    cluster.apply(POD)
    cluster.ready("p")
    return cluster


@contextmanager
def carried(cluster: Cluster, carrier: str) -> Iterator[None]:
    """kubectl with one carrier of streams."""
    names = ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS")
    cluster.env.update({name: CARRIERS[carrier] for name in names})
    try:
        yield
    finally:
        for name in names:
            del cluster.env[name]


def run(cluster: Cluster, *args: str, data: bytes = b"", within: float = 60) -> tuple[int, bytes, str]:
    """(exit code, stdout, stderr) of kubectl."""
    command = [cluster.kubectl_path, "-n", cluster.namespace, *args]
    done = subprocess.run(command, input=data, capture_output=True, env=cluster.env, timeout=within)
    return done.returncode, done.stdout, done.stderr.decode()


@contextmanager
def started(cluster: Cluster, *args: str, terminal: bool = False) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """kubectl while it runs, and our end of its terminal or of its output."""
    command = [cluster.kubectl_path, "-n", cluster.namespace, *args]
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=cluster.env, start_new_session=True)
    else:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=theirs, stderr=subprocess.STDOUT, env=cluster.env)
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait(10)
        if process.stdin:
            with suppress(OSError):
                process.stdin.close()
        os.close(ours)


def expect(fd: int, text: bytes, within: float = 20) -> bytes:
    """Reads until `text` has come."""
    os.set_blocking(fd, False)
    found = b""

    def more() -> bool:
        nonlocal found
        with suppress(BlockingIOError, OSError):
            found += os.read(fd, 65536)
        return text in found

    try:
        wait_for(more, within)
    except AssertionError:
        raise AssertionError(f"{text!r} is not in {found!r}") from None
    return found


def processes(cluster: Cluster, container: str) -> str:
    return cluster.kubectl("exec", "p", "-c", container, "--", "ps", "-eo", "args")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_exec_carries_much_both_ways_and_the_exit_code(pod: Cluster, carrier: str) -> None:
    with carried(pod, carrier):
        much = os.urandom(6_000_000)
        code, out, _ = run(pod, "exec", "-i", "p", "-c", "c", "--", "cat", data=much)
        assert code == 0 and out == much
        code, out, err = run(pod, "exec", "p", "-c", "c", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
        assert (code, out) == (7, b"out\n") and "err\n" in err and "exit code 7" in err
        assert run(pod, "exec", "p", "-c", "c", "--", "sh", "-c", "kill -9 $$")[0] == 137
        code, _, err = run(pod, "exec", "p", "-c", "c", "--", "no-such-program")
        assert code == 1 and 'exec: "no-such-program": executable file not found in $PATH' in err
        # a child that keeps the output open does not keep the client
        assert run(pod, "exec", "p", "-c", "c", "--", "sh", "-c", "sleep 300 & echo done", within=20)[:2] == (0, b"done\n")
        assert "container x is not valid for pod p" in run(pod, "exec", "p", "-c", "x", "--", "ls")[2]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_exec_with_a_terminal_has_its_name_its_size_and_its_hang_up(pod: Cluster, carrier: str) -> None:
    with carried(pod, carrier), started(pod, "exec", "-it", "p", "-c", "c", "--", "sh", terminal=True) as (kubectl, terminal):
        os.write(terminal, b"tty; echo $TERM; sleep 4321\n")
        assert b"/dev/pts/" in expect(terminal, b"xterm")
        wait_for(lambda: "sleep 4321" in processes(pod, "c"))
        os.write(terminal, b"\x03")
        wait_for(lambda: "sleep 4321" not in processes(pod, "c"), what="Ctrl-C reaches the command")
        subprocess.run(["stty", "rows", "31", "cols", "97"], stdin=terminal, check=True)
        os.kill(kubectl.pid, signal.SIGWINCH)
        wait_for(lambda: os.write(terminal, b"stty size\n") and b"31 97" in expect(terminal, b"\r\n# ", 5), 20)
        os.write(terminal, b"sleep 8765\n")
        wait_for(lambda: "sleep 8765" in processes(pod, "c"))
        kubectl.kill()
        wait_for(lambda: "sleep 8765" not in processes(pod, "c"), what="the command hears of the hang-up")


def test_a_client_that_is_killed_takes_its_pipes_with_it(pod: Cluster) -> None:
    """As with the kubelet: a command that neither reads nor writes runs on, any other ends."""
    with started(pod, "exec", "-i", "p", "-c", "c", "--", "sh", "-c", "cat; exec sleep 0.5") as (kubectl, _):
        wait_for(lambda: re.search(r"^cat$", processes(pod, "t"), re.M) or "sh -c cat" in processes(pod, "c"))
        kubectl.kill()
        wait_for(lambda: "sh -c cat; exec" not in processes(pod, "c"), what="the end of its input")
    with started(pod, "exec", "p", "-c", "c", "--", "yes", "yes-yes") as (kubectl, out):
        expect(out, b"yes-yes\n")
        assert "yes yes-yes" in processes(pod, "c")
        kubectl.kill()
        wait_for(lambda: "yes yes-yes" not in processes(pod, "c"), what="SIGPIPE")


@pytest.mark.parametrize("carrier", CARRIERS)
def test_attach_joins_a_containers_own_streams(pod: Cluster, carrier: str) -> None:
    with carried(pod, carrier):
        with started(pod, "attach", "-it", "p", "-c", "t", terminal=True) as (_, terminal):
            os.write(terminal, b"echo in $((6 * 7)); tty\n")
            assert b"/dev/pts/0" in expect(terminal, b"/dev/pts/")
        assert "in 42" in pod.kubectl("logs", "p", "-c", "t")
        # stdinOnce: the first client's end of input is the container's
        with started(pod, "attach", "-i", "p", "-c", "c") as (kubectl, out):
            assert kubectl.stdin
            kubectl.stdin.write(b"through attach\n")
            kubectl.stdin.flush()
            expect(out, b"through attach\n")
            kubectl.stdin.close()
            expect(out, b"over\n")
        assert pod.kubectl("logs", "p", "-c", "c").splitlines() == ["begun", "through attach", "over"]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_run_carries_input_removes_the_pod_and_exits_as_it_did(cluster: Cluster, carrier: str) -> None:
    with carried(cluster, carrier):
        code, out, err = run(cluster, "run", "once", "-i", "--rm", "--restart=Never", "--image=busybox", "--", "sh", "-c", "cat; exit 5", data=b"hello\n")
        assert code == 5 and b"hello\n" in out, err + cluster.kubectl("get", "events")
        code, out, _ = run(cluster, "run", "seen", "--attach", "--rm", "--restart=Never", "--image=busybox", "--", "sh", "-c", "sleep 1; echo seen")
        assert code == 0 and b"seen\n" in out
        wait_for(lambda: not cluster.get("pods")["items"])


def fetch(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError as e:
        return str(e)


@contextmanager
def forwarded(cluster: Cluster, what: str, *ports: str) -> Iterator[tuple[subprocess.Popen[bytes], list[int], int]]:
    with started(cluster, "port-forward", what, *ports) as (kubectl, out):
        found = b""
        while found.count(b"127.0.0.1") < len(ports):
            found += expect(out, b"\n")
        yield kubectl, [int(n) for n in re.findall(rb"127\.0\.0\.1:(\d+)", found)], out


@pytest.mark.parametrize("carrier", CARRIERS)
def test_port_forward_carries_many_connections_to_several_ports(pod: Cluster, carrier: str) -> None:
    with carried(pod, carrier), forwarded(pod, "pod/p", ":80", ":81") as (kubectl, (web, closed), out):
        urls = [f"http://127.0.0.1:{web}/?{n}" for n in range(40)]
        curl = ["curl", "-sS", "-m", "20", "-Z", "--parallel-max", "40", "-w", "%{http_code}\n", *(a for u in urls for a in ("-o", "/dev/null", u))]
        assert subprocess.run(curl, capture_output=True, text=True, check=True).stdout.split() == ["200"] * 40
        much = "x" * 3_000_000
        body = subprocess.run(["curl", "-sS", "-m", "20", "--data-binary", "@-", f"http://127.0.0.1:{web}/"], input=much, capture_output=True, text=True)
        assert "POST / HTTP/1.1" in body.stdout
        fetch(closed)
        said = expect(out, b"lost connection to pod")
        assert b"connection refused" in said and b"error forwarding port 81 to pod" in said
        assert kubectl.wait(10) == 1


def test_port_forward_takes_services_and_deployments(cluster: Cluster) -> None:
    cluster.kubectl("create", "deployment", "web", "--image=traefik/whoami")
    cluster.kubectl("expose", "deployment", "web", "--port=8080", "--target-port=80")
    cluster.rollout("deployment/web")
    for what, port in (("service/web", ":8080"), ("deployment/web", ":80")):
        with forwarded(cluster, what, port) as (_, (local,), _out):
            assert "Hostname: web-" in fetch(local)
    assert "does not have a service port 9" in run(cluster, "port-forward", "service/web", ":9")[2]


@pytest.mark.parametrize("carrier", CARRIERS)
def test_cp_carries_files_and_folders_both_ways(pod: Cluster, carrier: str) -> None:
    with carried(pod, carrier), tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder, "there"), Path(folder, "back")
        (there / "deep").mkdir(parents=True)
        (there / "deep" / "big").write_bytes(os.urandom(2_000_000))
        (there / "small").write_text("small\n")
        pod.kubectl("cp", str(there), "p:/tmp/copied", "-c", "c")
        pod.kubectl("cp", "p:/tmp/copied", str(back), "-c", "c")
        assert (back / "deep" / "big").read_bytes() == (there / "deep" / "big").read_bytes()
        assert (back / "small").read_text() == "small\n"
        assert "doesn't exist in local filesystem" in run(pod, "cp", "/no/such", "p:/tmp/x", "-c", "c")[2]
        assert run(pod, "cp", str(there), "p:/proc/nowhere", "-c", "c")[0] != 0


def test_a_pod_that_is_not_there_yet_says_so(cluster: Cluster) -> None:
    slow = {"spec": {"initContainers": [{"name": "i", "image": "busybox", "command": ["sleep", "60"]}], "terminationGracePeriodSeconds": 1}}
    cluster.kubectl("run", "slow", "--image=busybox", f"--overrides={json.dumps(slow)}", "--", "sleep", "infinity")
    wait_for(lambda: cluster.get("pod", "slow")["status"].get("initContainerStatuses", [{}])[0].get("state", {}).get("running"))
    assert 'container "slow" in pod "slow" is waiting to start: PodInitializing' in run(cluster, "logs", "slow", "-c", "slow")[2]
    assert 'container not found ("slow")' in run(cluster, "exec", "slow", "-c", "slow", "--", "ls")[2]
    assert "unable to forward port because pod is not running" in run(cluster, "port-forward", "slow", ":80")[2]
    cluster.kubectl("run", "bad", "--image=example.com/none")
    wait_for(lambda: "is waiting to start" in run(cluster, "logs", "bad")[2])
    nowhere = {"spec": {"nodeSelector": {"no": "where"}}}
    cluster.kubectl("run", "nowhere", "--image=busybox", f"--overrides={json.dumps(nowhere)}")
    assert run(cluster, "logs", "nowhere") == (0, b"", "")
    raw = f"/api/v1/namespaces/{cluster.namespace}/pods"
    assert "Upgrade request required" in run(cluster, "get", "--raw", f"{raw}/slow/exec?container=i&command=ls&stdout=1")[2]
    assert "does not have a host assigned" in run(cluster, "get", "--raw", f"{raw}/nowhere/exec?command=ls&stdout=1")[2]


def test_logs_have_every_option(pod: Cluster) -> None:
    pod.kubectl("label", "pod", "p", "app=p")
    assert pod.kubectl("logs", "p", "-c", "c", "--prefix") == "[pod/p/c] begun\n"
    every = pod.kubectl("logs", "p", "--all-containers", "--prefix")
    assert "[pod/p/c] begun" in every
    assert "[pod/p/c] begun" in pod.kubectl("logs", "-l", "app=p", "--all-containers", "--prefix", "--tail=5")
    first = pod.kubectl("logs", "p", "-c", "c", "--timestamps").split(" ")[0]
    assert pod.kubectl("logs", "p", "-c", "c", f"--since-time={first}") == "begun\n"
    later = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    assert pod.kubectl("logs", "p", "-c", "c", f"--since-time={later}") == ""
    assert pod.kubectl("logs", "p", "-c", "c", "--since=1h", "--limit-bytes=3") == "beg"
    assert "previous terminated container" in run(pod, "logs", "p", "-c", "c", "--previous")[2]
    assert "container x is not valid for pod p" in run(pod, "logs", "p", "-c", "x")[2]
    with started(pod, "logs", "-f", "p", "-c", "c", "--tail=0") as (_, out):
        time.sleep(0.3)
        pod.kubectl("exec", "p", "-c", "c", "--", "sh", "-c", "echo written later > /proc/1/fd/1")
        expect(out, b"written later\n")


def test_debug_enters_a_pod_and_a_copy_of_it(pod: Cluster) -> None:
    code, out, _ = run(pod, "debug", "p", "--image=busybox", "--target=w", "-c", "look", "-i", "--", "sh", "-c", "head -1; cat /proc/1/cmdline /proc/1/environ; curl -s localhost", data=b"typed\n")
    assert code == 0 and b"whoami" in out and b"Hostname: p" in out and b"typed" in out
    assert b"zygote" not in out and b"SEAWAY_PRIVATE" not in out
    status = wait_for(lambda: [s for s in pod.get("pod", "p")["status"]["ephemeralContainerStatuses"] if "terminated" in s["state"]])
    assert status[0]["name"] == "look" and status[0]["state"]["terminated"]["exitCode"] == 0
    assert "Hostname: p" in pod.kubectl("logs", "p", "-c", "look")
    pod.kubectl("debug", "p", "--copy-to=copy", "--image=busybox", "--share-processes", "-c", "side", "--", "sleep", "infinity")
    pod.ready("copy")
    seen = pod.kubectl("exec", "copy", "-c", "side", "--", "ps", "-eo", "pid,args")
    assert re.search(r"^ +1 /pause", seen, re.M) and "whoami" in seen and "sleep infinity" in seen
    # Whether it may be looked at hangs on the interpreter's file; there is nothing to see in either case.
    _, found, refused = run(pod, "exec", "copy", "-c", "side", "--", "ls", "-A", "/proc/1/root/")
    assert "Permission denied" in refused or not found, (found, refused)
    with suppress(AssertionError):
        pod.kubectl("delete", "pod", "--all", "--now", "--wait=false")


def test_debug_of_a_node_is_the_nodes_and_never_the_machines(cluster: Cluster) -> None:
    """Its network and its folder; the cluster's processes, into whose roots, memory and environment nobody is led."""
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    look = "head -1 >/dev/null; hostname; ip -br addr; ps -eo args; ls /host; for p in /proc/[0-9]*; do ls $p/root/ $p/cwd/ $p/fd/; cat $p/environ; done 2>&1; sleep 0.3"
    for profile in ("general", "sysadmin"):
        code, out, err = run(cluster, "debug", f"node/{node}", f"--profile={profile}", "--image=busybox", "-i", "--", "sh", "-c", look, data=b"\n")
        text = out.decode("utf-8", "replace")
        assert code == 0 and f"{node}\n" in text and "172.30.0." in text, text + err
        assert re.search(r"^whoami|kube-proxy", text, re.M), "processes of other pods are seen"
        assert str(os.getpid()) not in re.findall(r"^ *(\d+)", text, re.M)
        assert "SEAWAY_PRIVATE" not in text and "boot\n" not in text, "nothing of the machine's root or of our environment"
        assert "Permission denied" in text or "Permission non" in text
    with suppress(AssertionError):
        cluster.kubectl("delete", "pod", "--all", "--now", "--wait=false")


def test_a_killed_api_server_ends_streams_and_says_so(pod: Cluster) -> None:
    """What is in the middle breaks off with an error; a new command goes on as before."""
    with started(pod, "exec", "-i", "p", "-c", "c", "--", "sh", "-c", "echo ready; cat") as (kubectl, out):
        expect(out, b"ready\n")
        os.kill(pod.pids("apiserver")[0], signal.SIGKILL)
        assert kubectl.wait(20) != 0
        assert b"error" in expect(out, b"error")
    wait_for(lambda: run(pod, "exec", "p", "-c", "c", "--", "echo", "again")[1] == b"again\n")
    wait_for(lambda: "echo ready" not in processes(pod, "c"))
