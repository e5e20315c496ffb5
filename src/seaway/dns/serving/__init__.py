"""The processes. `supervisor` opens the sockets and keeps the others alive; `control` watches the API, holds the zone and
serves health, readiness and metrics; a `worker` answers by UDP, one to a processor on one port; `streams` answers by TCP and
TLS. `reactor` is the loop that all but control run on; `run` reads the flags."""
