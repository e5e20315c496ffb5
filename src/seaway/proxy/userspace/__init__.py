"""The userspace data plane (`seaway kube-proxy --proxy-mode userspace`), the historic mode: every connection passes this process.

The kernel only redirects: the nftables plane is given a table in which every endpoint is a relay of ours, so that addresses,
node ports, source ranges, refusals and drops are the kernel's as in nftables mode. The relay takes the connection, chooses an
endpoint round robin or by the client's affinity, and carries the bytes. Endpoints see the node's address, whatever the policy
says, and connections end with the process: that is this mode's nature.

`translate` makes that table (pure), `choice` picks an endpoint (pure), `relay` carries, `plane` puts them together.
"""
