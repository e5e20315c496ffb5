package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

var webhookChecks = []Check{
	{"webhooks: a manager in a pod defaults, warns and refuses, by its own ServiceAccount", webhooks},
}

const certificates = "/certificates"

// harbourMaster judges what is written: logs are stamped, Beacons stay dark in a storm.
type harbourMaster struct{ client.Client }

func (h *harbourMaster) Default(ctx context.Context, log *corev1.ConfigMap) error {
	request, err := admission.RequestFromContext(ctx)
	if err != nil {
		return err
	}
	if log.Labels == nil {
		log.Labels = map[string]string{}
	}
	log.Labels["stamped"] = string(request.Operation)
	return nil
}

// guard is the harbour master's judgement of Beacons.
type guard struct{ client.Client }

func (g *guard) judge(ctx context.Context, beacon *Beacon) (admission.Warnings, error) {
	storm := &corev1.ConfigMap{}
	err := g.Get(ctx, client.ObjectKey{Namespace: beacon.Namespace, Name: "storm"}, storm)
	if err == nil {
		return nil, fmt.Errorf("no beacon of %d lamps in a storm", beacon.Spec.Lamps)
	}
	if beacon.Spec.Lamps > 5 {
		return admission.Warnings{"so many lamps are seen from afar"}, client.IgnoreNotFound(err)
	}
	return nil, client.IgnoreNotFound(err)
}

func (g *guard) ValidateCreate(ctx context.Context, beacon *Beacon) (admission.Warnings, error) {
	return g.judge(ctx, beacon)
}

func (g *guard) ValidateUpdate(ctx context.Context, old, beacon *Beacon) (admission.Warnings, error) {
	if old.Spec.Lamps > beacon.Spec.Lamps {
		return nil, apierrors.NewConflict(beacons.WithResource("beacons").GroupResource(), beacon.Name, fmt.Errorf("lamps are never put out"))
	}
	return g.judge(ctx, beacon)
}

func (g *guard) ValidateDelete(context.Context, *Beacon) (admission.Warnings, error) { return nil, nil }

// serveWebhooks is the program in the pod.
func serveWebhooks(ctx context.Context, namespace string) error {
	scheme, err := ownScheme()
	if err != nil {
		return err
	}
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: ":8081",
		WebhookServer: webhook.NewServer(webhook.Options{Port: 9443, CertDir: certificates}),
		Cache:         cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		return err
	}
	if _, err := manager.GetCache().GetInformer(ctx, &corev1.ConfigMap{}); err != nil {
		return err
	}
	if err := steps(
		func() error {
			return ctrl.NewWebhookManagedBy(manager, &corev1.ConfigMap{}).WithDefaulter(&harbourMaster{manager.GetClient()}).Complete()
		},
		func() error {
			return ctrl.NewWebhookManagedBy(manager, &Beacon{}).WithValidator(&guard{manager.GetClient()}).Complete()
		},
		func() error { return manager.AddReadyzCheck("webhooks", manager.GetWebhookServer().StartedChecker()) },
	); err != nil {
		return err
	}
	return manager.Start(ctx)
}

// certify gives a CA's certificate, and a certificate and key for a host that it has signed, as PEM.
func certify(host string) (ca, certificate, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	begin, end := time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, NotBefore: begin, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, NotBefore: begin, NotAfter: end,
		DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, signer.Public(), signer)
	if err != nil {
		return nil, nil, nil, err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, own.Public(), signer)
	if err != nil {
		return nil, nil, nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(own)
	if err != nil {
		return nil, nil, nil, err
	}
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return encode("CERTIFICATE", rootDER), encode("CERTIFICATE", leafDER), encode("EC PRIVATE KEY", keyDER), nil
}

// deployWebhooks makes the pod, its Service and certificate, and what it may: to read ConfigMaps.
func deployWebhooks(ctx context.Context, w *World) (ca []byte, err error) {
	ca, certificate, key, err := certify("harbour-master." + w.namespace + ".svc")
	if err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{Name: "harbour-master", Namespace: w.namespace}
	labels := map[string]string{"app": "harbour-master"}
	pod := corev1.PodSpec{
		ServiceAccountName: meta.Name, TerminationGracePeriodSeconds: ptr[int64](1),
		Containers: []corev1.Container{{
			Name: "webhooks", Image: w.image, ImagePullPolicy: corev1.PullNever, Args: []string{"-serve-webhooks", "-namespace", w.namespace},
			VolumeMounts:   []corev1.VolumeMount{{Name: "certificates", MountPath: certificates, ReadOnly: true}},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(8081)}}},
		}},
		Volumes: []corev1.Volume{{Name: "certificates", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: meta.Name}}}},
	}
	objects := []client.Object{
		&corev1.ServiceAccount{ObjectMeta: meta},
		&rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get", "list", "watch"}}}},
		&rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: meta.Name, Namespace: meta.Namespace}}},
		&corev1.Secret{ObjectMeta: meta, Type: corev1.SecretTypeTLS, Data: map[string][]byte{corev1.TLSCertKey: certificate, corev1.TLSPrivateKeyKey: key}},
		&corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 443, TargetPort: intstr.FromInt32(9443)}}}},
		&appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}}},
	}
	scheme, err := ownScheme()
	if err != nil {
		return nil, err
	}
	direct, err := client.New(w.config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if err := direct.Create(ctx, object); err != nil {
			return nil, err
		}
	}
	web := &appsv1.Deployment{}
	return ca, until(ctx, "the webhooks are served", func() (bool, error) {
		err := direct.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: meta.Name}, web)
		return err == nil && web.Status.AvailableReplicas == 1, err
	})
}

// warned collects the warnings of answers.
type warned struct {
	mu    sync.Mutex
	texts []string
}

func (c *warned) HandleWarningHeader(_ int, _ string, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts = append(c.texts, text)
}

func webhooks(ctx context.Context, w *World) error {
	if w.image == "" {
		return fmt.Errorf("no -image to serve them from")
	}
	ca, err := deployWebhooks(ctx, w)
	if err != nil {
		return err
	}
	at := func(path string) admissionv1.WebhookClientConfig {
		return admissionv1.WebhookClientConfig{CABundle: ca, Service: &admissionv1.ServiceReference{Namespace: w.namespace, Name: "harbour-master", Path: &path}}
	}
	none, fail, only := admissionv1.SideEffectClassNone, admissionv1.Fail, &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: w.namespace}}
	rules := func(group, version, resource string) []admissionv1.RuleWithOperations {
		return []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule: admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}}}}
	}
	hooks := w.client.AdmissionregistrationV1()
	name := "stamp." + beacons.Group
	mutating := &admissionv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: []admissionv1.MutatingWebhook{{
		Name: name, ClientConfig: at("/mutate--v1-configmap"), Rules: rules("", "v1", "configmaps"), NamespaceSelector: only,
		ObjectSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"log": "yes"}},
		SideEffects:    &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"}}}}
	guarding := "guard." + beacons.Group
	validating := &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: guarding}, Webhooks: []admissionv1.ValidatingWebhook{{
		Name: guarding, ClientConfig: at("/validate-clients-seaway-dev-v1-beacon"), Rules: rules(beacons.Group, beacons.Version, "beacons"), NamespaceSelector: only,
		SideEffects: &none, FailurePolicy: &fail, AdmissionReviewVersions: []string{"v1"}}}}
	if _, err := hooks.MutatingWebhookConfigurations().Create(ctx, mutating, metav1.CreateOptions{}); err != nil {
		return err
	}
	defer hooks.MutatingWebhookConfigurations().Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{})
	if _, err := hooks.ValidatingWebhookConfigurations().Create(ctx, validating, metav1.CreateOptions{}); err != nil {
		return err
	}
	defer hooks.ValidatingWebhookConfigurations().Delete(context.WithoutCancel(ctx), guarding, metav1.DeleteOptions{})
	told := &warned{}
	config := rest.CopyConfig(w.config)
	config.WarningHandler = told
	maps := kubernetes.NewForConfigOrDie(config).CoreV1().ConfigMaps(w.namespace)
	lights := dynamic.NewForConfigOrDie(config).Resource(beacons.WithResource("beacons")).Namespace(w.namespace)
	beacon := func(name string, lamps int64) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": beacons.String(), "kind": "Beacon",
			"metadata": map[string]any{"name": name}, "spec": map[string]any{"lamps": lamps}}}
	}
	log := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "logged", Labels: map[string]string{"log": "yes"}}}
	return steps(
		func() error { // a new configuration counts a moment later
			return until(ctx, "what is created is stamped", func() (bool, error) {
				made, err := maps.Create(ctx, log, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return err == nil && made.Labels["stamped"] == "CREATE", err
			})
		},
		func() error {
			made, err := maps.Create(ctx, log, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			made.Data = map[string]string{"a": "b"}
			if made, err = maps.Update(ctx, made, metav1.UpdateOptions{}); err != nil {
				return err
			}
			return expect(made.Labels["stamped"] == "UPDATE", "%v", made.Labels)
		},
		func() error {
			made, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "unlogged"}}, metav1.CreateOptions{})
			return steps(func() error { return err }, func() error { return expect(len(made.Labels) == 0, "another's is left alone: %v", made.Labels) })
		},
		func() error {
			_, err := lights.Create(ctx, beacon("calm", 6), metav1.CreateOptions{})
			told.mu.Lock()
			defer told.mu.Unlock()
			return steps(func() error { return err },
				func() error {
					return expect(slices.Contains(told.texts, "so many lamps are seen from afar"), "%v", told.texts)
				})
		},
		func() error {
			fewer, err := lights.Get(ctx, "calm", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if err := unstructured.SetNestedField(fewer.Object, int64(2), "spec", "lamps"); err != nil {
				return err
			}
			_, err = lights.Update(ctx, fewer, metav1.UpdateOptions{})
			return expect(apierrors.IsConflict(err), "the webhook's own kind of refusal: %v", err)
		},
		func() error { // what the webhook reads from its cache decides
			if _, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "storm"}}, metav1.CreateOptions{}); err != nil {
				return err
			}
			want := fmt.Sprintf("admission webhook %q denied the request: no beacon of 3 lamps in a storm", guarding)
			return until(ctx, "a Beacon is refused", func() (bool, error) {
				_, err := lights.Create(ctx, beacon("rough", 3), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return apierrors.IsForbidden(err) && err.Error() == want, nil
			})
		},
		func() error { // without its pods, failurePolicy Fail lets nothing through
			if err := w.client.AppsV1().Deployments(w.namespace).Delete(ctx, "harbour-master", metav1.DeleteOptions{}); err != nil {
				return err
			}
			return until(ctx, "a webhook that is gone is an error", func() (bool, error) {
				_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late", Labels: log.Labels}}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
				return apierrors.IsInternalError(err), nil
			})
		},
	)
}
