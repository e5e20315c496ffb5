"""The service proxy: Services to packets.

`plan` decides everything once and writes a `ServiceTable` an IP family (`table`); a data plane (`nftables`) renders the
difference between two tables; `kernel` applies it; `run` is the process. A packet's fate is decided in
`services/topology.py` and `proxy/plan.py`, and programmed by `proxy/nftables.py`.
"""
