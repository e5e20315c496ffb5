"""Admission policies in CEL: ValidatingAdmissionPolicy, MutatingAdmissionPolicy, and matchConditions of webhooks.

- `environment`: what their expressions may use, and how they are compiled;
- `compiled`: a `Policy` and a `Binding` as stored objects have them, compiled once;
- `evaluation`: a `Subject`, one write as expressions see it, and expressions run over it within a budget;
- `decisions`: what a validating policy says of a subject; `mutations`: what a mutating one makes of an object, with the types
  of `patchtypes`;
- `params`: the objects that a binding lends to its policy;
- `admission`, `mutating`: the reviewers that ask them all;
- `problems`: what is wrong with a policy's expressions when it is written; `typechecking`: what the types of the resources
  say of them, which `status` tells.

k8s.io/apiserver pkg/admission/plugin/policy and pkg/admission/plugin/cel.
"""
