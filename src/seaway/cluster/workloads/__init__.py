"""Workload controllers of the embedded cluster: Deployment, ReplicaSet, DaemonSet; garbage, namespaces, ServiceAccounts.

Each file: a pure function from objects to writes, and the controller that feeds it.
"""
