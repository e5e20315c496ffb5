package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"
)

var informerChecks = []Check{
	{"informers: WatchList fills the cache without a list, handlers hear what happens", informs},
	{"informers: EndpointSlices of a Service", informsOfSlices},
	{"informers: dynamic and metadata", informsGenerically},
	{"informers: a factory over many kinds", informsOfMany},
}

func informs(ctx context.Context, w *World) error {
	ctx, cancel := context.WithCancel(ctx)
	for i := range 5 {
		if err := makeConfigMap(ctx, w, fmt.Sprintf("inf-%d", i), map[string]string{"check": "informer"}, nil); err != nil {
			cancel()
			return err
		}
	}
	mark := w.seen.mark()
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(w.namespace),
		informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.LabelSelector = "check=informer" }))
	defer factory.Shutdown()
	defer cancel()
	informer := factory.Core().V1().ConfigMaps()
	var added, updated, deleted, initial atomic.Int32
	handle, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(_ any, first bool) {
			added.Add(1)
			if first {
				initial.Add(1)
			}
		},
		UpdateFunc: func(old, new any) { updated.Add(1) },
		DeleteFunc: func(any) { deleted.Add(1) },
	})
	if err != nil {
		return err
	}
	if err := informer.Informer().AddIndexers(cache.Indexers{"depth": func(object any) ([]string, error) {
		return []string{object.(*corev1.ConfigMap).Data["depth"]}, nil
	}}); err != nil {
		return err
	}
	factory.Start(ctx.Done())
	if err := expect(cache.WaitForCacheSync(ctx.Done(), informer.Informer().HasSynced, handle.HasSynced), "synced"); err != nil {
		return err
	}
	lists := w.seen.since(mark, "/configmaps?", "limit=500")
	streams := w.seen.since(mark, "/configmaps?", "sendInitialEvents=true")
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	object, err := client.Get(ctx, "inf-0", metav1.GetOptions{})
	if err != nil {
		return err
	}
	object.Data = map[string]string{"depth": "12"}
	if _, err := client.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := client.Delete(ctx, "inf-1", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := makeConfigMap(ctx, w, "inf-9", map[string]string{"check": "informer"}, nil); err != nil {
		return err
	}
	if err := until(ctx, "the handlers have heard", func() (bool, error) {
		return added.Load() == 6 && updated.Load() == 1 && deleted.Load() == 1, nil
	}); err != nil {
		return fmt.Errorf("%w: %d added, %d updated, %d deleted", err, added.Load(), updated.Load(), deleted.Load())
	}
	deep, err := informer.Informer().GetIndexer().ByIndex("depth", "12")
	if err != nil {
		return err
	}
	listed, err := informer.Lister().ConfigMaps(w.namespace).List(labels.Everything())
	if err != nil {
		return err
	}
	return steps(
		func() error {
			return expect(len(lists) == 0 && len(streams) == 1, "lists %v, streams %v", lists, streams)
		},
		func() error { return expect(initial.Load() == 5, "%d in the initial list", initial.Load()) },
		func() error {
			return expect(len(deep) == 1 && len(listed) == 5, "%d by index, %d in all", len(deep), len(listed))
		},
	)
}

func informsOfSlices(ctx context.Context, w *World) error {
	ctx, cancel := context.WithCancel(ctx)
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, time.Minute, informers.WithNamespace(w.namespace))
	defer factory.Shutdown()
	defer cancel()
	slices := factory.Discovery().V1().EndpointSlices()
	informer := slices.Informer()
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	if err := expect(informer.HasSynced(), "synced"); err != nil {
		return err
	}
	web := deployment("sliced")
	web.Spec.Replicas = ptr[int32](2)
	if _, err := w.client.AppsV1().Deployments(w.namespace).Create(ctx, web, metav1.CreateOptions{}); err != nil {
		return err
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "sliced"}, Spec: corev1.ServiceSpec{Selector: web.Labels,
		Ports: []corev1.ServicePort{{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}}}}
	if _, err := w.client.CoreV1().Services(w.namespace).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := until(ctx, "two endpoints are ready", func() (bool, error) {
		found, err := slices.Lister().EndpointSlices(w.namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: "sliced"}))
		count := 0
		for _, slice := range found {
			for _, endpoint := range slice.Endpoints {
				if *endpoint.Conditions.Ready && endpoint.TargetRef.Kind == "Pod" && *slice.Ports[0].Port == 80 {
					count++
				}
			}
		}
		return count == 2, err
	}); err != nil {
		return err
	}
	if err := w.client.CoreV1().Services(w.namespace).Delete(ctx, "sliced", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := w.client.AppsV1().Deployments(w.namespace).Delete(ctx, "sliced", metav1.DeleteOptions{}); err != nil {
		return err
	}
	return until(ctx, "the slices are gone", func() (bool, error) {
		left, err := slices.Lister().EndpointSlices(w.namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: "sliced"}))
		return len(left) == 0, err
	})
}

func informsGenerically(ctx context.Context, w *World) error {
	ctx, cancel := context.WithCancel(ctx)
	resource := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	byTree := dynamicinformer.NewFilteredDynamicSharedInformerFactory(w.dynamic, 0, w.namespace, nil)
	byMeta := metadatainformer.NewFilteredSharedInformerFactory(metadata.NewForConfigOrDie(w.config), 0, w.namespace, nil)
	defer byTree.Shutdown()
	defer byMeta.Shutdown()
	defer cancel()
	trees, metas := byTree.ForResource(resource), byMeta.ForResource(resource)
	stores := []cache.SharedIndexInformer{trees.Informer(), metas.Informer()}
	byTree.Start(ctx.Done())
	byMeta.Start(ctx.Done())
	if err := expect(cache.WaitForCacheSync(ctx.Done(), stores[0].HasSynced, stores[1].HasSynced), "synced"); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "generic"}, StringData: map[string]string{"a": "b"}}
	if _, err := w.client.CoreV1().Secrets(w.namespace).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := until(ctx, "both know of it", func() (bool, error) {
		_, err := trees.Lister().ByNamespace(w.namespace).Get("generic")
		_, other := metas.Lister().ByNamespace(w.namespace).Get("generic")
		return err == nil && other == nil, nil
	}); err != nil {
		return err
	}
	object, err := metas.Lister().ByNamespace(w.namespace).Get("generic")
	if err != nil {
		return err
	}
	partial, ok := object.(*metav1.PartialObjectMetadata)
	return expect(ok && partial.Kind == "" || partial.Kind == "PartialObjectMetadata" || partial.Kind == "Secret", "%v", object)
}

func informsOfMany(ctx context.Context, w *World) error {
	ctx, cancel := context.WithCancel(ctx)
	mark := w.seen.mark()
	factory := informers.NewSharedInformerFactory(w.client, 0)
	defer factory.Shutdown()
	defer cancel()
	core, apps := factory.Core().V1(), factory.Apps().V1()
	all := []cache.SharedIndexInformer{core.Pods().Informer(), core.Nodes().Informer(), core.Namespaces().Informer(), core.Services().Informer(),
		core.ServiceAccounts().Informer(), core.Events().Informer(), core.PersistentVolumeClaims().Informer(), apps.Deployments().Informer(),
		apps.ReplicaSets().Informer(), apps.DaemonSets().Informer(), apps.StatefulSets().Informer(), factory.Batch().V1().Jobs().Informer(),
		factory.Coordination().V1().Leases().Informer(), factory.Networking().V1().Ingresses().Informer(), factory.Networking().V1().IPAddresses().Informer(),
		factory.Rbac().V1().ClusterRoles().Informer(), factory.Storage().V1().StorageClasses().Informer(), factory.Policy().V1().PodDisruptionBudgets().Informer(),
		factory.Autoscaling().V2().HorizontalPodAutoscalers().Informer(), factory.Admissionregistration().V1().ValidatingWebhookConfigurations().Informer(),
		factory.Certificates().V1().CertificateSigningRequests().Informer(), factory.Scheduling().V1().PriorityClasses().Informer()}
	factory.StartWithContext(ctx)
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("%v did not sync", kind)
		}
	}
	binary := w.seen.since(mark, "sendInitialEvents=true", "application/vnd.kubernetes.protobuf")
	return expect(len(binary) == len(all), "%d of %d streams in protobuf", len(binary), len(all))
}
