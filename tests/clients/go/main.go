// Program clients is what people write with client-go and controller-runtime, in small: a check a use, against the cluster
// of the current kubeconfig. It prints a line a check and ends with 1 when one fails.
//
//	clients -namespace NS [CHECK...]    the checks, or those whose names begin so
//	clients -serve-webhooks             inside a pod: admission webhooks of a controller-runtime manager
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// World is what every check gets.
type World struct {
	config    *rest.Config
	client    kubernetes.Interface // JSON and protobuf as client-go's defaults have it
	dynamic   dynamic.Interface
	namespace string
	image     string // this program as an image of the cluster
	seen      *requests
}

// Check is one use of the libraries.
type Check struct {
	name string
	run  func(context.Context, *World) error
}

// requests remembers what went over the wire, so that a check can say what a client used.
type requests struct {
	mu    sync.Mutex
	lines []string
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		response, err := next.RoundTrip(request)
		kind := ""
		if err == nil {
			kind = response.Header.Get("Content-Type")
		}
		r.mu.Lock()
		r.lines = append(r.lines, request.Method+" "+request.URL.RequestURI()+" "+kind)
		r.mu.Unlock()
		return response, err
	})
}

// since gives what was sent since a mark that contains all of the words.
func (r *requests) since(mark int, words ...string) (found []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines[mark:] {
		all := true
		for _, word := range words {
			all = all && strings.Contains(line, word)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}

func (r *requests) mark() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// expect is an error unless what is said holds.
func expect(holds bool, said string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf("not so: "+said, args...)
}

// until polls, with a deadline.
func until(ctx context.Context, what string, check func() (bool, error)) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true,
		func(context.Context) (bool, error) { return check() })
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// steps runs one after the other, until one fails.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func ptr[T any](value T) *T { return &value }

func main() {
	namespace := flag.String("namespace", "default", "where the checks work")
	image := flag.String("image", "", "the image that has this program, for checks that run it in a pod")
	serve := flag.Bool("serve-webhooks", false, "serve admission webhooks, inside a pod")
	flag.Parse()
	klog.SetOutput(os.Stderr)
	ctrl.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if *serve {
		if err := serveWebhooks(ctrl.SetupSignalHandler(), *namespace); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		clientcmd.NewDefaultClientConfigLoadingRules(), nil).ClientConfig()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	config.QPS, config.Burst = -1, -1
	config.UserAgent = "clients"
	config.WarningHandler = rest.NewWarningWriter(io.Discard, rest.WarningWriterOptions{})
	seen := &requests{}
	config.Wrap(seen.wrap)
	world := &World{config, kubernetes.NewForConfigOrDie(config), dynamic.NewForConfigOrDie(config), *namespace, *image, seen}
	failed := 0
	for _, check := range checks() {
		if !wanted(check.name, flag.Args()) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		begin := time.Now()
		err := check.run(ctx, world)
		cancel()
		took := time.Since(begin).Round(time.Millisecond)
		if err != nil {
			failed++
			fmt.Printf("FAIL %s (%s): %s\n", check.name, took, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok   %s (%s)\n", check.name, took)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}

func wanted(name string, prefixes []string) bool {
	for _, prefix := range prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(prefixes) == 0
}

func checks() []Check {
	all := []Check{}
	for _, some := range [][]Check{discoveryChecks, readingChecks, writingChecks, applyChecks, informerChecks,
		streamChecks, electionChecks, managerChecks, webhookChecks} {
		all = append(all, some...)
	}
	return all
}
