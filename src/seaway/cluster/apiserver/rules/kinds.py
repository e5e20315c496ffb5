"""Which rule each kind has, but for pods and workloads: the list to read when a kind behaves unexpectedly."""

from __future__ import annotations

from seaway.cluster.apiserver.rules import (
    Part,
    Rule,
    autoscaling,
    budgets,
    certificates,
    configuration,
    endpoints,
    events,
    ingress,
    namespaces,
    networkpolicy,
    nodes,
    policies,
    quotas,
    rbac,
    service,
    servicecidr,
    storage,
    volumes,
    webhooks,
)

ADMISSION = "admissionregistration.k8s.io"
RBAC = "rbac.authorization.k8s.io"
STORAGE = "storage.k8s.io"
NETWORKING = "networking.k8s.io"

KIND_RULES: dict[str, Rule] = {
    "configmaps": Rule(validate=configuration.validate_configmap, revalidate=configuration.revalidate_configmap),
    "endpoints": Rule(
        endpoints.default_endpoints,
        validate=endpoints.validate_endpoints,
        revalidate=endpoints.revalidate_endpoints,
        warnings=endpoints.endpoints_warnings,
        put_creates=True,
    ),
    "events": Rule(validate=events.validate_core, revalidate=events.revalidate_core, put_creates=True),
    "events.events.k8s.io": Rule(validate=events.validate_new, revalidate=events.revalidate_new, put_creates=True),
    "limitranges": Rule(quotas.default_limits, validate=quotas.validate_limits, put_creates=True),
    "namespaces": Rule(
        namespaces.default_namespace,
        namespaces.begin_namespace,
        namespaces.validate_namespace,
        prepare=namespaces.prepare_namespace,
        parts={"status": Part(validate=namespaces.validate_namespace_status)},
    ),
    "nodes": Rule(
        nodes.default_node,
        validate=nodes.validate_node,
        revalidate=nodes.revalidate_node,
        warnings=nodes.node_warnings,
        parts={"status": Part(nodes.prepare_node_status, nodes.validate_node_status)},
        keeps_status=True,
    ),
    "persistentvolumeclaims": Rule(
        volumes.default_claim,
        volumes.begin_claim,
        volumes.validate_claim,
        volumes.claim_update_causes,
        warnings=volumes.claim_warnings,
        parts={"status": Part(validate=volumes.validate_claim_status)},
        admit=volumes.choose_class,
    ),
    "persistentvolumes": Rule(
        volumes.default_volume,
        volumes.begin_volume,
        volumes.validate_volume,
        volumes.volume_update_causes,
        warnings=volumes.volume_warnings,
    ),
    "resourcequotas": Rule(
        validate=quotas.validate_quota,
        validate_update=quotas.quota_update_causes,
        parts={"status": Part(validate=quotas.validate_quota_status)},
    ),
    "secrets": Rule(
        configuration.default_secret,
        validate=configuration.validate_secret,
        revalidate=configuration.revalidate_secret,
        warnings=configuration.secret_warnings,
    ),
    "serviceaccounts": Rule(warnings=namespaces.account_warnings),
    "services": Rule(
        service.default_service,
        service.begin_service,
        put_creates=True,
        warnings=service.warnings,
        parts={"status": Part(service.prepare_status, service.validate_status)},
    ),
    f"mutatingadmissionpolicies.{ADMISSION}": Rule(policies.default_policy, validate=policies.validate_mutating),
    f"mutatingadmissionpolicybindings.{ADMISSION}": Rule(
        policies.default_binding, validate=policies.validate_mutating_binding
    ),
    f"mutatingwebhookconfigurations.{ADMISSION}": Rule(webhooks.default_mutating, validate=webhooks.validate_mutating),
    f"validatingadmissionpolicies.{ADMISSION}": Rule(policies.default_policy, validate=policies.validate_validating),
    f"validatingadmissionpolicybindings.{ADMISSION}": Rule(
        policies.default_binding, validate=policies.validate_validating_binding
    ),
    f"validatingwebhookconfigurations.{ADMISSION}": Rule(
        webhooks.default_validating, validate=webhooks.validate_validating
    ),
    "horizontalpodautoscalers.autoscaling": Rule(
        autoscaling.default_hpa,
        validate=autoscaling.validate_hpa,
        parts={"status": Part(validate=autoscaling.validate_hpa_status)},
    ),
    "certificatesigningrequests.certificates.k8s.io": Rule(
        validate=certificates.validate,
        revalidate=certificates.revalidate,
        prepare=certificates.prepare,
        parts={
            "approval": Part(certificates.prepare_approval, certificates.revalidate, stamp=certificates.stamp),
            "status": Part(certificates.prepare_status, certificates.certificate_causes, stamp=certificates.stamp),
        },
        admit=certificates.admit,
        sign=certificates.sign,
    ),
    "leases.coordination.k8s.io": Rule(
        begin=nodes.begin_lease, validate=nodes.validate_lease, prepare=nodes.prepare_lease, put_creates=True
    ),
    "endpointslices.discovery.k8s.io": Rule(
        endpoints.default_slice,
        endpoints.begin_slice,
        endpoints.validate_slice,
        prepare=endpoints.prepare_slice,
        revalidate=endpoints.revalidate_slice,
        warnings=endpoints.slice_warnings,
    ),
    f"ingressclasses.{NETWORKING}": Rule(
        ingress.default_class, validate=ingress.validate_class, revalidate=ingress.revalidate_class
    ),
    f"ingresses.{NETWORKING}": Rule(
        ingress.default_ingress,
        ingress.begin_ingress,
        validate=ingress.validate_new_ingress,
        revalidate=ingress.validate_ingress,
        warnings=ingress.ingress_warnings,
        parts={"status": Part(validate=ingress.validate_ingress_status)},
        admit=ingress.choose_class,
    ),
    f"ipaddresses.{NETWORKING}": Rule(validate=servicecidr.validate_address, revalidate=servicecidr.revalidate_address),
    f"networkpolicies.{NETWORKING}": Rule(
        networkpolicy.default_policy,
        validate=networkpolicy.validate_policy,
        revalidate=networkpolicy.validate_policy,
        warnings=networkpolicy.policy_warnings,
    ),
    f"servicecidrs.{NETWORKING}": Rule(validate=servicecidr.validate_cidr, revalidate=servicecidr.revalidate_cidr),
    "runtimeclasses.node.k8s.io": Rule(
        validate=nodes.validate_runtime_class, revalidate=nodes.revalidate_runtime_class
    ),
    "poddisruptionbudgets.policy": Rule(
        validate=budgets.validate_budget, parts={"status": Part(validate=budgets.validate_budget_status)}
    ),
    f"roles.{RBAC}": Rule(validate=rbac.validate_role, put_creates=True),
    f"clusterroles.{RBAC}": Rule(validate=rbac.validate_cluster_role, put_creates=True),
    f"rolebindings.{RBAC}": Rule(
        rbac.default_binding,
        validate=rbac.validate_role_binding,
        validate_update=rbac.binding_update_causes,
        put_creates=True,
    ),
    f"clusterrolebindings.{RBAC}": Rule(
        rbac.default_binding,
        validate=rbac.validate_cluster_role_binding,
        validate_update=rbac.binding_update_causes,
        put_creates=True,
    ),
    "priorityclasses.scheduling.k8s.io": Rule(
        budgets.default_priority,
        validate=budgets.validate_priority,
        revalidate=budgets.revalidate_priority,
        admit=budgets.one_default,
    ),
    f"csidrivers.{STORAGE}": Rule(
        storage.default_driver, validate=storage.validate_driver, validate_update=storage.driver_update_causes
    ),
    f"csinodes.{STORAGE}": Rule(validate=storage.validate_node),
    f"csistoragecapacities.{STORAGE}": Rule(
        validate=storage.validate_capacity, validate_update=storage.capacity_update_causes
    ),
    f"storageclasses.{STORAGE}": Rule(
        storage.default_class, validate=storage.validate_class, validate_update=storage.class_update_causes
    ),
    f"volumeattachments.{STORAGE}": Rule(
        validate=storage.validate_attachment, revalidate=storage.revalidate_attachment
    ),
    f"volumeattributesclasses.{STORAGE}": Rule(
        validate=storage.validate_attributes, validate_update=storage.attributes_update_causes
    ),
}
