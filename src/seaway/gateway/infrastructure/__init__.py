"""The Envoys of a fleet as Kubernetes objects; all of it pure.

- `Wanted`: a fleet as it is to be: where, for whom, with which ports, addresses and parameters.
- `Parameters`: what users choose in a ConfigMap that a GatewayClass or a Gateway refers to.
- bootstrap: the configuration that an Envoy begins with: its way to the controller, its probes, its own end.
- objects: the trees of everything that a fleet consists of.
- addresses: what became of the addresses that a Gateway asked for.
"""
