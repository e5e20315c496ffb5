"""helm, unmodified, with a chart that has hooks of all kinds, weights and delete policies, custom resources and look-ups."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clusters import ROOT, Cluster, wait_for

pytestmark = pytest.mark.e2e
CHART = str(Path(__file__).parent / "chart")
BERTHS = "berths.harbour.seaway.dev"
Helm = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def helm(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    home = str(tmp_path_factory.mktemp("helm"))
    env = {**cluster.env, "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}

    def run(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / ".venv" / "bin" / "helm"), "-n", cluster.namespace, *args]
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=100)
        assert not check or done.returncode == 0, f"helm {args}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    return run


def revisions(helm: Helm, name: str) -> list[tuple[int, str]]:
    history: list[dict[str, Any]] = json.loads(helm("history", name, "-o", "json").stdout)
    return [(entry["revision"], entry["status"]) for entry in history]


def said(cluster: Cluster, job: str) -> str:
    return cluster.kubectl("logs", f"job/{job}").strip()


def jobs(cluster: Cluster) -> set[str]:
    return {job["metadata"]["name"] for job in cluster.get("jobs")["items"]}


def test_a_release_lives_through_install_upgrade_test_rollback_and_uninstall(cluster: Cluster, helm: Helm) -> None:
    """Every hook runs in its place, in the order of the weights; what a hook's policy says is deleted."""
    helm("install", "quay", CHART, "--wait", "--timeout", "60s")
    assert revisions(helm, "quay") == [(1, "deployed")]
    assert {"quay-pre-install-2", "quay-post-install-2"} <= jobs(cluster), "before-hook-creation keeps a hook's Job"
    assert not {"quay-pre-install-1", "quay-post-install-1"} & jobs(cluster), "hook-succeeded deletes it"
    assert said(cluster, "quay-pre-install-2") == "pre-install of revision 1"
    web = cluster.get("deployment", "quay-web")
    born = {job: cluster.get("job", job)["metadata"]["creationTimestamp"] for job in jobs(cluster)}
    made = web["metadata"]["creationTimestamp"]
    assert born["quay-pre-install-2"] <= made <= born["quay-post-install-2"]
    assert web["status"]["availableReplicas"] == 1, "--wait waits for the Deployment"
    settings = cluster.get("configmap", "quay-settings")["data"]
    assert settings == {"greeting": "hello", "server": settings["server"], "autoscaling": "true"}
    assert settings["server"].startswith("v1.36."), "Capabilities come from /version and from discovery"
    password = cluster.get("secret", "quay-password")["data"]["password"]
    berth = cluster.get(BERTHS, "quay")
    assert berth["spec"] == {"depth": 7, "side": "port"}, "the CRD of crds/ was there first, and its default counts"

    helm("upgrade", "quay", CHART, "--set", "replicas=2,greeting=ahoy,berth.depth=9", "--wait", "--timeout", "60s")
    assert revisions(helm, "quay") == [(1, "superseded"), (2, "deployed")]
    assert cluster.get("secret", "quay-password")["data"]["password"] == password, "lookup finds what is there"
    assert cluster.get("configmap", "quay-settings")["data"]["greeting"] == "ahoy"
    assert cluster.get("configmap", "quay-tide")["data"] == {"revision": "2"}
    assert cluster.get("deployment", "quay-web")["status"]["availableReplicas"] == 2
    assert cluster.get(BERTHS, "quay")["spec"]["depth"] == 9
    assert said(cluster, "quay-post-upgrade-2") == "post-upgrade of revision 2"

    tested = helm("test", "quay", "--logs").stdout
    assert "Phase:          Succeeded" in tested and "the harbour answers" in tested

    helm("rollback", "quay", "1", "--wait", "--timeout", "60s")
    assert revisions(helm, "quay") == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
    assert cluster.get("configmap", "quay-settings")["data"]["greeting"] == "hello"
    assert cluster.get("deployment", "quay-web")["spec"]["replicas"] == 1
    assert said(cluster, "quay-pre-rollback-2") == "pre-rollback of revision 1"

    listed = json.loads(helm("list", "-o", "json").stdout)
    assert [(r["name"], r["revision"], r["status"], r["chart"]) for r in listed] == [
        ("quay", "3", "deployed", "harbour-1.2.3")
    ]
    manifest = helm("get", "manifest", "quay").stdout
    assert "kind: Deployment" in manifest and "greeting: \"hello\"" in manifest and "helm.sh/hook:" not in manifest
    assert helm("get", "hooks", "quay").stdout.count("kind: Job") == 12
    assert json.loads(helm("get", "values", "quay", "--revision", "2", "-o", "json").stdout)["replicas"] == 2
    assert "quay of revision 1 says hello." in helm("get", "notes", "quay").stdout

    gone = helm("uninstall", "quay", "--wait", "--timeout", "60s").stdout
    assert "[Secret] quay-password" in gone, "resource-policy keep"
    assert json.loads(helm("list", "-A", "-o", "json").stdout) == []
    assert said(cluster, "quay-post-delete-2").startswith("post-delete of revision")
    assert cluster.get("secret", "quay-password")["data"]["password"] == password
    assert "NotFound" in cluster.kubectl("get", "deployment", "quay-web", check=False)
    assert cluster.get("crd", BERTHS), "helm leaves CRDs alone"
    wait_for(lambda: not cluster.get("pods", "-l", "app=quay-web")["items"], 20, "the pods of the release are gone")


def test_what_fails_is_rolled_back_and_said(cluster: Cluster, helm: Helm) -> None:
    """--rollback-on-failure (once --atomic): a hook that fails, a rollout that never gets ready, an install that cannot be."""
    failed = helm("install", "leak", CHART, "--set", "failing=pre-install", "--rollback-on-failure", "--timeout", "30s", check=False)
    assert failed.returncode and "failed pre-install" in failed.stderr, failed.stderr
    assert "release: not found" in helm("status", "leak", check=False).stderr, "a failed install is uninstalled"
    assert said(cluster, "leak-pre-install-1") == "pre-install of revision 1", "only success deletes it"
    assert "leak-pre-install-2" not in jobs(cluster), "the weights' order ends where one fails"
    assert not cluster.get("deployments")["items"]

    helm("install", "leak", CHART, "--set", "quick=true", "--wait", "--timeout", "60s")
    broken = helm("upgrade", "leak", CHART, "--set", "quick=true,image=nosuch/image", "--rollback-on-failure", "--timeout", "4s", check=False)
    assert broken.returncode and "has been rolled back" in broken.stderr
    assert revisions(helm, "leak") == [(1, "superseded"), (2, "failed"), (3, "deployed")]
    assert cluster.get("deployment", "leak-web")["spec"]["template"]["spec"]["containers"][0]["image"] == "traefik/whoami"

    refused = helm("upgrade", "leak", CHART, "--set", "quick=true,berth.depth=0", check=False)
    assert refused.returncode
    assert "spec.depth: Invalid value: 0: spec.depth in body should be greater than or equal to 1" in refused.stderr
    shown = helm("install", "other", CHART, "--dry-run=server").stdout
    assert "greeting: \"hello\"" in shown and "server: v1.36." in shown
    assert "NotFound" in cluster.kubectl("get", "configmap", "other-settings", check=False), "a dry run writes nothing"
    helm("uninstall", "leak", "--wait", "--timeout", "60s")


def test_an_object_of_somebody_else_is_not_taken_over_unasked(cluster: Cluster, helm: Helm) -> None:
    cluster.kubectl("create", "serviceaccount", "pier-web")
    refused = helm("install", "pier", CHART, "--set", "quick=true", check=False)
    assert refused.returncode and 'cannot be imported into the current release: invalid ownership metadata' in refused.stderr
    helm("install", "pier", CHART, "--set", "quick=true", "--take-ownership", "--wait", "--timeout", "60s")
    owned = cluster.get("serviceaccount", "pier-web")["metadata"]
    assert owned["annotations"]["meta.helm.sh/release-name"] == "pier"
    cluster.kubectl("patch", "configmap", "pier-settings", "--type=merge", "-p", '{"data":{"greeting":"mine"}}')
    conflict = helm("upgrade", "pier", CHART, "--set", "quick=true,greeting=theirs", check=False)
    assert conflict.returncode and 'conflict with "kubectl-patch"' in conflict.stderr and ".data.greeting" in conflict.stderr
    helm("upgrade", "pier", CHART, "--set", "quick=true,greeting=theirs", "--force-conflicts", "--wait", "--timeout", "60s")
    assert cluster.get("configmap", "pier-settings")["data"]["greeting"] == "theirs"
    helm("uninstall", "pier")


def test_three_way_merges_on_the_clients_side_work_too(cluster: Cluster, helm: Helm) -> None:
    """As helm 3 does it: patches that the client computes, its older way to wait, a history that stays."""
    ways = ("--server-side=false", "--wait=legacy", "--timeout", "60s")
    helm("install", "old", CHART, "--set", "quick=true", *ways)
    owned = cluster.get("configmap", "old-settings")["metadata"]
    assert owned["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    cluster.kubectl("annotate", "deployment", "old-web", "somebody=else")
    helm("upgrade", "old", CHART, "--set", "quick=true,greeting=ahoy,berth.depth=8", *ways)
    assert cluster.get("deployment", "old-web")["metadata"]["annotations"]["somebody"] == "else", "what others wrote stays"
    assert cluster.get(BERTHS, "old")["spec"] == {"depth": 8, "side": "port"}
    helm("upgrade", "old", CHART, "--set", "quick=true,greeting=server", "--server-side=true", "--wait", "--timeout", "60s")
    assert cluster.get("configmap", "old-settings")["data"]["greeting"] == "server", "one way takes over from the other"
    helm("uninstall", "old", "--keep-history")
    assert revisions(helm, "old") == [(1, "superseded"), (2, "superseded"), (3, "uninstalled")]
