"""The intermediate representation of a fleet becomes Envoy's resources; pure.

Scope: a piece of a table that Envoy takes and replaces by itself, in the common case one domain; docs/gateway-scaling.md
has the figures behind it. Fallback: the scope of a table that holds its wildcard domains and `*`. Shard: a part of a scope
with many rules, by the first segments of the path. Mark: the object that a route, chain or cluster comes from, written into
the resource itself, for access logs and so that a refused resource can name its suspects. `fleet.Translation` keeps what it
has made: what has not changed is not made again.
"""
