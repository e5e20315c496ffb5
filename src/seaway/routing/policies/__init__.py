"""Policies: what users attach to Gateways, routes, rules, Services and Ingresses, as values of the intermediate representation.

Target: the object, or section of it, that a policy names. Chain: the targets that hold for a rule, the most specific first.
Field: a top-level part of a policy's spec; of several policies each field's is the most specific one's, then the older one's.
"""
