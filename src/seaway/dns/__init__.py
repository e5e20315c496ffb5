"""Cluster DNS (DNS-Based Service Discovery 1.1.0), and everything else that a pod asks for.

`settings` says what the server is to do, `corefile` reads it. `wire` has messages as bytes, `answer` an *Answer* and the *images*
made of it, `relayed` what upstreams say, `table` what is known. `zone` holds the cluster's names; `resolving` leads a query to
its answer; `upstreams` asks other servers; `serving` has the processes. `link` is what those say to each other.
"""
