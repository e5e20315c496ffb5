"""Services and EndpointSlices to what may answer; pure, shared by the proxy, DNS and (later) the gateway.

- *Resolved*: one Service in one IP family, with its ports and their endpoints (`resolve`);
- *Endpoint*: an address with its conditions and place;
- *Choice*: the endpoints that a traffic policy leaves (`topology`).
"""
