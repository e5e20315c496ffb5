"""Controllers that run in any cluster: pure functions from objects to desired writes, a file each, under `run`.

- *Write*: one create, patch or delete (`writes`);
- *Caches*: the informers that the controllers of one process share (`run`);
- *endpoint*: what a pod contributes to a Service (`podendpoints`), placed in *drafts* of slices (`packing`) with *hints* for
  whom it is meant (`hints`); the same as *subsets* of the old Endpoints object (`subsets`);
- *trigger*: the time of the change that a write answers (`triggers`); *own slices*: those that one controller manages, with what
  it has written and not yet seen (`ownslices`).

The controllers: `endpointslices`, `endpoints`, `mirroring`; `everywhere` lists them.
"""
