"""The controllers that a real cluster's controller manager has: workloads, budgets, quotas, garbage, namespaces, accounts and
the health of nodes. `roster` lists them.

Decisions are pure functions from objects to writes; where they are long they have a file of their own (`jobplan`, `rollout`,
`statefulplan` ...) beside the controller that feeds them. `acting` and `adoption` carry decisions out.
"""
