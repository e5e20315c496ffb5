package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

var managerChecks = []Check{
	{"custom resources: a definition is created and established", installBeacons},
	{"custom resources: defaults, pruning, limits and rules, strict fields, selectable fields", customResources},
	{"controller-runtime: a manager with a leader, a finalizer, owned objects, statuses and events", manages},
	{"controller-runtime: the client without a manager", clientAlone},
}

const finalizer = "clients.seaway.dev/douse"

func ownScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, steps(func() error { return clientscheme.AddToScheme(scheme) }, func() error { return addBeacons(scheme) })
}

// keeper reconciles Beacons: as many pods as lamps, a log that goes before the Beacon does.
type keeper struct {
	client.Client
	recorder events.EventRecorder
}

func (k *keeper) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	beacon := &Beacon{}
	if err := k.Get(ctx, request.NamespacedName, beacon); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	log := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: beacon.Name + "-log", Namespace: beacon.Namespace}}
	if !beacon.DeletionTimestamp.IsZero() {
		if err := client.IgnoreNotFound(k.Delete(ctx, log)); err != nil {
			return ctrl.Result{}, err
		}
		if controllerutil.RemoveFinalizer(beacon, finalizer) {
			return ctrl.Result{}, k.Update(ctx, beacon)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(beacon, finalizer) {
		if err := k.Update(ctx, beacon); err != nil {
			return ctrl.Result{}, err
		}
	}
	if _, err := controllerutil.CreateOrPatch(ctx, k.Client, log, func() error {
		log.Data = map[string]string{"colour": beacon.Spec.Colour}
		return nil
	}); err != nil {
		return ctrl.Result{}, err
	}
	web := deployment(beacon.Name)
	web.Namespace = beacon.Namespace
	done, err := controllerutil.CreateOrUpdate(ctx, k.Client, web, func() error {
		web.Spec.Replicas = ptr(beacon.Spec.Lamps)
		return controllerutil.SetControllerReference(beacon, web, k.Scheme())
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	if done == controllerutil.OperationResultCreated {
		k.recorder.Eventf(beacon, web, corev1.EventTypeNormal, "Lit", "Lighting", "%d lamps", beacon.Spec.Lamps)
	}
	before := beacon.DeepCopyObject().(*Beacon)
	beacon.Status.Lit = web.Status.ReadyReplicas
	condition := metav1.Condition{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Lighting", ObservedGeneration: beacon.Generation}
	if beacon.Status.Lit == beacon.Spec.Lamps {
		condition.Status, condition.Reason = metav1.ConditionTrue, "Lit"
	}
	meta.SetStatusCondition(&beacon.Status.Conditions, condition)
	return ctrl.Result{}, k.Status().Patch(ctx, beacon, client.MergeFrom(before))
}

func manages(ctx context.Context, w *World) error {
	scheme, err := ownScheme()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(w.config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
		LeaderElection: true, LeaderElectionID: "keeper", LeaderElectionNamespace: w.namespace, LeaderElectionReleaseOnCancel: true,
		Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
	})
	if err != nil {
		return err
	}
	colour := func(object client.Object) []string { return []string{object.(*Beacon).Spec.Colour} }
	if err := manager.GetFieldIndexer().IndexField(ctx, &Beacon{}, "spec.colour", colour); err != nil {
		return err
	}
	keeping := &keeper{manager.GetClient(), manager.GetEventRecorder("keeper")}
	if err := ctrl.NewControllerManagedBy(manager).For(&Beacon{}).Owns(&appsv1.Deployment{}).Complete(keeping); err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(running) }()
	defer stop()
	direct, err := client.New(w.config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	north := &Beacon{ObjectMeta: metav1.ObjectMeta{Name: "north", Namespace: w.namespace}, Spec: BeaconSpec{Lamps: 2}}
	if err := direct.Create(ctx, north); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(north)
	lit := func(lamps int32) func() error {
		return func() error {
			return until(ctx, fmt.Sprintf("%d lamps are lit", lamps), func() (bool, error) {
				err := direct.Get(ctx, key, north)
				return err == nil && north.Status.Lit == lamps && meta.IsStatusConditionTrue(north.Status.Conditions, "Ready"), err
			})
		}
	}
	web, log := &appsv1.Deployment{}, &corev1.ConfigMap{}
	return steps(
		lit(2),
		func() error {
			return expect(north.Spec.Colour == "red" && controllerutil.ContainsFinalizer(north, finalizer) && north.Generation == 1, "%v", north)
		},
		func() error {
			if err := direct.Get(ctx, key, web); err != nil {
				return err
			}
			return expect(metav1.IsControlledBy(web, north), "%v", web.OwnerReferences)
		},
		func() error {
			return until(ctx, "the event is there", func() (bool, error) {
				found := &eventsv1.EventList{}
				err := direct.List(ctx, found, client.InNamespace(w.namespace), client.MatchingFields{"reason": "Lit"})
				return err == nil && len(found.Items) == 1 && found.Items[0].Regarding.UID == north.UID && found.Items[0].Related.Kind == "Deployment", err
			})
		},
		func() error { // the cache has it by its index
			found := &BeaconList{}
			if err := manager.GetClient().List(ctx, found, client.MatchingFields{"spec.colour": "red"}); err != nil {
				return err
			}
			return expect(len(found.Items) == 1 && found.Items[0].Name == "north", "by index: %v", found.Items)
		},
		func() error { // scale, as kubectl scale does
			scale := &autoscalingv1.Scale{}
			if err := direct.SubResource("scale").Get(ctx, north, scale); err != nil {
				return err
			}
			scale.Spec.Replicas = 3
			return direct.SubResource("scale").Update(ctx, north, client.WithSubResourceBody(scale))
		},
		lit(3),
		func() error {
			return expect(north.Generation == 2, "a scale is a new generation: %d", north.Generation)
		},
		func() error { return direct.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: "north-log"}, log) },
		func() error { return direct.Delete(ctx, north) },
		func() error {
			return until(ctx, "everything of the Beacon is gone", func() (bool, error) {
				gone := true
				for _, object := range []client.Object{north, web, log} {
					err := direct.Get(ctx, client.ObjectKeyFromObject(object), object)
					if err != nil && !apierrors.IsNotFound(err) {
						return false, err
					}
					gone = gone && err != nil
				}
				return gone, nil
			})
		},
		func() error {
			stop()
			select {
			case err := <-ended:
				return err
			case <-time.After(10 * time.Second):
				return fmt.Errorf("the manager does not end")
			}
		},
	)
}

func customResources(ctx context.Context, w *World) error {
	resource := w.dynamic.Resource(beacons.WithResource("beacons")).Namespace(w.namespace)
	beacon := func(name string, spec map[string]any) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": beacons.String(), "kind": "Beacon",
			"metadata": map[string]any{"name": name}, "spec": spec}}
	}
	refused := func(name string, spec map[string]any, field, message string) func() error {
		return func() error {
			_, err := resource.Create(ctx, beacon(name, spec), metav1.CreateOptions{})
			if !apierrors.IsInvalid(err) {
				return fmt.Errorf("%s: %w", name, err)
			}
			cause := err.(apierrors.APIStatus).Status().Details.Causes[0]
			return expect(cause.Field == field && cause.Message == message, "%v", cause)
		}
	}
	made, err := resource.Create(ctx, beacon("south", map[string]any{"colour": "green", "unknown": "x"}), metav1.CreateOptions{FieldValidation: "Ignore"})
	if err != nil {
		return err
	}
	_, strict := resource.Create(ctx, beacon("strict", map[string]any{"unknown": "x"}), metav1.CreateOptions{FieldValidation: "Strict"})
	if _, err = resource.Create(ctx, beacon("west", map[string]any{}), metav1.CreateOptions{}); err != nil {
		return err
	}
	green, err := resource.List(ctx, metav1.ListOptions{FieldSelector: "spec.colour=green"})
	if err != nil {
		return err
	}
	return steps(
		func() error {
			return expect(fmt.Sprint(made.Object["spec"]) == "map[colour:green lamps:1]", "%v", made.Object["spec"])
		},
		func() error {
			return expect(apierrors.IsBadRequest(strict) && strict.Error() == `Beacon in version "v1" cannot be handled as a Beacon: strict decoding error: unknown field "spec.unknown"`, "%v", strict)
		},
		refused("dark", map[string]any{"lamps": int64(0)}, "spec.lamps", "Invalid value: 0: spec.lamps in body should be greater than or equal to 1"),
		refused("blue", map[string]any{"colour": "blue"}, "spec.colour", `Unsupported value: "blue": supported values: "red", "green"`),
		refused("bright", map[string]any{"colour": "green", "lamps": int64(6)}, "spec", "Invalid value: at most five green lamps"),
		func() error {
			return expect(len(green.Items) == 1 && green.Items[0].GetName() == "south", "%v", green.Items)
		},
		func() error { return resource.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}) },
	)
}

func clientAlone(ctx context.Context, w *World) error {
	scheme, err := ownScheme()
	if err != nil {
		return err
	}
	direct, err := client.NewWithWatch(w.config, client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	strict := client.WithFieldValidation(client.WithFieldOwner(direct, "strict-client"), metav1.FieldValidationStrict)
	key := client.ObjectKey{Namespace: w.namespace, Name: "alone"}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: key.Name, Namespace: key.Namespace}, Data: map[string]string{"a": "1"}}
	if err := strict.Create(ctx, object); err != nil {
		return err
	}
	stale := object.DeepCopy()
	object.Data["b"] = "2"
	if err := strict.Update(ctx, object); err != nil {
		return err
	}
	changed := stale.DeepCopy()
	changed.Data["c"] = "3"
	locked := direct.Patch(ctx, changed.DeepCopy(), client.MergeFromWithOptions(stale, client.MergeFromWithOptimisticLock{}))
	if err := direct.Patch(ctx, changed, client.StrategicMergeFrom(stale)); err != nil {
		return err
	}
	tree := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": key.Name, "namespace": key.Namespace}, "data": map[string]any{"d": "4"}}}
	if err := direct.Apply(ctx, client.ApplyConfigurationFromUnstructured(tree), client.FieldOwner("applier")); err != nil {
		return err
	}
	watcher, err := direct.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(w.namespace), client.MatchingFields{"metadata.name": "alone"})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	event := <-watcher.ResultChan()
	seen, ok := event.Object.(*corev1.ConfigMap)
	partial := &metav1.PartialObjectMetadataList{}
	partial.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := direct.List(ctx, partial, client.InNamespace(w.namespace), client.Limit(1)); err != nil {
		return err
	}
	return steps(
		func() error { return expect(apierrors.IsConflict(locked), "%v", locked) },
		func() error { return expect(ok && len(seen.Data) == 4, "%v", event) },
		func() error { return expect(len(partial.Items) == 1 && partial.Continue != "", "%v", partial) },
		func() error {
			return client.IgnoreNotFound(direct.Delete(ctx, object, client.Preconditions{UID: &object.UID}))
		},
		func() error { return expect(apierrors.IsNotFound(direct.Get(ctx, key, object)), "it is gone") },
	)
}
