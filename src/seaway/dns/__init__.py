"""Cluster DNS (DNS-Based Service Discovery 1.1.0): `zone` turns Services and slices into records (pure), `message` reads and
writes the wire (pure), `answer` puts them together (pure), `server` is the process."""
