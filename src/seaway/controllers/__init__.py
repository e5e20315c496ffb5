"""Controllers that run in any cluster: pure functions from objects to desired writes, a file each, under `run`.

- *Write*: one create, patch or delete (`writes`);
- *Caches*: the informers that the controllers of one process share (`run`).
"""
