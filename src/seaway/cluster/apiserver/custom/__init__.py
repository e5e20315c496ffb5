"""Custom resources: kinds that CustomResourceDefinitions add while the server runs (k8s.io/apiextensions-apiserver).

A `Definition` is one CustomResourceDefinition as it is served, a `Version` one of its versions with what its schema says;
a `Kind` of a custom resource carries its Version as `kind.custom`. The `Registry` follows the stored definitions and holds
what is served at the moment (`Served`); the `Lifecycle` gives definitions their conditions and ends them. Objects are
kept in the storage version and shown in the one that was asked for (`Conversion`).
"""
