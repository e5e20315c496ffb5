"""Envoy: what the intermediate representation becomes there, and the server that hands it out.

**Message**: a protobuf message of Envoy's API; `messages` is the only door to them. **Resource** (`xds.resources`): one such
message, serialised, under its type and name. **Fleet**: the proxies that share one wanted set of resources.
"""
