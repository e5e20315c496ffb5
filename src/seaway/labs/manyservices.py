"""Many Services with two endpoints each, as the API has them: what proxies are measured with; pure but for the plane."""

from __future__ import annotations

import time
from typing import Any

from seaway.proxy import plan
from seaway.proxy.configuration import Settings
from seaway.proxy.ledger import Ledger
from seaway.proxy.plan import Place
from seaway.proxy.planes import Plane
from seaway.services.resolve import resolve

Tree = dict[str, Any]
NAMESPACE, NODE, NODE_ADDRESS = "many", "here", "172.30.0.2"
CLUSTER_CIDRS, SERVICE_CIDRS = ("10.128.0.0/9",), ("10.96.0.0/12",)
PORT, TARGET = 80, 8080
MOST = 1 << 19  # endpoints that 10.128.0.0/9 has room for, pods of the rig left out


def name(number: int) -> str:
    return f"service-{number:05d}"


def _address(first: int, number: int) -> str:
    return f"10.{first + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def cluster_ip(number: int) -> str:
    return _address(96, number + 1)


def endpoints(number: int, generation: int = 0) -> tuple[str, ...]:
    """The two endpoints of a Service; another `generation` has another second one."""
    first, second = 2 * number + 2, 2 * number + 3
    return _address(128, first), _address(128 + 16 * (generation % 2), second)


def service(number: int) -> Tree:
    ip = cluster_ip(number)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": NAMESPACE,
            "name": name(number),
            "uid": f"00000000-0000-4000-8000-{number:012x}",
            "resourceVersion": str(number + 1),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app": name(number)},
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": ip,
            "clusterIPs": [ip],
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster",
            "sessionAffinity": "None",
            "selector": {"app": name(number)},
            "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET}],
        },
        "status": {"loadBalancer": {}},
    }


def slice_of(number: int, addresses: tuple[str, ...], version: int = 0) -> Tree:
    """The EndpointSlice of a Service."""
    conditions = {"ready": True, "serving": True, "terminating": False}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"{name(number)}-abcde",
            "uid": f"00000000-0000-4000-9000-{number:012x}",
            "resourceVersion": str(version or number + 1),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {
                "kubernetes.io/service-name": name(number),
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [address],
                "conditions": dict(conditions),
                "nodeName": NODE,
                "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": f"{name(number)}-{i}"},
            }
            for i, address in enumerate(addresses)
        ],
        "ports": [{"name": "http", "protocol": "TCP", "port": TARGET}],
    }


def node() -> Tree:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": NODE, "uid": "00000000-0000-4000-a000-000000000000", "resourceVersion": "1"},
        "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}]},
    }


def settings(mode: str, backend: str = "auto", cgroup: str = "/", families: tuple[int, ...] = (4,)) -> Settings:
    """A proxy's settings for these Services."""
    return Settings(
        node=NODE,
        mode=mode,
        families=families,
        cluster_cidrs=CLUSTER_CIDRS,
        service_cidrs=SERVICE_CIDRS,
        backend=backend,
        cgroup=cgroup,
    )


def place(wanted: Settings) -> Place:
    return wanted.place("", (NODE_ADDRESS,), (), lambda: (NODE_ADDRESS,))


class Book:
    """These Services in a plane, without an API: what the proxy's process does with them, each step."""

    def __init__(self, plane: Plane, wanted: Settings) -> None:
        self._plane, self._place = plane, place(wanted)
        self._ledger: Ledger[str] = Ledger()

    def whole(self, count: int, ends: tuple[str, ...]) -> float:
        """Programs `count` Services; the first and the last have the endpoints `ends`. The seconds that it took."""
        began = time.perf_counter()
        self._ledger.change(
            {name(n): self._part(n, ends if n in (0, count - 1) else endpoints(n)) for n in range(count)}
        )
        self._plane.whole(self._ledger.table(plan.facts(4, self._place)))
        return time.perf_counter() - began

    def change(self, number: int, addresses: tuple[str, ...]) -> float:
        """One Service gets other endpoints; the seconds until the kernel has them."""
        began = time.perf_counter()
        self._plane.change(4, self._ledger.change({name(number): self._part(number, addresses)}))
        return time.perf_counter() - began

    def _part(self, number: int, addresses: tuple[str, ...]) -> Any:
        found = resolve(service(number), [slice_of(number, addresses)], 4)
        assert found is not None
        return plan.part(found, self._place)
