"""CEL in the API server: rules of schemas, admission policies, conditions of webhooks.

Its nouns:
- an *Environment* says which variables, types and functions an expression may use (`library`, the one door to the C++ library);
- *Checked* is an expression's syntax tree with the type of every node (`syntax`), what the library's parser and checker made;
- a *Program* is a checked expression as Python closures (`closures`), which count cost units as upstream does (`program`);
- a *Decl* is the CEL type of a schema with the sizes that cost estimates need (`declarations`);
- *Rules* are the x-kubernetes-validations of a schema, ready to judge objects (`rules`, `judging`);
- policies and conditions of webhooks, which use all that, are in `apiserver/policies`.

The library parses and checks, and matches regular expressions; evaluation is ours, because upstream's runtime cost, its
error texts and the semantics of its own types (sets, quantities, addresses) must hold exactly.
"""
