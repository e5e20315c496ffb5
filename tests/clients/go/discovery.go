package main

import (
	"context"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/restmapper"
)

var discoveryChecks = []Check{
	{"discovery: version, groups and resources in one request each", discovers},
	{"discovery: RESTMapper, short names, categories", maps},
	{"discovery: OpenAPI v3 of every group", readsOpenAPI},
	{"dynamic client: create, get, list, patch, delete of what a mapper finds", dynamicLife},
	{"metadata client: partial objects", metadataLife},
}

func discovers(ctx context.Context, w *World) error {
	mark := w.seen.mark()
	client := discovery.NewDiscoveryClientForConfigOrDie(w.config)
	version, err := client.ServerVersion()
	if err != nil {
		return err
	}
	groups, resources, err := client.ServerGroupsAndResources()
	if err != nil {
		return err
	}
	names := []string{}
	for _, list := range resources {
		for _, resource := range list.APIResources {
			names = append(names, list.GroupVersion+"/"+resource.Name)
		}
	}
	preferred, err := client.ServerPreferredNamespacedResources()
	if err != nil {
		return err
	}
	return steps(
		func() error {
			return expect(version.Major == "1" && version.Minor == "36", "server version %s", version)
		},
		func() error { return expect(len(groups) >= 19, "groups: %d", len(groups)) },
		func() error {
			for _, name := range []string{"v1/pods", "v1/pods/exec", "apps/v1/deployments/scale", "batch/v1/jobs",
				"coordination.k8s.io/v1/leases", "discovery.k8s.io/v1/endpointslices", "policy/v1/poddisruptionbudgets"} {
				if !slices.Contains(names, name) {
					return expect(false, "%s in %v", name, names)
				}
			}
			return nil
		},
		func() error {
			hpa := slices.ContainsFunc(preferred, func(list *metav1.APIResourceList) bool {
				return list.GroupVersion == "autoscaling/v2"
			})
			return expect(hpa, "autoscaling/v2 is the preferred version")
		},
		func() error {
			aggregated := w.seen.since(mark, "GET /apis", "g=apidiscovery.k8s.io")
			return expect(len(aggregated) >= 1 && len(w.seen.since(mark, "GET /apis/apps/v1 ")) == 0,
				"aggregated discovery was used: %v", w.seen.since(mark))
		},
	)
}

func maps(ctx context.Context, w *World) error {
	cached := memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(w.config))
	deferred := restmapper.NewDeferredDiscoveryRESTMapper(cached)
	mapper := restmapper.NewShortcutExpander(deferred, cached, nil)
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "Deployment"})
	if err != nil {
		return err
	}
	byShort, err := mapper.ResourceFor(schema.GroupVersionResource{Resource: "deploy"})
	if err != nil {
		return err
	}
	kind, err := mapper.KindFor(schema.GroupVersionResource{Resource: "ev"})
	if err != nil {
		return err
	}
	_, missing := mapper.RESTMapping(schema.GroupKind{Group: "harbour.seaway.dev", Kind: "Nothing"})
	all, ok := restmapper.NewDiscoveryCategoryExpander(cached).Expand("all")
	return steps(
		func() error {
			return expect(mapping.Resource.Resource == "deployments" && mapping.Scope.Name() == "namespace", "%v", mapping)
		},
		func() error { return expect(byShort == mapping.Resource, "%v", byShort) },
		func() error { return expect(kind.Kind == "Event", "%v", kind) },
		func() error { return expect(missing != nil, "a kind that is not there has no mapping") },
		func() error { return expect(ok && len(all) >= 9, "category all: %v", all) },
	)
}

func readsOpenAPI(ctx context.Context, w *World) error {
	paths, err := discovery.NewDiscoveryClientForConfigOrDie(w.config).OpenAPIV3().Paths()
	if err != nil {
		return err
	}
	for _, path := range []string{"api/v1", "apis/apps/v1", "apis/networking.k8s.io/v1"} {
		document, found := paths[path]
		if !found {
			return expect(false, "%s is a path", path)
		}
		body, err := document.Schema("application/json")
		if err != nil {
			return err
		}
		if err := expect(len(body) > 10_000, "%s: %d bytes", path, len(body)); err != nil {
			return err
		}
	}
	return nil
}

func dynamicLife(ctx context.Context, w *World) error {
	cached := memory.NewMemCacheClient(discovery.NewDiscoveryClientForConfigOrDie(w.config))
	mapping, err := restmapper.NewDeferredDiscoveryRESTMapper(cached).RESTMapping(schema.GroupKind{Group: "batch", Kind: "CronJob"})
	if err != nil {
		return err
	}
	client := w.dynamic.Resource(mapping.Resource).Namespace(w.namespace)
	cron := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "batch/v1", "kind": "CronJob",
		"metadata": map[string]any{"generateName": "tide-", "labels": map[string]any{"check": "dynamic"}},
		"spec": map[string]any{"schedule": "0 6 * * *", "suspend": true, "jobTemplate": map[string]any{"spec": map[string]any{
			"template": map[string]any{"spec": map[string]any{"restartPolicy": "Never",
				"containers": []any{map[string]any{"name": "c", "image": "busybox"}}}}}}},
	}}
	made, err := client.Create(ctx, cron, metav1.CreateOptions{FieldValidation: "Strict", FieldManager: "dynamic"})
	if err != nil {
		return err
	}
	policy, _, _ := unstructured.NestedString(made.Object, "spec", "concurrencyPolicy")
	if err := expect(policy == "Allow", "defaults are there: %q", policy); err != nil {
		return err
	}
	patched, err := client.Patch(ctx, made.GetName(), types.MergePatchType, []byte(`{"spec":{"schedule":"@hourly"}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	listed, err := client.List(ctx, metav1.ListOptions{LabelSelector: "check=dynamic"})
	if err != nil {
		return err
	}
	if err := expect(len(listed.Items) == 1 && listed.Items[0].GetResourceVersion() == patched.GetResourceVersion() &&
		patched.GetGeneration() == 2, "listed: %v", listed.Items); err != nil {
		return err
	}
	cron.Object["spec"].(map[string]any)["shedule"] = "typo"
	_, err = client.Create(ctx, cron, metav1.CreateOptions{FieldValidation: "Strict"})
	if err := expect(err != nil, "an unknown field is refused"); err != nil {
		return err
	}
	if err := client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "check=dynamic"}); err != nil {
		return err
	}
	return until(ctx, "the CronJob is gone", func() (bool, error) {
		left, err := client.List(ctx, metav1.ListOptions{LabelSelector: "check=dynamic"})
		return err == nil && len(left.Items) == 0, err
	})
}

func metadataLife(ctx context.Context, w *World) error {
	client := metadata.NewForConfigOrDie(w.config).Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}).Namespace(w.namespace)
	for _, name := range []string{"meta-a", "meta-b"} {
		if err := makeConfigMap(ctx, w, name, map[string]string{"check": "metadata"}, nil); err != nil {
			return err
		}
	}
	mark := w.seen.mark()
	listed, err := client.List(ctx, metav1.ListOptions{LabelSelector: "check=metadata"})
	if err != nil {
		return err
	}
	one, err := client.Patch(ctx, "meta-a", types.MergePatchType, []byte(`{"metadata":{"annotations":{"seen":"yes"}}}`), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	watcher, err := client.Watch(ctx, metav1.ListOptions{LabelSelector: "check=metadata", ResourceVersion: listed.ResourceVersion})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	event := <-watcher.ResultChan()
	partial, ok := event.Object.(*metav1.PartialObjectMetadata)
	return steps(
		func() error {
			return expect(len(listed.Items) == 2 && listed.Items[0].Name == "meta-a", "%v", listed.Items)
		},
		func() error { return expect(one.Annotations["seen"] == "yes", "%v", one) },
		func() error { return expect(ok && partial.Annotations["seen"] == "yes", "watched: %v", event) },
		func() error {
			return expect(len(w.seen.since(mark, "application/vnd.kubernetes.protobuf")) >= 1, "protobuf: %v", w.seen.since(mark))
		},
	)
}
