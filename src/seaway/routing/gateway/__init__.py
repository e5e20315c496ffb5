"""Gateway API: Gateways, ListenerSets and routes as parts of fleets, and their statuses.

Listener: a way in, of a Gateway or a ListenerSet, with what it accepts. Attachment: what has become of a route's parentRef.
Backing: what a backendRef leads to. Reference: an object named by another, which may need a ReferenceGrant.
"""
