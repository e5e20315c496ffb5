package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/retry"
)

var writingChecks = []Check{
	{"protobuf: objects go and come whole, and as in JSON", protobuf},
	{"patches: JSON, merge and strategic", patches},
	{"conflicts: many writers of one object, each is counted", conflicts},
	{"finalizers: an object stays until the last is off", finalizers},
	{"owners: background, foreground and orphaned", owners},
	{"subresources: scale, status, eviction, ephemeral containers", subresources},
	{"identities: a token of a ServiceAccount may what its Role says", identities},
	{"events: a series is counted", countsEvents},
}

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: ptr[int32](0),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Strategy: appsv1.DeploymentStrategy{RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge: ptr(intstr.FromString("50%")), MaxUnavailable: ptr(intstr.FromInt32(0))}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					Containers: []corev1.Container{{
						Name: "web", Image: "traefik/whoami", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
						Env: []corev1.EnvVar{{Name: "EMPTY"}, {Name: "NODE", ValueFrom: &corev1.EnvVarSource{
							FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.nodeName"}}}},
						Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
							corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("1Mi")}},
						VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
						ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
							HTTPGet: &corev1.HTTPGetAction{Path: "/health", Port: intstr.FromString("http")}}},
					}},
					TerminationGracePeriodSeconds: ptr[int64](0),
					Volumes:                       []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}},
				},
			},
		},
	}
}

// inJSON gives a client that asks for JSON alone, where client-go's own default is protobuf first.
func inJSON(w *World) kubernetes.Interface {
	config := rest.CopyConfig(w.config)
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	return kubernetes.NewForConfigOrDie(config)
}

func protobuf(ctx context.Context, w *World) error {
	config := rest.CopyConfig(w.config)
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf
	binary, plain := kubernetes.NewForConfigOrDie(config), inJSON(w)
	mark := w.seen.mark()
	made, err := binary.AppsV1().Deployments(w.namespace).Create(ctx, deployment("proto"), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "proto"}, Data: map[string][]byte{"key": {0, 1, 0xff, 0xfe}}}
	if _, err := binary.CoreV1().Secrets(w.namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	fromBinary, err := binary.CoreV1().Secrets(w.namespace).Get(ctx, "proto", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if made, err = binary.AppsV1().Deployments(w.namespace).Get(ctx, "proto", metav1.GetOptions{}); err != nil {
		return err
	}
	fromJSON, err := plain.AppsV1().Deployments(w.namespace).Get(ctx, "proto", metav1.GetOptions{ResourceVersion: made.ResourceVersion})
	if err != nil {
		return err
	}
	if made.ResourceVersion != fromJSON.ResourceVersion { // its controller wrote in between
		if made, err = binary.AppsV1().Deployments(w.namespace).Get(ctx, "proto", metav1.GetOptions{}); err != nil {
			return err
		}
	}
	watcher, err := binary.AppsV1().Deployments(w.namespace).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=proto"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	event := <-watcher.ResultChan()
	watched, ok := event.Object.(*appsv1.Deployment)
	_, notFound := binary.CoreV1().Pods(w.namespace).Get(ctx, "nothing", metav1.GetOptions{})
	listed, err := binary.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	sent := w.seen.since(mark)
	return steps(
		func() error {
			return expect(bytes.Equal(fromBinary.Data["key"], secret.Data["key"]), "%v", fromBinary.Data)
		},
		func() error {
			return expect(equality.Semantic.DeepEqual(made.Spec, fromJSON.Spec), "spec:\n%v\n%v", made.Spec, fromJSON.Spec)
		},
		func() error {
			return expect(equality.Semantic.DeepEqual(made.ManagedFields, fromJSON.ManagedFields), "managed fields differ")
		},
		func() error {
			return expect(made.Spec.Template.Spec.Volumes[0].EmptyDir != nil, "an empty message is there")
		},
		func() error { return expect(ok && watched.UID == made.UID, "watched: %v", event) },
		func() error { return expect(apierrors.IsNotFound(notFound), "%v", notFound) },
		func() error {
			return expect(len(listed.Items) >= 2 && listed.Items[0].Status.PodIP != "", "%v", listed)
		},
		func() error {
			kinds := w.seen.since(mark, "application/vnd.kubernetes.protobuf")
			return expect(len(kinds) >= len(sent)-1, "all but one answer in protobuf: %v", sent)
		},
		func() error {
			return binary.AppsV1().Deployments(w.namespace).Delete(ctx, "proto", metav1.DeleteOptions{})
		},
	)
}

func patches(ctx context.Context, w *World) error {
	client := w.client.AppsV1().Deployments(w.namespace)
	if _, err := client.Create(ctx, deployment("patched"), metav1.CreateOptions{}); err != nil {
		return err
	}
	patch := func(kind types.PatchType, document string) (*appsv1.Deployment, error) {
		return client.Patch(ctx, "patched", kind, []byte(document), metav1.PatchOptions{})
	}
	if _, err := patch(types.JSONPatchType, `[{"op":"test","path":"/metadata/name","value":"patched"},
		{"op":"add","path":"/metadata/annotations","value":{"a/b":"1"}},{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"FIRST","value":"1"}}]`); err != nil {
		return err
	}
	if _, err := patch(types.MergePatchType, `{"metadata":{"annotations":{"a/b":null,"c":"2"}},"spec":{"minReadySeconds":3}}`); err != nil {
		return err
	}
	strategic, err := patch(types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"web",
		"env":[{"name":"EMPTY","$patch":"delete"},{"name":"LAST","value":"9"}]},{"name":"sidecar","image":"busybox"}]}}}}`)
	if err != nil {
		return err
	}
	_, failing := patch(types.JSONPatchType, `[{"op":"test","path":"/metadata/name","value":"other"}]`)
	_, invalid := patch(types.MergePatchType, `{"spec":{"replicas":-1}}`)
	_, dry := client.Patch(ctx, "patched", types.MergePatchType, []byte(`{"spec":{"replicas":7}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	left, err := client.Get(ctx, "patched", metav1.GetOptions{})
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, container := range strategic.Spec.Template.Spec.Containers {
		for _, variable := range container.Env {
			names[variable.Name] = true
		}
	}
	return steps(
		func() error {
			return expect(len(strategic.Spec.Template.Spec.Containers) == 2, "a container was merged in")
		},
		func() error {
			return expect(names["FIRST"] && names["LAST"] && names["NODE"] && !names["EMPTY"], "%v", names)
		},
		func() error {
			return expect(strategic.Annotations["a/b"] == "" && strategic.Annotations["c"] == "2" && strategic.Spec.MinReadySeconds == 3, "%v", strategic.Annotations)
		},
		func() error { return expect(apierrors.IsInvalid(failing), "a test that fails: %v", failing) },
		func() error { return expect(apierrors.IsInvalid(invalid), "%v", invalid) },
		func() error {
			return expect(dry == nil && *left.Spec.Replicas == 0, "a dry run changes nothing: %v", dry)
		},
		func() error { return client.Delete(ctx, "patched", metav1.DeleteOptions{}) },
	)
}

func conflicts(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	if err := makeConfigMap(ctx, w, "counter", nil, map[string]string{"count": "0"}); err != nil {
		return err
	}
	var group sync.WaitGroup
	failures := make(chan error, 8)
	for range 8 {
		group.Go(func() {
			err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
				object, err := client.Get(ctx, "counter", metav1.GetOptions{})
				if err != nil {
					return err
				}
				var count int
				fmt.Sscan(object.Data["count"], &count)
				object.Data["count"] = fmt.Sprint(count + 1)
				time.Sleep(time.Millisecond)
				_, err = client.Update(ctx, object, metav1.UpdateOptions{})
				return err
			})
			if err != nil && !apierrors.IsConflict(err) { // the retries may run out: then it was not counted
				failures <- err
			} else if err == nil {
				failures <- nil
			}
		})
	}
	group.Wait()
	close(failures)
	done := 0
	for err := range failures {
		if err != nil {
			return err
		}
		done++
	}
	object, err := client.Get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	return expect(done >= 4 && object.Data["count"] == fmt.Sprint(done), "%d writers were answered, the count is %s", done, object.Data["count"])
}

func finalizers(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "moored", Finalizers: []string{"seaway.dev/a", "seaway.dev/b"}}}
	if _, err := client.Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := client.Delete(ctx, "moored", metav1.DeleteOptions{}); err != nil {
		return err
	}
	held, err := client.Get(ctx, "moored", metav1.GetOptions{})
	if err != nil {
		return err
	}
	added := held.DeepCopy()
	added.Finalizers = append(added.Finalizers, "seaway.dev/c")
	_, refused := client.Update(ctx, added, metav1.UpdateOptions{})
	held.Finalizers = held.Finalizers[1:]
	held, err = client.Update(ctx, held, metav1.UpdateOptions{})
	if err != nil {
		return err
	}
	last, err := client.Patch(ctx, "moored", types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/finalizers"}]`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	_, gone := client.Get(ctx, "moored", metav1.GetOptions{})
	return steps(
		func() error {
			return expect(held.DeletionTimestamp != nil && *held.DeletionGracePeriodSeconds == 0, "%v", held)
		},
		func() error {
			return expect(apierrors.IsInvalid(refused), "no finalizer is added to what is deleted: %v", refused)
		},
		func() error { return expect(len(last.Finalizers) == 0, "%v", last.Finalizers) },
		func() error { return expect(apierrors.IsNotFound(gone), "%v", gone) },
	)
}

func owners(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	family := func(name string, block bool) error {
		owner, err := client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		reference := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: name, UID: owner.UID, BlockOwnerDeletion: &block}
		child := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name + "-child", OwnerReferences: []metav1.OwnerReference{reference}}}
		_, err = client.Create(ctx, child, metav1.CreateOptions{})
		return err
	}
	end := func(name string, how metav1.DeletionPropagation) error {
		return client.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &how})
	}
	gone := func(name string) func() error {
		return func() error {
			return until(ctx, name+" is gone", func() (bool, error) {
				_, err := client.Get(ctx, name, metav1.GetOptions{})
				return apierrors.IsNotFound(err), nil
			})
		}
	}
	return steps(
		func() error { return family("back", false) }, func() error { return family("fore", true) }, func() error { return family("orphan", false) },
		func() error { return end("back", metav1.DeletePropagationBackground) },
		func() error { return end("fore", metav1.DeletePropagationForeground) },
		func() error { return end("orphan", metav1.DeletePropagationOrphan) },
		gone("back"), gone("back-child"), gone("fore-child"), gone("fore"), gone("orphan"),
		func() error {
			left, err := client.Get(ctx, "orphan-child", metav1.GetOptions{})
			if err != nil {
				return err
			}
			return expect(len(left.OwnerReferences) == 0, "%v", left.OwnerReferences)
		},
	)
}

func subresources(ctx context.Context, w *World) error {
	client := w.client.AppsV1().Deployments(w.namespace)
	if _, err := client.Create(ctx, deployment("scaled"), metav1.CreateOptions{}); err != nil {
		return err
	}
	scale, err := client.GetScale(ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return err
	}
	scale.Spec.Replicas = 1
	if scale, err = client.UpdateScale(ctx, "scaled", scale, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := expect(scale.Spec.Replicas == 1 && scale.Status.Selector == "app=scaled", "%v", scale); err != nil {
		return err
	}
	var pod corev1.Pod
	if err := until(ctx, "a pod is ready", func() (bool, error) {
		pods, err := w.client.CoreV1().Pods(w.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=scaled"})
		if err != nil || len(pods.Items) == 0 {
			return false, err
		}
		pod = pods.Items[0]
		return ready(&pod), nil
	}); err != nil {
		return err
	}
	before, err := client.Get(ctx, "scaled", metav1.GetOptions{})
	if err != nil {
		return err
	}
	condition := appsv1.DeploymentCondition{Type: "Painted", Status: "True", Reason: "Fresh", LastTransitionTime: metav1.Now()}
	mixed, written := before.DeepCopy(), before
	mixed.Spec.Paused, mixed.Status.Conditions = true, append(mixed.Status.Conditions, condition)
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if before, err = client.Get(ctx, "scaled", metav1.GetOptions{}); err != nil {
			return err
		}
		mixed.ResourceVersion = before.ResourceVersion
		written, err = client.UpdateStatus(ctx, mixed, metav1.UpdateOptions{})
		return err
	}); err != nil {
		return err
	}
	debugged := pod.DeepCopy()
	debugged.Spec.EphemeralContainers = append(debugged.Spec.EphemeralContainers, corev1.EphemeralContainer{
		EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "busybox", Command: []string{"true"}}})
	if debugged, err = w.client.CoreV1().Pods(w.namespace).UpdateEphemeralContainers(ctx, pod.Name, debugged, metav1.UpdateOptions{}); err != nil {
		return err
	}
	one := intstr.FromInt32(1)
	budget := &policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Name: "scaled"}, Spec: policyv1.PodDisruptionBudgetSpec{
		MinAvailable: &one, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "scaled"}}}}
	if _, err := w.client.PolicyV1().PodDisruptionBudgets(w.namespace).Create(ctx, budget, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := until(ctx, "the budget is counted", func() (bool, error) {
		found, err := w.client.PolicyV1().PodDisruptionBudgets(w.namespace).Get(ctx, "scaled", metav1.GetOptions{})
		return err == nil && found.Status.ExpectedPods == 1 && found.Status.CurrentHealthy == 1, err
	}); err != nil {
		return err
	}
	evict := func() error {
		eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: w.namespace}}
		return w.client.PolicyV1().Evictions(w.namespace).Evict(ctx, eviction)
	}
	tooMany := evict()
	if err := w.client.PolicyV1().PodDisruptionBudgets(w.namespace).Delete(ctx, "scaled", metav1.DeleteOptions{}); err != nil {
		return err
	}
	evicted := evict()
	return steps(
		func() error { return expect(!written.Spec.Paused, "a status update leaves the spec alone") },
		func() error { return expect(len(debugged.Spec.EphemeralContainers) == 1, "%v", debugged.Spec) },
		func() error {
			return expect(apierrors.IsTooManyRequests(tooMany) && apierrors.HasStatusCause(tooMany, policyv1.DisruptionBudgetCause), "%v", tooMany)
		},
		func() error { return evicted },
		func() error { return client.Delete(ctx, "scaled", metav1.DeleteOptions{}) },
	)
}

func ready(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func identities(ctx context.Context, w *World) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "pilot"}}
	if _, err := w.client.CoreV1().ServiceAccounts(w.namespace).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return err
	}
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "pilot"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list"}}}}
	if _, err := w.client.RbacV1().Roles(w.namespace).Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "pilot"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "pilot"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "pilot", Namespace: w.namespace}}}
	if _, err := w.client.RbacV1().RoleBindings(w.namespace).Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr[int64](600)}}
	token, err := w.client.CoreV1().ServiceAccounts(w.namespace).CreateToken(ctx, "pilot", request, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	config := rest.AnonymousClientConfig(w.config)
	config.BearerToken = token.Status.Token
	pilot := kubernetes.NewForConfigOrDie(config)
	who, err := pilot.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	review := func(verb string) (bool, error) {
		attributes := &authorizationv1.ResourceAttributes{Namespace: w.namespace, Verb: verb, Resource: "configmaps"}
		answer, err := pilot.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: attributes}}, metav1.CreateOptions{})
		if err != nil {
			return false, err
		}
		return answer.Status.Allowed, nil
	}
	reads, err := review("list")
	if err != nil {
		return err
	}
	writes, err := review("delete")
	if err != nil {
		return err
	}
	_, listed := pilot.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{})
	_, elsewhere := pilot.CoreV1().ConfigMaps("kube-system").List(ctx, metav1.ListOptions{})
	deleted := pilot.CoreV1().ConfigMaps(w.namespace).Delete(ctx, "kube-root-ca.crt", metav1.DeleteOptions{})
	if err := w.client.CoreV1().ServiceAccounts(w.namespace).Delete(ctx, "pilot", metav1.DeleteOptions{}); err != nil {
		return err
	}
	_, after := pilot.CoreV1().ConfigMaps(w.namespace).List(ctx, metav1.ListOptions{})
	return steps(
		func() error {
			return expect(who.Status.UserInfo.Username == "system:serviceaccount:"+w.namespace+":pilot", "%v", who.Status)
		},
		func() error { return expect(reads && !writes, "what a review says: list %v, delete %v", reads, writes) },
		func() error { return listed },
		func() error { return expect(apierrors.IsForbidden(elsewhere), "%v", elsewhere) },
		func() error { return expect(apierrors.IsForbidden(deleted), "%v", deleted) },
		func() error { return expect(apierrors.IsUnauthorized(after), "a deleted account's token: %v", after) },
	)
}

func countsEvents(ctx context.Context, w *World) error {
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: w.client.EventsV1()})
	defer broadcaster.Shutdown()
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return err
	}
	about, err := w.client.CoreV1().ConfigMaps(w.namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
	if err != nil {
		return err
	}
	recorder := broadcaster.NewRecorder(scheme.Scheme, "clients.seaway.dev/watch")
	recorder.Eventf(about, nil, corev1.EventTypeNormal, "Sighted", "Watching", "a sail at %d miles", 3)
	var found eventsv1.Event
	sighted := func(enough func() bool) func() (bool, error) {
		return func() (bool, error) {
			listed, err := w.client.EventsV1().Events(w.namespace).List(ctx, metav1.ListOptions{FieldSelector: "reason=Sighted"})
			if err != nil || len(listed.Items) != 1 {
				return false, err
			}
			found = listed.Items[0]
			return enough(), nil
		}
	}
	if err := until(ctx, "the event is there", sighted(func() bool { return true })); err != nil {
		return err
	}
	recorder.Eventf(about, nil, corev1.EventTypeNormal, "Sighted", "Watching", "a sail at %d miles", 3)
	if err := until(ctx, "the second makes it a series", sighted(func() bool {
		return found.Series != nil && found.Series.Count == 2
	})); err != nil {
		return err
	}
	old, err := w.client.CoreV1().Events(w.namespace).Get(ctx, found.Name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	text, _ := json.Marshal(old)
	return expect(old.InvolvedObject.UID == about.UID && old.Message == "a sail at 3 miles" && old.ReportingController == "clients.seaway.dev/watch", "%s", text)
}
