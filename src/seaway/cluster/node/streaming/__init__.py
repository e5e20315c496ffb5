"""Streams between a client and a container: exec, attach, port-forward.

A *channel* (`channels`) is one of the streams of an exec, by number. A *session* (`sessions`) is the client's side of one
exec or attach, over WebSocket messages or SPDY (`spdy`). A *command* (`commands`) is what runs in the container and is
copied to and from it. A *forward* (`forward`) is one connection to a port inside the pod's network.
"""
