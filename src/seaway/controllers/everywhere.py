"""The controllers that Seaway brings to any cluster: the list that `seaway controllers` and the embedded cluster run."""

from __future__ import annotations

from seaway.client.events import Events
from seaway.controllers.endpoints import EndpointsController
from seaway.controllers.endpointslices import EndpointSliceController
from seaway.controllers.mirroring import MirroringController
from seaway.controllers.run import Caches, Controller


def controllers(caches: Caches, events: Events, max_endpoints_per_slice: int = 100) -> list[Controller]:
    return [
        EndpointSliceController(caches, max_endpoints_per_slice, events),
        EndpointsController(caches),
        MirroringController(caches, events),
    ]
