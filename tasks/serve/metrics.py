"""What Prometheus reads at /metrics. Each service has a registry of its own."""

from http import HTTPStatus

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LATENCY_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCH = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counters, gauges and histograms of one service."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self._requests = Counter("videoloop_serve_requests", "Predictions asked for.", ["status"], registry=registry)
        self._latency = Histogram(
            "videoloop_serve_latency_seconds", "From a request to its answer.", buckets=_LATENCY_S, registry=registry
        )
        self._pending = Gauge("videoloop_serve_pending", "Requests under way.", registry=registry)
        self._batch = Histogram(
            "videoloop_serve_batch_size", "Videos in a forward pass.", buckets=_BATCH, registry=registry
        )
        self._version = Gauge("videoloop_serve_model_version", "The version that answers.", ["name"], registry=registry)
        self._up_to_date = Gauge(
            "videoloop_serve_up_to_date", "1 when the champion answers, 0 when another version does.", registry=registry
        )
        self._reachable = Gauge("videoloop_serve_registry_reachable", "1 when the registry answers.", registry=registry)
        self._swaps = Counter("videoloop_serve_swaps", "Versions that were put into service.", registry=registry)
        self._refusals = Counter("videoloop_serve_refusals", "Champions that were refused.", registry=registry)
        self._hooks = Counter("videoloop_serve_hooks", "Calls of the webhook.", ["status"], registry=registry)
        self._logged = Counter(
            "videoloop_serve_logged_predictions", "Predictions for the watch.", ["outcome"], registry=registry
        )

    def began(self) -> None:
        """A request for a prediction began."""
        self._pending.inc()

    def ended(self, status: HTTPStatus, seconds: float) -> None:
        """It ended."""
        self._pending.dec()
        self._requests.labels(str(int(status))).inc()
        self._latency.observe(seconds)

    def passed(self, num_videos: int) -> None:
        """A forward pass over ``num_videos``."""
        self._batch.observe(num_videos)

    def swapped(self, name: str, version: int) -> None:
        """``version`` answers now."""
        self._version.labels(name).set(version)
        self._swaps.inc()

    def refused(self) -> None:
        """A champion was refused."""
        self._refusals.inc()

    def asked(self, *, reachable: bool, up_to_date: bool) -> None:
        """The registry was asked who is champion."""
        self._reachable.set(reachable)
        self._up_to_date.set(up_to_date)

    def hooked(self, status: HTTPStatus) -> None:
        """The webhook was called."""
        self._hooks.labels(str(int(status))).inc()

    def logged(self, outcome: str, num_predictions: int = 1) -> None:
        """Predictions were ``written`` or ``lost``."""
        self._logged.labels(outcome).inc(num_predictions)

    def page(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
