"""Which rule each resource has: the list to read when a kind behaves unexpectedly."""

from __future__ import annotations

from seaway.cluster.apiserver.rules import (
    Rule,
    cronjobs,
    daemonsets,
    deployments,
    jobs,
    pods,
    service,
    simple,
    statefulsets,
)

RULES: dict[str, Rule] = {
    "configmaps": Rule(validate=simple.validate_configmap, validate_update=simple.validate_immutable),
    "endpoints": Rule(simple.default_endpoints, put_creates=True),
    "events": Rule(put_creates=True),
    "limitranges": Rule(put_creates=True),
    "namespaces": Rule(simple.default_namespace, simple.begin_namespace),
    "nodes": Rule(simple.default_node),
    "pods": pods.PODS,
    "podtemplates": pods.POD_TEMPLATES,
    "replicationcontrollers": deployments.REPLICATION_CONTROLLERS,
    "secrets": Rule(
        simple.default_secret, validate=simple.validate_secret, validate_update=simple.validate_secret_update
    ),
    "services": Rule(
        service.default_service,
        service.begin_service,
        service.validate_service,
        service.validate_update,
        put_creates=True,
    ),
    "controllerrevisions.apps": statefulsets.CONTROLLER_REVISIONS,
    "daemonsets.apps": daemonsets.DAEMONSETS,
    "deployments.apps": deployments.DEPLOYMENTS,
    "replicasets.apps": deployments.REPLICASETS,
    "statefulsets.apps": statefulsets.STATEFULSETS,
    "jobs.batch": jobs.JOBS,
    "cronjobs.batch": cronjobs.CRONJOBS,
    "leases.coordination.k8s.io": Rule(validate=simple.validate_lease, put_creates=True),
    "endpointslices.discovery.k8s.io": Rule(
        simple.default_slice, validate=simple.validate_slice, validate_update=simple.validate_slice_update
    ),
    "ingresses.networking.k8s.io": Rule(validate=simple.validate_ingress),
    "networkpolicies.networking.k8s.io": Rule(simple.default_network_policy),
    "roles.rbac.authorization.k8s.io": Rule(validate=simple.validate_role, put_creates=True),
    "clusterroles.rbac.authorization.k8s.io": Rule(validate=simple.validate_role, put_creates=True),
    "rolebindings.rbac.authorization.k8s.io": Rule(
        simple.default_role_ref,
        validate=simple.validate_binding,
        validate_update=simple.validate_binding_update,
        put_creates=True,
    ),
    "clusterrolebindings.rbac.authorization.k8s.io": Rule(
        simple.default_role_ref,
        validate=simple.validate_binding,
        validate_update=simple.validate_binding_update,
        put_creates=True,
    ),
}
