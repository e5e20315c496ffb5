"""Talking to a Kubernetes API server, any one.

- *Credentials*: a server and who we are, from a kubeconfig or a ServiceAccount (`kubeconfig`);
- *Api*: get, list, watch, create, patch, delete over HTTP (`rest`);
- *Reflector*: the list/watch/410 state machine, pure (`reflector`);
- *Informer*: a cache of one resource kept by a reflector, with indexes (`informer`);
- *Reconciler*: keys in, one call a key at a time, back-off on errors (`reconcile`);
- *Lease*: leader election (`lease`);
- *FakeApi*: the documented stand-in for tests (`fake`).
"""
