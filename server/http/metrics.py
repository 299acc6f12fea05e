"""Figures for Prometheus: what is asked over HTTP, what the engine does, which models are loaded.

No label takes its values from requests: routes are named by their templates, methods by those that exist.
"""

import time
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.engine.jobs import Monitor
from server.models.service import ModelService

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE = "none"
"""Of requests that are refused before there is a route, or for which there is none."""

# Seconds; up to 10 those that OpenTelemetry recommends for HTTP, then the longest deadlines.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
_JOBS = (1, 2, 3, 4, 6, 8, 12, 16)
_RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Metrics(Monitor):
    """Counts since the process began. Threads may share it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter(
            "waymark_http_requests", "Replies.", ("route", "method", "code"), registry=registry
        )
        self.durations = Histogram(
            "waymark_http_request_duration_seconds",
            "From a request's head to the end of its reply.",
            ("route", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.disconnects = Counter(
            "waymark_http_client_disconnects",
            "Clients that left before their reply was whole.",
            ("route",),
            registry=registry,
        )
        self.jobs = Counter(
            "waymark_jobs",
            "Jobs that have ended: ok, deadline, drained, cancelled, late, invalid or error.",
            ("kind", "who", "outcome"),
            registry=registry,
        )
        self.refusals = Counter(
            "waymark_jobs_refused",
            "Jobs that were not taken: queue-full, predicted-late, quota or shutting-down.",
            ("kind", "reason"),
            registry=registry,
        )
        self.queue_seconds = self._of_jobs(
            "waymark_job_queue_seconds", "From taking a job to its end, less the computing for it."
        )
        self.compute_seconds = self._of_jobs("waymark_job_compute_seconds", "Computing for a job.")
        self.batch_seconds = self._of_batches("seconds", "Computing a batch of roll-outs.", _SECONDS)
        self.batch_rows = self._of_batches("rows", "Rows that somebody waits for.", _ROWS)
        self.batch_jobs = self._of_batches("jobs", "Jobs that share a batch.", _JOBS)
        self.batch_fill = self._of_batches("fill_ratio", "Rows in use of those computed.", _RATIOS)
        self.reloads = Counter(
            "waymark_reloads", "Loading all models anew: ok or failed.", ("outcome",), registry=registry
        )

    def watch(self, service: ModelService) -> None:
        """Tell of a service's state as well."""
        self.registry.register(_State(service))

    def text(self) -> bytes:
        """All figures as Prometheus reads them."""
        return generate_latest(self.registry)

    def batched(self, rows: int, slots: int, jobs: int, seconds: float) -> None:
        """A batch of roll-outs was computed."""
        self.batch_seconds.observe(seconds)
        self.batch_rows.observe(rows)
        self.batch_jobs.observe(jobs)
        self.batch_fill.observe(rows / slots)

    def finished(
        self, kind: str, who: str, outcome: str, queue_seconds: float, compute_seconds: float
    ) -> None:
        """A job has ended."""
        self.jobs.labels(kind, who, outcome).inc()
        self.queue_seconds.labels(kind, who).observe(max(0.0, queue_seconds))
        self.compute_seconds.labels(kind, who).observe(compute_seconds)

    def refused(self, kind: str, reason: str) -> None:
        """A job was not taken."""
        self.refusals.labels(kind, reason).inc()

    def _of_jobs(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, ("kind", "who"), buckets=_SECONDS, registry=self.registry)

    def _of_batches(self, what: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"waymark_engine_batch_{what}", meaning, buckets=buckets, registry=self.registry)


class _State(Collector):
    """How a service is at the moment of asking."""

    def __init__(self, service: ModelService) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        """All figures; the registry calls it for every reply."""
        engine = self._service.engine
        yield GaugeMetricFamily("waymark_engine_up", "Whether the engine's thread runs.", engine.alive)
        yield GaugeMetricFamily("waymark_engine_jobs", "Jobs waiting or at work.", engine.unfinished)
        yield GaugeMetricFamily(
            "waymark_ready", "Whether requests may be sent here.", self._service.unready() is None
        )
        models = InfoMetricFamily("waymark_model", "Models that are loaded.")
        for model in self._service.models.values():
            models.add_metric((), {"name": model.name, "version": model.version, "sha256": model.sha256})
        yield models


class HttpMetrics:
    """Counts and times every request that reaches it."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun = time.monotonic()
        code, whole, left = 500, False, False

        async def receive_watched() -> Message:
            nonlocal left
            message = await receive()
            left = left or (message["type"] == "http.disconnect" and not whole)
            return message

        async def send_watched(message: Message) -> None:
            nonlocal code, whole
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)
            whole = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await self.app(scope, receive_watched, send_watched)
        finally:
            route = getattr(scope.get("route"), "path", NO_ROUTE)
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.metrics.requests.labels(route, method, str(code)).inc()
            self.metrics.durations.labels(route, method).observe(time.monotonic() - begun)
            if left:
                self.metrics.disconnects.labels(route).inc()
