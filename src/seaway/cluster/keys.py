"""A cluster's keys and kubeconfigs, made on the host's side at each start."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import yaml

from seaway.cluster.layout import API_PORT, Layout
from seaway.cluster.place import Place
from seaway.pki.authority import Authority, Pair, new_key

Tree = dict[str, Any]
SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1")
ADMIN = "kubernetes-admin"


def _write(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)


def _save(folder: Path, name: str, pair: Pair) -> None:
    _write(folder / f"{name}.crt", pair.certificate)
    _write(folder / f"{name}.key", pair.key)


def kubeconfig(server: str, ca: bytes, pair: Pair, name: str) -> Tree:
    def b64(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": b64(ca)}}],
        "users": [
            {"name": name, "user": {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }


def make_keys(where: Place, kept: Path, layout: Layout, port: int) -> None:
    """The authority and the tokens' key (kept with the data), everything else anew at each start."""
    now = time.time()
    pki, folder = where.folder / "pki", where.folder / "kubeconfigs"
    for path in (pki, folder, kept):
        path.mkdir(mode=0o700, exist_ok=True, parents=True)
    if (kept / "ca.key").exists():
        authority = Authority(Pair((kept / "ca.crt").read_bytes(), (kept / "ca.key").read_bytes()))
    else:
        authority = Authority.new(f"seaway {layout.name}", now)
        _save(kept, "ca", authority.pair)
        _write(kept / "sa.key", new_key())
    _save(pki, "ca", authority.pair)  # the key for the signer of CertificateSigningRequests
    _write(pki / "sa.key", (kept / "sa.key").read_bytes())
    names = [*SERVER_NAMES, f"kubernetes.default.svc.{layout.domain}"]
    addresses = [str(a) for a in (*layout.router, layout.kubernetes_address, *(r[1] for r in layout.service_ranges))]
    _save(
        pki,
        "apiserver",
        authority.issue("kube-apiserver", now, ("system:masters",), (*names, *addresses), server=True),
    )
    host = str(layout.router[0])
    inside = f"https://{f'[{host}]' if ':' in host else host}:{API_PORT}"
    ca = authority.pair.certificate
    for name in ("controllers", "workloads", "scheduler", "cloud", "publish"):
        groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system")
        pair = authority.issue(f"system:serviceaccount:kube-system:{name}", now, groups)
        _write(folder / name, json.dumps(kubeconfig(inside, ca, pair, name)).encode())
    for node in layout.nodes:
        pair = authority.issue(f"system:node:{node.name}", now, ("system:nodes",))
        _write(folder / f"node-{node.name}", json.dumps(kubeconfig(inside, ca, pair, node.name)).encode())
        _save(
            pki,
            f"kubelet-{node.name}",
            authority.issue(
                f"system:node:{node.name}", now, ("system:nodes",), (node.name, *map(str, node.addresses)), server=True
            ),
        )
    admin = authority.issue(ADMIN, now, ("system:masters",))
    context = f"seaway-{layout.name}" if layout.name != "seaway" else "seaway"
    tree = kubeconfig(f"https://127.0.0.1:{port}", ca, admin, context)
    _write(where.kubeconfig, yaml.safe_dump(tree, sort_keys=False).encode())
