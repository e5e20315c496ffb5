"""The eBPF data plane (`seaway kube-proxy --proxy-mode ebpf`): a connection to a ClusterIP is a connection to the pod.

Programs at the node's cgroup change the address where a socket is connected or sends, for TCP and UDP of either family; from
then on no packet costs anything, and getpeername and recvmsg still show the Service's address. What does not come by a socket
of the cgroup (clients outside, raw forwarding, SCTP, restricted load balancer addresses, refusals) is the nftables plane's,
which runs beneath: the same table, so the same verdicts.

`sockets.c` are the programs and `sockets.o` what clang makes of them; `layout` is the byte layout of their maps (pure), `entries`
what Services put in (pure), `elf` reads the object (pure), `kernel` is bpf(2), `cgroup` finds the hierarchy, `sockets` ends
sockets of removed UDP endpoints where they can be seen (what the others send a program for packets refuses), `plane` puts them
together.
"""
