"""Experiments that show how Kubernetes routing behaves, with real packets: `seaway lab NAME`.

- *Stage*: what an experiment is given: a way to speak, and clusters of its own (`frame`);
- *Result*: what it comes to: a table, the sentences that belong to it, and a picture (`frame`, `chart`).

Each lab is a file; `frame.LABS` lists them.
"""
