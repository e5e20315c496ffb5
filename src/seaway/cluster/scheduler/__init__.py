"""The scheduler (kube-scheduler's default profile), by its nouns:

- *fit*: what a node says about a pod by itself: cordon, taints, selectors, node affinity;
- *snapshot*: PodInfo, NodeInfo and Snapshot, the cluster as one decision sees it;
- *interpod*, *spread*, *resources*: the rules that look at other pods;
- *filters*, *scores*: the tables of these rules, in upstream's order and with its weights;
- *preemption*: who would have to go; *decide*: one pod's decision, in upstream's words;
- *queue*: which pod is next, and what wakes the others; *run*: the caches, binding and eviction (the only edge).
"""
