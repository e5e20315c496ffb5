"""The embedded cluster's cloud: the out-of-tree load balancer provider, which runs outside the nodes.

- *pool*: which Service has which address (`pool`), pure;
- *Balancer*: one address with its ports, the nodes it may use and how (`plan`), pure;
- VIP mode is a *route* to the address through healthy nodes, Proxy mode a DNAT to their node ports (`render`), pure;
- *Probes*: which nodes are healthy (`probes`); `run` is the process.
"""
