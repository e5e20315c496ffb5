package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"
)

var streamChecks = []Check{
	{"streams: a pod that talks, listens and answers", startTalker},
	{"logs: tail, timestamps, follow until the end", logs},
	{"exec: SPDY", func(ctx context.Context, w *World) error { return executes(ctx, w, false) }},
	{"exec: WebSocket", func(ctx context.Context, w *World) error { return executes(ctx, w, true) }},
	{"attach: what is typed comes back", attaches},
	{"proxy: a pod's answer and its absence", proxies},
	{"port-forward: SPDY", func(ctx context.Context, w *World) error { return forwards(ctx, w, false) }},
	{"port-forward: WebSocket tunnel", func(ctx context.Context, w *World) error { return forwards(ctx, w, true) }},
}

func startTalker(ctx context.Context, w *World) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "talker"}, Spec: corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr[int64](0),
		Containers: []corev1.Container{
			{Name: "sh", Image: "busybox", Command: []string{"sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; exec sleep infinity"}},
			{Name: "cat", Image: "busybox", Stdin: true, Command: []string{"cat"}},
			{Name: "web", Image: "traefik/whoami"},
		}}}
	if _, err := w.client.CoreV1().Pods(w.namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	return until(ctx, "the pod is ready", func() (bool, error) {
		found, err := w.client.CoreV1().Pods(w.namespace).Get(ctx, "talker", metav1.GetOptions{})
		return err == nil && ready(found), err
	})
}

func logs(ctx context.Context, w *World) error {
	client := w.client.CoreV1().Pods(w.namespace)
	var tail []byte
	if err := until(ctx, "all lines are there", func() (bool, error) {
		var err error
		tail, err = client.GetLogs("talker", &corev1.PodLogOptions{Container: "sh", TailLines: ptr[int64](2), Timestamps: true}).DoRaw(ctx)
		return strings.Contains(string(tail), "line 5"), err
	}); err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(string(tail)), "\n")
	stamp, _, _ := strings.Cut(lines[0], " ")
	if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil || len(lines) != 2 {
		return fmt.Errorf("%q: %v", lines, err)
	}
	short := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "short"}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever,
		Containers: []corev1.Container{{Name: "sh", Image: "busybox", Command: []string{"sh", "-c", "echo begin; sleep 0.5; echo end"}}}}}
	if _, err := client.Create(ctx, short, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := until(ctx, "the pod has begun", func() (bool, error) {
		found, err := client.Get(ctx, "short", metav1.GetOptions{})
		return err == nil && found.Status.Phase != corev1.PodPending, err
	}); err != nil {
		return err
	}
	stream, err := client.GetLogs("short", &corev1.PodLogOptions{Follow: true}).Stream(ctx)
	if err != nil {
		return err
	}
	defer stream.Close()
	all, err := io.ReadAll(stream)
	if err != nil {
		return err
	}
	_, missing := client.GetLogs("talker", &corev1.PodLogOptions{Container: "nothing"}).DoRaw(ctx)
	return steps(
		func() error { return expect(string(all) == "begin\nend\n", "%q", all) },
		func() error {
			return expect(apierrors.IsBadRequest(missing), "%v", missing)
		},
	)
}

func command(w *World, options *corev1.PodExecOptions) *rest.Request {
	return w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.namespace).Name("talker").SubResource("exec").
		VersionedParams(options, scheme.ParameterCodec)
}

func executor(w *World, request *rest.Request, byWebSocket bool) (remotecommand.Executor, error) {
	plain := rest.CopyConfig(w.config)
	plain.WrapTransport = nil
	if byWebSocket {
		return remotecommand.NewWebSocketExecutor(plain, http.MethodGet, request.URL().String())
	}
	return remotecommand.NewSPDYExecutor(plain, http.MethodPost, request.URL())
}

// sizes gives one terminal size, and no more.
type sizes struct{ left []remotecommand.TerminalSize }

func (s *sizes) Next() *remotecommand.TerminalSize {
	if len(s.left) == 0 {
		return nil
	}
	size := s.left[0]
	s.left = s.left[1:]
	return &size
}

func executes(ctx context.Context, w *World, byWebSocket bool) error {
	run := func(options *corev1.PodExecOptions, streams remotecommand.StreamOptions) error {
		executor, err := executor(w, command(w, options), byWebSocket)
		if err != nil {
			return err
		}
		return executor.StreamWithContext(ctx, streams)
	}
	var out, errs, counted, screen bytes.Buffer
	code := run(&corev1.PodExecOptions{Container: "sh", Command: []string{"sh", "-c", "echo out; echo err >&2; exit 7"}, Stdout: true, Stderr: true},
		remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
	var exit utilexec.CodeExitError
	isExit := errors.As(code, &exit)
	much := strings.Repeat("0123456789abcdef", 1<<17) // 2 MiB
	counting := run(&corev1.PodExecOptions{Container: "sh", Command: []string{"sh", "-c", "tee /dev/stderr | wc -c"}, Stdin: true, Stdout: true, Stderr: true},
		remotecommand.StreamOptions{Stdin: strings.NewReader(much), Stdout: &counted, Stderr: io.Discard})
	terminal := run(&corev1.PodExecOptions{Container: "sh", Command: []string{"sh", "-c", "sleep 0.3; stty size; tty"}, Stdin: true, Stdout: true, TTY: true},
		remotecommand.StreamOptions{Stdin: strings.NewReader(""), Stdout: &screen, Tty: true, TerminalSizeQueue: &sizes{[]remotecommand.TerminalSize{{Width: 77, Height: 33}}}})
	missing := run(&corev1.PodExecOptions{Container: "nothing", Command: []string{"true"}, Stdout: true}, remotecommand.StreamOptions{Stdout: io.Discard})
	return steps(
		func() error { return expect(isExit && exit.Code == 7, "the exit code: %v", code) },
		func() error {
			return expect(out.String() == "out\n" && errs.String() == "err\n", "%q %q", out.String(), errs.String())
		},
		func() error {
			return expect(counting == nil && strings.TrimSpace(counted.String()) == "2097152", "%q %v", counted.String(), counting)
		},
		func() error {
			return expect(terminal == nil && strings.Contains(screen.String(), "33 77"), "%q %v", screen.String(), terminal)
		},
		func() error {
			return expect(missing != nil && strings.Contains(missing.Error(), "nothing"), "%v", missing)
		},
	)
}

func attaches(ctx context.Context, w *World) error {
	request := w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.namespace).Name("talker").SubResource("attach").
		VersionedParams(&corev1.PodAttachOptions{Container: "cat", Stdin: true, Stdout: true}, scheme.ParameterCodec)
	executor, err := executor(w, request, true)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	input, typing := io.Pipe()
	defer typing.Close()
	answer, output := io.Pipe()
	go func() {
		_ = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: input, Stdout: output})
		output.Close()
	}()
	if _, err := typing.Write([]byte("ahoy\n")); err != nil {
		return err
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(answer, line); err != nil {
		return err
	}
	return expect(string(line) == "ahoy\n", "%q", line)
}

func forwards(ctx context.Context, w *World, byWebSocket bool) error {
	url := w.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(w.namespace).Name("talker").SubResource("portforward").URL()
	plain := rest.CopyConfig(w.config)
	plain.WrapTransport = nil
	var dialer httpstream.Dialer
	if byWebSocket {
		var err error
		if dialer, err = portforward.NewSPDYOverWebsocketDialer(url, plain); err != nil {
			return err
		}
	} else {
		transport, upgrader, err := spdy.RoundTripperFor(plain)
		if err != nil {
			return err
		}
		dialer = spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	}
	stop, isReady, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	forwarder, err := portforward.New(dialer, []string{"0:80"}, stop, isReady, io.Discard, io.Discard)
	if err != nil {
		return err
	}
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-isReady:
	case err := <-ended:
		return fmt.Errorf("no tunnel: %w", err)
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}
	for range 5 {
		response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", ports[0].Local))
		if err != nil {
			return err
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || !strings.Contains(string(body), "Hostname: talker") {
			return fmt.Errorf("%q: %v", body, err)
		}
	}
	close(stop)
	return <-ended
}

func proxies(ctx context.Context, w *World) error {
	client := w.client.CoreV1().Pods(w.namespace)
	said, err := client.ProxyGet("http", "talker", "80", "/seen", map[string]string{"by": "client-go"}).DoRaw(ctx)
	if err != nil {
		return err
	}
	posted, err := w.client.CoreV1().RESTClient().Post().Namespace(w.namespace).Resource("pods").Name("talker:80").SubResource("proxy").
		Suffix("/posted").Body([]byte("ahoy")).DoRaw(ctx)
	if err != nil {
		return err
	}
	_, closed := client.ProxyGet("http", "talker", "81", "/", nil).DoRaw(ctx)
	_, missing := client.ProxyGet("http", "nothing", "80", "/", nil).DoRaw(ctx)
	return steps(
		func() error {
			return expect(strings.Contains(string(said), "GET /seen?by=client-go HTTP/1.1"), "%s", said)
		},
		func() error { return expect(strings.Contains(string(posted), "POST /posted HTTP/1.1"), "%s", posted) },
		func() error { return expect(apierrors.IsServiceUnavailable(closed), "%v", closed) },
		func() error { return expect(apierrors.IsNotFound(missing), "%v", missing) },
	)
}
