"""Ingress (networking.k8s.io/v1) becomes parts of the intermediate representation, statuses and events; pure.

Class: an IngressClass whose controller is ours; each is a fleet of its own. Listed host: one under `spec.tls`. Claim: which
certificate a server name is served with, of all Ingresses of a class. Problem: what is wrong with an Ingress, for people; it
never keeps the rest of the Ingress, or another one, from being served.
"""
