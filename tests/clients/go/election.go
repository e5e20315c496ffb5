package main

import (
	"context"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

var electionChecks = []Check{{"leader election: one leads, the next takes over what is released", elects}}

// elects lets two candidates stand for one Lease; the first gives it up, so that the second need not wait.
func elects(ctx context.Context, w *World) error {
	var leading atomic.Value
	candidate := func(name string) (context.CancelFunc, chan struct{}, error) {
		lock, err := resourcelock.New(resourcelock.LeasesResourceLock, w.namespace, "helm", w.client.CoreV1(), w.client.CoordinationV1(),
			resourcelock.ResourceLockConfig{Identity: name})
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithCancel(ctx)
		ended := make(chan struct{})
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, LeaseDuration: 4 * time.Second, RenewDeadline: 2 * time.Second, RetryPeriod: 200 * time.Millisecond, ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{OnStartedLeading: func(context.Context) { leading.Store(name) }, OnStoppedLeading: func() {}},
		})
		if err != nil {
			cancel()
			return nil, nil, err
		}
		go func() { elector.Run(ctx); close(ended) }()
		return cancel, ended, nil
	}
	resign, resigned, err := candidate("ann")
	if err != nil {
		return err
	}
	defer resign()
	if err := until(ctx, "ann leads", func() (bool, error) { return leading.Load() == "ann", nil }); err != nil {
		return err
	}
	stop, stopped, err := candidate("ben")
	if err != nil {
		return err
	}
	defer stop()
	first, err := w.client.CoordinationV1().Leases(w.namespace).Get(ctx, "helm", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := until(ctx, "ann renews", func() (bool, error) {
		lease, err := w.client.CoordinationV1().Leases(w.namespace).Get(ctx, "helm", metav1.GetOptions{})
		return err == nil && lease.Spec.RenewTime.After(first.Spec.RenewTime.Time) && leading.Load() == "ann", err
	}); err != nil {
		return err
	}
	resign()
	<-resigned
	if err := until(ctx, "ben leads", func() (bool, error) { return leading.Load() == "ben", nil }); err != nil {
		return err
	}
	lease, err := w.client.CoordinationV1().Leases(w.namespace).Get(ctx, "helm", metav1.GetOptions{})
	if err != nil {
		return err
	}
	stop()
	<-stopped
	return expect(*lease.Spec.HolderIdentity == "ben" && *lease.Spec.LeaseTransitions >= 1, "%v", lease.Spec)
}
