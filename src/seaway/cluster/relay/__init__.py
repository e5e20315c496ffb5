"""The name server of an embedded cluster's router: it answers nodes and pods by asking the machine's own name servers, from the
host's side, since the cluster has no way to a network.

- *packets*: what is forwarded, what counts as its answer, and failures (pure);
- *upstreams*: the machine's name servers, read anew when /etc/resolv.conf changes, in the order of their health;
- *datagrams*, *streams*: UDP, a question a socket of its own; TCP, byte for byte;
- *inside*: the sockets on the router's addresses, opened in its namespace.

Standard library only, and of that little: it waits beside every cluster.
"""
