"""A node of the embedded cluster.

- *agent*: the kubelet: watches its pods, decides (`lifecycle`, pure), and tells shims; may die and come back;
- *shim*: one a pod: holds the pod's namespaces, parent of its containers, writes their logs, keeps exit codes;
- *container*: what a container's first process does before it becomes the program: root, mounts, identity;
- *images*: names to what runs (pure); *rootfs*: the mounts of a container's root, as a plan (pure);
- *shutdown*: which pods end when as the node shuts down (pure); *power*: the file that asks for it;
- *volumes*, *probes*, *kubelet* (the HTTPS server that logs and exec come through).
"""
