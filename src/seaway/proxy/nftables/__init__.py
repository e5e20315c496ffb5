"""The nftables data plane (`seaway kube-proxy --proxy-mode nftables`).

Few objects: however many Services there are, the chains are one for each *slot* and one for each endpoint *count*; a change of
one Service touches its own map elements and nothing else. Only Services with session affinity have chains of their own.
Packet marks are left alone but for one bit, masquerade's (0x4000, as kube-proxy). Elements carry the Service's name as a
comment: `nft list map ip seaway service-ips` reads like a list of Services.

`layout` has what all share, `affinity` the chains of clients that stay, `elements` what a Service puts into maps, `render` the
text of a change, `listing` what the kernel says it holds, `plane` the one that applies.
"""
