"""Ingress and Gateway API become one intermediate representation; pure.

Fleet: the Envoys of one Gateway, or of an IngressClass. Socket: a port that a fleet listens on. Chain: a filter chain of it,
plaintext or chosen by SNI. Table: the HTTP routes of one or several chains, a `Host` a domain. Rule: what happens to requests
that match. Cluster: a Service port as a fleet uses it. Whatever a front end reads it reads through `incremental`, so that a
change of an object costs what hangs on it and no more.
"""
