"""The iptables data plane (`seaway kube-proxy --proxy-mode iptables`), in kube-proxy's own layout and names: KUBE-SERVICES leads
by address to KUBE-SVC-, KUBE-SVL-, KUBE-EXT- and KUBE-FW- chains, those to one KUBE-SEP- chain an endpoint.

A packet walks KUBE-SERVICES until its rule comes, so the cost grows with the number of Services: that is this mode's nature.
A change is one `iptables-restore --noflush` of the chains that it touches.

`names` are upstream's hashes, `rules` the chains of one Service port, `render` the text of a change, `tool` runs the programs,
`plane` puts them together.
"""
