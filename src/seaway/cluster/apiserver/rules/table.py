"""Which rule each resource has: pods and workloads here, every other kind in `kinds`."""

from __future__ import annotations

from seaway.cluster.apiserver.rules import (
    Rule,
    apiservices,
    cronjobs,
    daemonsets,
    definitions,
    deployments,
    jobs,
    pods,
    statefulsets,
)
from seaway.cluster.apiserver.rules.kinds import KIND_RULES

RULES: dict[str, Rule] = {
    **KIND_RULES,
    "customresourcedefinitions.apiextensions.k8s.io": definitions.DEFINITIONS,
    "apiservices.apiregistration.k8s.io": apiservices.APISERVICES,
    "pods": pods.PODS,
    "podtemplates": pods.POD_TEMPLATES,
    "replicationcontrollers": deployments.REPLICATION_CONTROLLERS,
    "controllerrevisions.apps": statefulsets.CONTROLLER_REVISIONS,
    "daemonsets.apps": daemonsets.DAEMONSETS,
    "deployments.apps": deployments.DEPLOYMENTS,
    "replicasets.apps": deployments.REPLICASETS,
    "statefulsets.apps": statefulsets.STATEFULSETS,
    "jobs.batch": jobs.JOBS,
    "cronjobs.batch": cronjobs.CRONJOBS,
}
