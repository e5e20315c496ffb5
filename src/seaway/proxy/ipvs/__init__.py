"""The IPVS data plane (`seaway kube-proxy --proxy-mode ipvs`): virtual servers in the kernel's hash tables, with its schedulers.

Every address of a Service is held by the dummy interface kube-ipvs0, so that packets to it are for this node, where IPVS takes
them. A handful of iptables rules, which never change, ask ipsets (kube-proxy's names) who is masqueraded, kept out or refused.

By nature: one virtual server an address, so externalTrafficPolicy Local is the same for pods and the node as for outsiders;
connections of a Service that is deleted end. `servers` and `sets` are what Services put in (pure), `rules` the iptables rules
(pure), `netlink` speaks to the kernel's IPVS, `device` is the interface, `settool` runs ipset, `plane` puts them together.
"""
