package main

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apps "k8s.io/client-go/applyconfigurations/apps/v1"
	autoscaling "k8s.io/client-go/applyconfigurations/autoscaling/v1"
	core "k8s.io/client-go/applyconfigurations/core/v1"
	meta "k8s.io/client-go/applyconfigurations/meta/v1"
)

var applyChecks = []Check{
	{"apply: typed configurations, fields given up go, conflicts name their owner", applies},
	{"apply: what a manager owns is extracted, changed and applied again", extracts},
	{"apply: status and scale", appliesSubresources},
	{"apply: the dynamic client", appliesDynamically},
}

func container(name string) *core.ContainerApplyConfiguration {
	return core.Container().WithName(name).WithImage("traefik/whoami")
}

func applied(name, namespace string) *apps.DeploymentApplyConfiguration {
	labels := map[string]string{"app": name}
	return apps.Deployment(name, namespace).WithSpec(apps.DeploymentSpec().
		WithSelector(meta.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(core.PodTemplateSpec().WithLabels(labels).WithSpec(core.PodSpec().WithContainers(container("web")))))
}

func applies(ctx context.Context, w *World) error {
	client := w.client.AppsV1().Deployments(w.namespace)
	mine, theirs := metav1.ApplyOptions{FieldManager: "mine"}, metav1.ApplyOptions{FieldManager: "theirs"}
	first := applied("applied", w.namespace).WithAnnotations(map[string]string{"kept": "1", "dropped": "1"})
	first.Spec.WithReplicas(0).Template.Spec.WithContainers(container("extra"))
	if _, err := client.Apply(ctx, first, mine); err != nil {
		return err
	}
	other := apps.Deployment("applied", w.namespace).WithSpec(apps.DeploymentSpec().WithReplicas(2))
	_, conflict := client.Apply(ctx, other, theirs)
	second := applied("applied", w.namespace).WithAnnotations(map[string]string{"kept": "1"})
	second.Spec.WithReplicas(0)
	after, err := client.Apply(ctx, second, mine)
	if err != nil {
		return err
	}
	again, err := client.Apply(ctx, second, mine)
	if err != nil {
		return err
	}
	forced, err := client.Apply(ctx, apps.Deployment("applied", w.namespace).WithSpec(apps.DeploymentSpec().WithPaused(true).WithReplicas(0)),
		metav1.ApplyOptions{FieldManager: "theirs", Force: true})
	if err != nil {
		return err
	}
	managers := map[string]metav1.ManagedFieldsOperationType{}
	for _, entry := range forced.ManagedFields {
		managers[entry.Manager] = entry.Operation
	}
	if !apierrors.IsConflict(conflict) {
		return expect(false, "a conflict: %v", conflict)
	}
	cause := conflict.(apierrors.APIStatus).Status().Details.Causes[0]
	return steps(
		func() error {
			return expect(cause.Type == metav1.CauseTypeFieldManagerConflict && cause.Field == ".spec.replicas" &&
				cause.Message == `conflict with "mine"`, "%v", cause)
		},
		func() error {
			return expect(len(after.Spec.Template.Spec.Containers) == 1, "a container that was given up goes")
		},
		func() error {
			_, dropped := after.Annotations["dropped"]
			return expect(!dropped && after.Annotations["kept"] == "1", "%v", after.Annotations)
		},
		func() error {
			return expect(again.Generation == after.Generation, "an apply that says nothing new changes nothing")
		},
		func() error {
			return expect(managers["mine"] == "Apply" && managers["theirs"] == "Apply", "%v", managers)
		},
		func() error { return client.Delete(ctx, "applied", metav1.DeleteOptions{}) },
	)
}

func extracts(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	options := metav1.ApplyOptions{FieldManager: "extractor", Force: true}
	configuration := core.ConfigMap("extracted", w.namespace).WithData(map[string]string{"a": "1", "b": "2"}).WithLabels(map[string]string{"l": "1"})
	if _, err := client.Apply(ctx, configuration, options); err != nil {
		return err
	}
	object, err := client.Get(ctx, "extracted", metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.Data["c"] = "somebody else's"
	if object, err = client.Update(ctx, object, metav1.UpdateOptions{FieldManager: "editor"}); err != nil {
		return err
	}
	mine, err := core.ExtractConfigMap(object, "extractor")
	if err != nil {
		return err
	}
	if err := expect(len(mine.Data) == 2 && mine.Labels["l"] == "1", "%v", mine); err != nil {
		return err
	}
	delete(mine.Data, "b")
	object, err = client.Apply(ctx, mine, options)
	if err != nil {
		return err
	}
	return expect(len(object.Data) == 2 && object.Data["a"] == "1" && object.Data["c"] != "", "%v", object.Data)
}

func appliesSubresources(ctx context.Context, w *World) error {
	client := w.client.AppsV1().Deployments(w.namespace)
	configuration := applied("sub", w.namespace)
	configuration.Spec.WithReplicas(0)
	if _, err := client.Apply(ctx, configuration, metav1.ApplyOptions{FieldManager: "owner"}); err != nil {
		return err
	}
	scale := autoscaling.Scale().WithName("sub").WithNamespace(w.namespace).WithSpec(autoscaling.ScaleSpec().WithReplicas(0))
	scaled, err := client.ApplyScale(ctx, "sub", scale, metav1.ApplyOptions{FieldManager: "scaler"})
	if err != nil {
		return err
	}
	condition := apps.DeploymentCondition().WithType("Painted").WithStatus(corev1.ConditionTrue).WithReason("Fresh").WithMessage("wet")
	status := apps.Deployment("sub", w.namespace).WithStatus(apps.DeploymentStatus().WithConditions(condition))
	painted, err := client.ApplyStatus(ctx, status, metav1.ApplyOptions{FieldManager: "painter", Force: true})
	if err != nil {
		return err
	}
	found := map[string]string{}
	for _, entry := range painted.ManagedFields {
		found[entry.Manager] = entry.Subresource
	}
	_, err = client.ApplyScale(ctx, "sub", scale.WithSpec(autoscaling.ScaleSpec().WithReplicas(3)), metav1.ApplyOptions{FieldManager: "scaler"})
	return steps(
		func() error {
			return expect(scaled.Spec.Replicas == 0 && scaled.Status.Selector == "app=sub", "%v", scaled)
		},
		func() error { return expect(found["scaler"] == "scale" && found["painter"] == "status", "%v", found) },
		func() error { return expect(apierrors.IsConflict(err), "the owner's replicas: %v", err) },
		func() error { return client.Delete(ctx, "sub", metav1.DeleteOptions{}) },
	)
}

func appliesDynamically(ctx context.Context, w *World) error {
	client := w.dynamic.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace(w.namespace)
	service := func(ports ...any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Service",
			"metadata": map[string]any{"name": "ports"},
			"spec":     map[string]any{"selector": map[string]any{"app": "x"}, "ports": ports}}}
	}
	port := func(name string, number int64, protocol string) map[string]any {
		return map[string]any{"name": name, "port": number, "protocol": protocol}
	}
	if _, err := client.Apply(ctx, "ports", service(port("a", 53, "UDP"), port("b", 53, "TCP")), metav1.ApplyOptions{FieldManager: "m"}); err != nil {
		return err
	}
	after, err := client.Apply(ctx, "ports", service(port("b", 53, "TCP"), port("c", 80, "TCP")), metav1.ApplyOptions{FieldManager: "m"})
	if err != nil {
		return err
	}
	ports, _, _ := unstructured.NestedSlice(after.Object, "spec", "ports")
	names := ""
	for _, entry := range ports {
		names += entry.(map[string]any)["name"].(string)
	}
	return expect(names == "bc", "ports are told apart by port and protocol: %s", names)
}
