"""The kinds of Gateway API v1.6 as Seaway declares them; the cluster's CustomResourceDefinitions are generated from here.

A *schema* is a tree in OpenAPI's structural form, made by the builders of `schema`. A *definition* is the
CustomResourceDefinition of a kind, its versions each with a schema. The *channel* of the published bundles that a field
comes from is told where it is not the standard one.
"""
