"""Structural schemas of custom resources: what apiextensions-apiserver does with a schema, as functions from trees to trees.

- `Structural`: a schema compiled; it prunes, defaults and validates objects.
- `Node`: the structure of a schema (properties, items, list types), which pruning and defaulting walk.
- `Validator`: the validations of a schema, in kube-openapi's words; what it finds is a `Fault`, told as a `Cause`.
- `Correlation`: the old value that a new one stands for; what was wrong before and did not change is let through.
- `problems`: what is wrong with a schema itself.
"""

from seaway.cluster.apiserver.structural.causes import unchecked
from seaway.cluster.apiserver.structural.compiling import Structural, compiled
from seaway.cluster.apiserver.structural.embedded import Malformed
from seaway.cluster.apiserver.structural.gotext import settled
from seaway.cluster.apiserver.structural.problems import Options, is_structural, problems

__all__ = ["Malformed", "Options", "Structural", "compiled", "is_structural", "problems", "settled", "unchecked"]
