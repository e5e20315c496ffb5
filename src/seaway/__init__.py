"""Seaway: Kubernetes service routing, whole, in Python.

`api` holds objects as values, `client` talks to an API server, `controllers`, `services`, `proxy` and `dns` are the
components (each runs against any cluster), `cluster` is the embedded one around them, `labs` are experiments on it, `cli` has the
commands.
"""

__version__ = "0.1.0"
KUBERNETES_VERSION = "v1.36.2"
