"""What a pod is called: host name, domain, and its /etc/hosts, as the kubelet has it (pkg/kubelet/kubelet_pods.go,
pkg/kubelet/util); pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Tree = dict[str, Any]
HOSTNAME_LENGTH, FQDN_LENGTH = 63, 64  # the kernel's nodename has 64 bytes
LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
MANAGED = "# Kubernetes-managed hosts file.\n"
MANAGED_OF_NODE = "# Kubernetes-managed hosts file (host network).\n"


class HostnameError(ValueError):
    """A name that a pod cannot have."""


def of_pod(pod: Tree, domain: str) -> tuple[str, str]:
    """Host name and domain of a pod; the domain is empty without a subdomain. hostnameOverride is nobody's part of a
    domain (KEP-4762)."""
    spec, meta = pod["spec"], pod["metadata"]
    if spec.get("hostnameOverride") is not None:
        return spec["hostnameOverride"], ""
    name = shortened(spec.get("hostname") or meta["name"])
    subdomain = spec.get("subdomain")
    return name, f"{subdomain}.{meta['namespace']}.svc.{domain}" if subdomain else ""


def shortened(name: str) -> str:
    """A pod's name may be longer than a host's; it does not end with a dash or a dot then."""
    return name if len(name) <= HOSTNAME_LENGTH else name[:HOSTNAME_LENGTH].rstrip("-.")


def of_kernel(pod: Tree, node: str, domain: str) -> str:
    """What `hostname` prints: on the node's network the node's name, by setHostnameAsFQDN the name with its domain."""
    spec = pod["spec"]
    if spec.get("hostNetwork"):
        return node
    name, own_domain = of_pod(pod, domain)
    if not own_domain or not spec.get("setHostnameAsFQDN"):
        return name
    fqdn = f"{name}.{own_domain}"
    if len(fqdn) > FQDN_LENGTH:
        raise HostnameError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {fqdn} is too long "
            f"({FQDN_LENGTH} characters is the max, {len(fqdn)} characters requested)"
        )
    return fqdn


def hosts_of_node(name: str, addresses: Iterable[object]) -> str:
    """A node's own /etc/hosts."""
    return LOCAL + "".join(f"{address}\t{name}\n" for address in addresses)


def hosts_of_pod(pod: Tree, addresses: Sequence[str], of_node: str, domain: str) -> str:
    """A pod's /etc/hosts; on the node's network the node's own (`of_node`), with the aliases."""
    aliases = pod["spec"].get("hostAliases") or ()
    text = MANAGED_OF_NODE + of_node
    if not pod["spec"].get("hostNetwork"):
        name, own_domain = of_pod(pod, domain)
        names = f"{name}.{own_domain}\t{name}" if own_domain else name
        text = MANAGED + LOCAL + "".join(f"{address}\t{names}\n" for address in addresses)
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        text += "".join(f"{a['ip']}\t" + "\t".join(a.get("hostnames") or ()) + "\n" for a in aliases)
    return text
