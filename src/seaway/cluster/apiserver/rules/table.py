"""Which rule each resource has: the list to read when a kind behaves unexpectedly."""

from __future__ import annotations

from seaway.cluster.apiserver.rules import Rule, podspec, service, simple, workloads

RULES: dict[str, Rule] = {
    "configmaps": Rule(validate=simple.validate_configmap, validate_update=simple.validate_immutable),
    "endpoints": Rule(simple.default_endpoints, put_creates=True),
    "events": Rule(put_creates=True),
    "limitranges": Rule(put_creates=True),
    "namespaces": Rule(simple.default_namespace, simple.begin_namespace),
    "nodes": Rule(simple.default_node),
    "pods": Rule(
        podspec.default_pod, podspec.begin_pod, podspec.validate_pod, podspec.validate_pod_update, podspec.grace
    ),
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
    "daemonsets.apps": Rule(
        workloads.default_daemonset, validate=workloads.validate_workload, validate_update=workloads.validate_update
    ),
    "deployments.apps": Rule(
        workloads.default_deployment, validate=workloads.validate_workload, validate_update=workloads.validate_update
    ),
    "replicasets.apps": Rule(
        workloads.default_replicaset, validate=workloads.validate_workload, validate_update=workloads.validate_update
    ),
    "statefulsets.apps": Rule(
        workloads.default_statefulset, validate=workloads.validate_workload, validate_update=workloads.validate_update
    ),
    "jobs.batch": Rule(workloads.default_job, validate=workloads.validate_job),
    "cronjobs.batch": Rule(workloads.default_cronjob),
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
