"""The delta discovery server (ADS): what is wanted of a fleet of proxies, and how each gets there without a failed request.

**Resource**: a message under its name, in a version by content, with what it needs. **Fleets**: the wanted resources of each
fleet and its open sessions. **Session**: one proxy's stream: what it asked for, holds and refused, and what it is sent next.
**Warm**: a cluster that has its endpoints and can be routed to. **Quarantine**: the versions that this proxy refused.

All but `server` is pure: requests in, responses out, no clock and no socket.
"""
