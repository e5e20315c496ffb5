"""Namespaces and links: `linux` has the system calls, `rtnetlink` the messages, `build` makes a layout real."""
