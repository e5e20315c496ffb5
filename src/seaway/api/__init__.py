"""Kubernetes objects as values; pure.

- *tree*: an object as JSON data (dicts, lists), the form that is stored and that keeps fields we do not know;
- *typed object*: a frozen struct of the fields that our components read (`types`);
- *Kind*: what the API serves: group, version, resource, verbs (`kinds`), from the facts tables (`facts`);
- *selector*: a predicate on labels or fields (`selectors`);
- *Quantity*: a number with a unit (`quantities`).
"""
