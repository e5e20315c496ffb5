"""The controllers of workloads, in the order in which they are started: the list that the embedded cluster runs. Each tells
its events under its own name, as upstream's do."""

from __future__ import annotations

from seaway.client.events import Events
from seaway.client.rest import Rest
from seaway.cluster.workloads.accounts import AccountController, TokenController
from seaway.cluster.workloads.aggregation import AggregationController
from seaway.cluster.workloads.approving import ApprovingController
from seaway.cluster.workloads.autoscaler import AutoscalerController
from seaway.cluster.workloads.cronjob import CronJobController
from seaway.cluster.workloads.daemonset import DaemonSetController
from seaway.cluster.workloads.deployment import DeploymentController
from seaway.cluster.workloads.disruption import DisruptionController, StaleTargets
from seaway.cluster.workloads.garbage import GarbageCollector
from seaway.cluster.workloads.job import FinishedJobs, JobController, OrphanedPods
from seaway.cluster.workloads.namespaces import NamespaceController
from seaway.cluster.workloads.nodehealth import Timing
from seaway.cluster.workloads.nodelifecycle import NodeLifecycleController
from seaway.cluster.workloads.podgc import PodGarbageCollector
from seaway.cluster.workloads.protection import ProtectionController
from seaway.cluster.workloads.quotas import RESOURCE, WHOLE, QuotaController
from seaway.cluster.workloads.replicaset import REPLICATION_CONTROLLER, ReplicaSetController
from seaway.cluster.workloads.signing import SigningController
from seaway.cluster.workloads.statefulset import StatefulSetController
from seaway.cluster.workloads.tainteviction import TaintEvictionController
from seaway.controllers.run import Caches, Controller
from seaway.pki.authority import Authority


def controllers(
    api: Rest, caches: Caches, ca: str, authority: Authority, timing: Timing
) -> tuple[list[Controller], list[Events]]:
    """(the controllers, the writers of their events, which run beside them)."""
    writers: list[Events] = []

    def events(component: str) -> Events:
        writers.append(Events(api, component, ""))
        return writers[-1]

    found: list[Controller] = [
        DeploymentController(caches, events("deployment-controller")),
        ReplicaSetController(caches, events("replicaset-controller")),
        ReplicaSetController(caches, events("replication-controller"), REPLICATION_CONTROLLER),
        StatefulSetController(caches, events("statefulset-controller")),
        DaemonSetController(caches, events("daemonset-controller")),
        JobController(caches, events("job-controller")),
        OrphanedPods(caches),
        FinishedJobs(caches),
        CronJobController(caches, events("cronjob-controller")),
        DisruptionController(caches, events("controllermanager")),
        StaleTargets(caches),
        AutoscalerController(caches, events("horizontal-pod-autoscaler")),
        AccountController(caches, ca),
        TokenController(caches, ca),
        AggregationController(caches),
        SigningController(caches, authority),
        ApprovingController(caches),
        NamespaceController(caches, api),
        NodeLifecycleController(caches, events("node-controller"), timing),
        TaintEvictionController(caches, events("taint-eviction-controller")),
        PodGarbageCollector(caches),
        ProtectionController(caches),
    ]
    for resource in (RESOURCE, *WHOLE):
        caches.of(resource)
    # After the others: it shares the caches of them all.
    collector = GarbageCollector(caches, events("garbage-collector-controller"))
    found += [collector, QuotaController(caches, collector, events("resourcequota-controller"))]
    return found, writers
