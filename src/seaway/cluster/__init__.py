"""The embedded cluster: what a real one has around our components.

- *layout*: names, addresses and routes of a cluster, computed from its configuration (pure);
- *fabric*: network namespaces and veths that make the layout real;
- *init* and *zygote*: PID 1 of the cluster, and the process that all Python processes are forked from;
- *apiserver*, *scheduler*, *workloads*: the control plane;
- *cloud*: load balancers, outside the nodes;
- *node*: agents (kubelets), shims (one a pod) and containers.
"""
