"""What the door tells of each request, to the metrics and, where they are configured, to the audit log and the request log."""

from __future__ import annotations

import copy
from collections.abc import Callable

from seaway.cluster.apiserver.auditing import events
from seaway.cluster.apiserver.auditing.events import OBJECT_LIMIT, Ended
from seaway.cluster.apiserver.auditing.linelog import LineLog
from seaway.cluster.apiserver.auditing.policy import (
    COMPLETE,
    DEFAULT,
    METADATA,
    NONE,
    PANIC,
    RECEIVED,
    REQUEST,
    REQUEST_RESPONSE,
    STARTED,
    Config,
    Policy,
)
from seaway.cluster.apiserver.metering import Metrics
from seaway.cluster.apiserver.storage import encode
from seaway.cluster.apiserver.trace import Trace

NOTHING = Config(NONE)


class Recorder:
    """`audit` and `requests` None: no such log. `now` is the clock, `watch` the monotonic one."""

    def __init__(self, metrics: Metrics, now: Callable[[], float], watch: Callable[[], float]) -> None:
        self.metrics, self.now, self.watch = metrics, now, watch
        self.audit: LineLog | None = None
        self.requests: LineLog | None = None
        self.policy: Policy = DEFAULT

    def received(self, trace: Trace) -> None:
        """Who asks is known, or that nobody knows it."""
        if self.audit is None:
            return
        trace.config = self.policy.config(trace.user, trace.info)
        self.metrics.audit_levels.inc(trace.config.level)
        self._event(trace, RECEIVED, Ended(0, trace.received))

    def opened(self, trace: Trace, code: int) -> None:
        """A long answer begins."""
        self._event(trace, STARTED, Ended(code, self.now()))

    def ended(self, trace: Trace, code: int, body: bytes | None, media: str, panic: bool) -> None:
        """It is over; `body` None where nobody holds it."""
        self.metrics.ended(trace, code, self.watch() - trace.begun, -1 if body is None else len(body))
        if self.audit is None and self.requests is None:
            return
        over = Ended(code, self.now(), body or b"", media)
        if self.audit is not None:
            if trace.config is None:
                self.received(trace)
            self._event(trace, PANIC if panic else COMPLETE, over)
        if self.requests is not None:
            kept = copy.copy(trace)
            kept.body, over = b"", over._replace(body=b"")
            self.requests.put(lambda: events.request_line(kept, over).encode())

    def _event(self, trace: Trace, stage: str, ended: Ended) -> None:
        config = trace.config or NOTHING
        if self.audit is None or not config.at_least(METADATA) or stage in config.omit_stages:
            return
        self.metrics.audit_events.inc()
        kept = copy.copy(trace)
        kept.annotations = dict(trace.annotations)
        # Only what will be told is kept alive; of what is too large a byte more than is told, so that this shows.
        kept.body = trace.body[: OBJECT_LIMIT + 1] if config.at_least(REQUEST) else b""
        body = ended.body[: OBJECT_LIMIT + 1] if config.at_least(REQUEST_RESPONSE) else b""
        over = ended._replace(body=body)
        size = len(kept.body) + len(body)
        if not self.audit.put(lambda: encode(events.event(kept, stage, config, over)), size):
            self.metrics.audit_errors.inc("log")

    def trouble(self) -> str:
        """Why a log cannot be written; "" where it can."""
        return next((log.trouble for log in (self.audit, self.requests) if log is not None and log.trouble), "")

    def close(self) -> None:
        for log in (self.audit, self.requests):
            if log is not None:
                log.close()
