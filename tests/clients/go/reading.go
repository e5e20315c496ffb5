package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	watchtools "k8s.io/client-go/tools/watch"
)

var readingChecks = []Check{
	{"lists: pages are consistent, count what remains, and expire cleanly", pages},
	{"lists: label and field selectors", selects},
	{"watches: bookmarks, initial events, selectors that objects enter and leave", watches},
	{"watches: RetryWatcher and UntilWithSync", retriesWatches},
	{"errors: each of the API's own kinds is told apart", errorsAreTold},
}

func makeConfigMap(ctx context.Context, w *World, name string, labels, data map[string]string) error {
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Data: data}
	_, err := w.client.CoreV1().ConfigMaps(w.namespace).Create(ctx, object, metav1.CreateOptions{})
	return err
}

func pages(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	for i := range 23 {
		if err := makeConfigMap(ctx, w, fmt.Sprintf("page-%02d", i), map[string]string{"check": "pages"}, nil); err != nil {
			return err
		}
	}
	first, err := client.List(ctx, metav1.ListOptions{LabelSelector: "check", Limit: 5})
	if err != nil {
		return err
	}
	whole, err := client.List(ctx, metav1.ListOptions{Limit: 5})
	if err != nil {
		return err
	}
	if err := makeConfigMap(ctx, w, "page-99", map[string]string{"check": "pages"}, nil); err != nil {
		return err
	}
	rest, err := client.List(ctx, metav1.ListOptions{LabelSelector: "check", Continue: first.Continue})
	if err != nil {
		return err
	}
	names := []string{}
	lister := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		options.LabelSelector = "check=pages"
		return client.List(ctx, options)
	}))
	lister.PageSize = 7
	mark := w.seen.mark()
	err = lister.EachListItem(ctx, metav1.ListOptions{}, func(object runtime.Object) error {
		names = append(names, object.(*corev1.ConfigMap).Name)
		return nil
	})
	if err != nil {
		return err
	}
	_, broken := client.List(ctx, metav1.ListOptions{Limit: 5, Continue: "nonsense"})
	return steps(
		func() error {
			return expect(first.RemainingItemCount == nil, "what remains is not counted with a selector: %v", first.RemainingItemCount)
		},
		func() error {
			return expect(whole.RemainingItemCount != nil && *whole.RemainingItemCount >= 19, "%v", whole.RemainingItemCount)
		},
		func() error {
			last := rest.Items[len(rest.Items)-1].Name
			return expect(last != "page-99" && rest.ResourceVersion == first.ResourceVersion, "the rest is as old as the first page")
		},
		func() error { return expect(len(names) == 24 && slices.IsSorted(names), "%v", names) },
		func() error { return expect(len(w.seen.since(mark, "limit=7")) == 4, "%v", w.seen.since(mark)) },
		func() error { return expect(apierrors.IsBadRequest(broken), "%v", broken) },
		func() error {
			return client.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "check=pages"})
		},
	)
}

func selects(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	for i, side := range []string{"port", "port", "starboard"} {
		err := makeConfigMap(ctx, w, "side-"+strconv.Itoa(i), map[string]string{"side": side, "number": strconv.Itoa(i)}, nil)
		if err != nil {
			return err
		}
	}
	count := func(labelled, field string, want int) func() error {
		return func() error {
			found, err := client.List(ctx, metav1.ListOptions{LabelSelector: labelled, FieldSelector: field})
			if err != nil {
				return err
			}
			return expect(len(found.Items) == want, "%q %q: %d, not %d", labelled, field, len(found.Items), want)
		}
	}
	both, err := labels.Parse("side in (port,starboard),number notin (2),!missing")
	if err != nil {
		return err
	}
	nodes, err := w.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	onNode := fields.OneTermEqualSelector("spec.nodeName", nodes.Items[0].Name).String() + ",status.phase=Running"
	pods, err := w.client.CoreV1().Pods("kube-system").List(ctx, metav1.ListOptions{FieldSelector: onNode})
	if err != nil {
		return err
	}
	_, unsupported := client.List(ctx, metav1.ListOptions{FieldSelector: "data.depth=3"})
	return steps(
		count("side=port", "", 2), count("side==port,number!=1", "", 1), count(both.String(), "", 2), count("number>0", "", 2),
		count("side", "metadata.name=side-2", 1), count("side", "metadata.name!=side-2", 2),
		count("", fields.AndSelectors(fields.OneTermEqualSelector("metadata.namespace", w.namespace),
			fields.OneTermEqualSelector("metadata.name", "side-0")).String(), 1),
		func() error { return expect(len(pods.Items) >= 2, "running pods of a node: %d", len(pods.Items)) },
		func() error { return expect(apierrors.IsBadRequest(unsupported), "%v", unsupported) },
	)
}

func watches(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	if err := makeConfigMap(ctx, w, "lamp-old", map[string]string{"lamp": "lit"}, nil); err != nil {
		return err
	}
	watcher, err := client.Watch(ctx, metav1.ListOptions{LabelSelector: "lamp=lit", AllowWatchBookmarks: true,
		SendInitialEvents: ptr(true), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan})
	if err != nil {
		return err
	}
	defer watcher.Stop()
	next := func(kind watch.EventType, name string) func() error {
		return func() error {
			select {
			case event := <-watcher.ResultChan():
				object, ok := event.Object.(*corev1.ConfigMap)
				if err := expect(ok && event.Type == kind && object.Name == name, "%s %s, but %v", kind, name, event); err != nil {
					return err
				}
				end := object.Annotations[metav1.InitialEventsAnnotationKey]
				return expect((end == "true") == (kind == watch.Bookmark), "the bookmark says that the initial events end: %q", end)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	label := func(value string) func() error {
		return func() error {
			object, err := client.Get(ctx, "lamp-new", metav1.GetOptions{})
			if err != nil {
				return err
			}
			object.Labels["lamp"] = value
			_, err = client.Update(ctx, object, metav1.UpdateOptions{})
			return err
		}
	}
	return steps(
		next(watch.Added, "lamp-old"), next(watch.Bookmark, ""),
		func() error { return makeConfigMap(ctx, w, "lamp-new", map[string]string{"lamp": "lit"}, nil) },
		next(watch.Added, "lamp-new"),
		label("out"), next(watch.Deleted, "lamp-new"),
		label("lit"), next(watch.Added, "lamp-new"),
		func() error { return client.Delete(ctx, "lamp-old", metav1.DeleteOptions{}) },
		next(watch.Deleted, "lamp-old"),
		func() error {
			_, err := client.Watch(ctx, metav1.ListOptions{SendInitialEvents: ptr(true)})
			return expect(apierrors.IsInvalid(err), "initial events without a match are invalid: %v", err)
		},
	)
}

func retriesWatches(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	listed, err := client.List(ctx, metav1.ListOptions{LabelSelector: "retry"})
	if err != nil {
		return err
	}
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = "retry"
			return client.List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = "retry"
			options.TimeoutSeconds = ptr[int64](1) // ended by the server, begun again by the watcher
			return client.Watch(ctx, options)
		},
	}
	retrying, err := watchtools.NewRetryWatcherWithContext(ctx, listed.ResourceVersion, lw)
	if err != nil {
		return err
	}
	defer retrying.Stop()
	mark := w.seen.mark()
	if err := until(ctx, "the server ends a watch in time", func() (bool, error) {
		return len(w.seen.since(mark, "watch=true", "timeoutSeconds=1")) >= 2, nil
	}); err != nil {
		return err
	}
	if err := makeConfigMap(ctx, w, "retry", map[string]string{"retry": ""}, nil); err != nil {
		return err
	}
	event := <-retrying.ResultChan()
	if err := expect(event.Type == watch.Added, "%v", event); err != nil {
		return err
	}
	done, err := watchtools.UntilWithSync(ctx, lw, &corev1.ConfigMap{}, nil, func(event watch.Event) (bool, error) {
		return event.Object.(*corev1.ConfigMap).Name == "retry", nil
	})
	if err != nil {
		return err
	}
	_, tooOld := client.Watch(ctx, metav1.ListOptions{ResourceVersion: "nonsense"})
	return steps(
		func() error { return expect(done.Type == watch.Added, "%v", done) },
		func() error {
			return expect(apierrors.IsInvalid(tooOld) || apierrors.IsBadRequest(tooOld), "%v", tooOld)
		},
	)
}

func errorsAreTold(ctx context.Context, w *World) error {
	client := w.client.CoreV1().ConfigMaps(w.namespace)
	if err := makeConfigMap(ctx, w, "errors", nil, nil); err != nil {
		return err
	}
	stale := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "errors", ResourceVersion: "1"}}
	_, conflict := client.Update(ctx, stale, metav1.UpdateOptions{})
	_, notFound := client.Get(ctx, "nothing", metav1.GetOptions{})
	_, invalid := client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "Not A Name"}}, metav1.CreateOptions{})
	uid := ptr(metav1.ObjectMeta{UID: "6ba7b810-9dad-11d1-80b4-00c04fd430c8"}.UID)
	precondition := client.Delete(ctx, "errors", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: uid}})
	_, noNamespace := w.client.CoreV1().ConfigMaps("no-such").Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
	forbidden := as(w.config, rest.ImpersonationConfig{UserName: "nobody", Groups: []string{"system:authenticated"}}).
		CoreV1().ConfigMaps(w.namespace).Delete(ctx, "errors", metav1.DeleteOptions{})
	stranger := rest.AnonymousClientConfig(w.config)
	stranger.BearerToken = "nonsense"
	_, unauthorized := kubernetes.NewForConfigOrDie(stranger).CoreV1().Secrets("default").List(ctx, metav1.ListOptions{})
	if !apierrors.IsInvalid(invalid) {
		return fmt.Errorf("invalid: %w", invalid)
	}
	cause := invalid.(apierrors.APIStatus).Status().Details.Causes[0]
	return steps(
		func() error {
			return expect(apierrors.IsAlreadyExists(makeConfigMap(ctx, w, "errors", nil, nil)), "already exists")
		},
		func() error { return expect(apierrors.IsConflict(conflict), "%v", conflict) },
		func() error { return expect(apierrors.IsConflict(precondition), "%v", precondition) },
		func() error { return expect(apierrors.IsNotFound(notFound), "%v", notFound) },
		func() error { return expect(apierrors.IsNotFound(noNamespace), "%v", noNamespace) },
		func() error {
			return expect(cause.Field == "metadata.name" && cause.Type == metav1.CauseTypeFieldValueInvalid, "%v", cause)
		},
		func() error { return expect(apierrors.IsForbidden(forbidden), "%v", forbidden) },
		func() error { return expect(apierrors.IsUnauthorized(unauthorized), "%v", unauthorized) },
	)
}

func as(config *rest.Config, who rest.ImpersonationConfig) kubernetes.Interface {
	other := rest.CopyConfig(config)
	other.Impersonate = who
	return kubernetes.NewForConfigOrDie(other)
}
