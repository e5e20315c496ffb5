"""The audit log and the request log: who did what and how it ended, a line a request.

- `policy`: a `Policy` of the audit.k8s.io/v1 form says how much is told of a request, its `Level`.
- `events`: an Event of audit.k8s.io/v1, made of a Trace.
- `linelog`: a `LineLog` writes lines to a file from a thread of its own, bounded in memory and on disk.
- `recorder`: a `Recorder` ties them to the door; with no log configured it does nothing.
"""
