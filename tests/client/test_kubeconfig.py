"""Kubeconfigs: as YAML, and as the JSON that the embedded cluster's own processes are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from seaway.client import kubeconfig
from seaway.client.kubeconfig import CredentialsError

CONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "a",
    "clusters": [{"name": "c", "cluster": {"server": "http://10.0.0.1:8080/"}}],
    "users": [{"name": "u", "user": {"token": "secret"}}],
    "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u", "namespace": "shop"}}],
}


@pytest.mark.parametrize("text", [json.dumps(CONFIG), yaml.safe_dump(CONFIG), "{apiVersion: v1, " + yaml.safe_dump(CONFIG, default_flow_style=True)[1:]])
def test_json_block_and_flow_yaml_are_read_alike(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    found = kubeconfig.from_file(path)
    assert (found.server, found.token, found.namespace) == ("http://10.0.0.1:8080", "secret", "shop")


@pytest.mark.parametrize(("text", "told"), [("{", "expected"), ("{}", "no context named ''"), ("[1", "expected")])
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(CredentialsError, match=told):
        kubeconfig.from_file(path)
