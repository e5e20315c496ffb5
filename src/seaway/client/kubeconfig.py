"""Credentials: from a kubeconfig file (client certificate, token, or a tokenFile), or from the pod's ServiceAccount."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class CredentialsError(ValueError):
    """Credentials that cannot be used; the text says which file and field."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the API server is, and who we are there. `token_file` is read anew by the caller: tokens rotate."""

    server: str
    tls: ssl.SSLContext | None
    token: str = ""
    token_file: str = ""
    namespace: str = "default"

    def authorization(self) -> str:
        token = self.token
        if self.token_file:
            token = Path(self.token_file).read_text().strip()
        return f"Bearer {token}" if token else ""


def in_cluster(environ: dict[str, str] | None = None, folder: Path = SERVICE_ACCOUNT) -> Credentials:
    """The pod's own ServiceAccount."""
    env = os.environ if environ is None else environ
    host, port = env.get("KUBERNETES_SERVICE_HOST"), env.get("KUBERNETES_SERVICE_PORT")
    if not host or not port or not (folder / "token").exists():
        raise CredentialsError(
            "not in a pod: KUBERNETES_SERVICE_HOST or the ServiceAccount token is missing; pass --kubeconfig"
        )
    shown = f"[{host}]" if ":" in host else host
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    namespace = (folder / "namespace").read_text().strip() if (folder / "namespace").exists() else "default"
    return Credentials(f"https://{shown}:{port}", context, token_file=str(folder / "token"), namespace=namespace)


def _named(entries: Any, name: str, what: str, inner: str) -> dict[str, Any]:
    for entry in entries or ():
        if entry.get("name") == name:
            return entry.get(inner) or {}
    raise CredentialsError(f"kubeconfig: no {what} named {name!r}")


def _bytes(fields: dict[str, Any], name: str, base: Path) -> bytes | None:
    if fields.get(f"{name}-data"):
        return base64.b64decode(fields[f"{name}-data"])
    if fields.get(name):
        path = base / str(fields[name])
        try:
            content: bytes = path.read_bytes()
            return content
        except OSError as e:
            raise CredentialsError(f"kubeconfig: {name}: {e}") from None
    return None


def _parsed(text: str) -> Any:
    """JSON is YAML too, and what the embedded cluster's own processes are given: the reader of YAML takes 20 ms and 3 MiB."""
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise ValueError(str(e)) from None


def from_file(path: str | Path, context_name: str = "") -> Credentials:
    """A kubeconfig's current (or named) context."""
    path = Path(path)
    try:
        config = _parsed(path.read_text()) or {}
    except (OSError, ValueError) as e:
        raise CredentialsError(f"kubeconfig {path}: {e}") from None
    name = context_name or config.get("current-context", "")
    context = _named(config.get("contexts"), name, "context", "context")
    cluster = _named(config.get("clusters"), context.get("cluster", ""), "cluster", "cluster")
    user = _named(config.get("users"), context.get("user", ""), "user", "user")
    base = path.parent
    server = cluster.get("server", "").rstrip("/")
    if not server:
        raise CredentialsError(f"kubeconfig {path}: the cluster has no server")
    if user.get("exec") or user.get("auth-provider"):
        raise CredentialsError(
            f"kubeconfig {path}: credential plugins are not supported; use a token or a client certificate"
        )
    tls = None
    if server.startswith("https:"):
        authority = _bytes(cluster, "certificate-authority", base)
        tls = ssl.create_default_context(cadata=authority.decode() if authority else None)
        if cluster.get("insecure-skip-tls-verify"):
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        certificate, key = _bytes(user, "client-certificate", base), _bytes(user, "client-key", base)
        if certificate and key:
            _load_pair(tls, certificate, key)
    token_file = str(base / user["tokenFile"]) if user.get("tokenFile") else ""
    return Credentials(server, tls, user.get("token", ""), token_file, context.get("namespace", "default"))


def _load_pair(tls: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # ssl takes files only; these live for a moment, readable by us alone.
    with tempfile.NamedTemporaryFile() as f:
        f.write(certificate + b"\n" + key)
        f.flush()
        tls.load_cert_chain(f.name)


def find(kubeconfig: str = "") -> Credentials:
    """--kubeconfig, else the ServiceAccount, else $KUBECONFIG, else ~/.kube/config."""
    if kubeconfig:
        return from_file(kubeconfig)
    try:
        return in_cluster()
    except CredentialsError:
        default = os.environ.get("KUBECONFIG", "").partition(":")[0] or str(Path.home() / ".kube" / "config")
        return from_file(default)
