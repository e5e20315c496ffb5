"""Our own policies: what Ingress and Gateway API leave open, attached to their objects (GEP-713), declared.

- BackendTrafficPolicy: how backends are used: balancing, stickiness, timeouts, retries, limits, health.
- ClientTrafficPolicy: what listeners ask of and grant to clients.
- SecurityPolicy: who may pass.
"""
