"""The routes: predictions, the webhook, health and metrics."""

import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from tasks.registry.names import CHAMPION
from tasks.serve import webhook
from tasks.serve.answering import answered
from tasks.serve.follower import Follower
from tasks.serve.metrics import Metrics
from tasks.serve.prediction_log import PredictionLog
from tasks.serve.problems import Problem
from tasks.serve.signature import Deliveries
from tasks.serve.uploads import received, refused
from tasks.settings import ServeSettings
from tasks.video.pool import DecodingPool

logger = logging.getLogger(__name__)

_MAX_HOOK_BYTES = 1 << 16
_COME_BACK_S = 1


@dataclass(frozen=True)
class Service:
    """What the routes need.

    Attributes:
        name: The registered model.
        config: Limits and the API key.
        follower: Has the version that answers.
        pool: Decodes.
        log: Takes predictions for the watch.
        metrics: Count.
        deliveries: Check the webhook's calls.
        uploads: Folder for videos while they are looked at.
    """

    name: str
    config: ServeSettings
    follower: Follower
    pool: DecodingPool
    log: PredictionLog
    metrics: Metrics
    deliveries: Deliveries
    uploads: Path


def create_app(service: Service, close: Callable[[], None] = lambda: None) -> FastAPI:
    """The application; it starts the follower and the log, and ends with ``close``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        service.log.start()
        service.pool.start()
        service.follower.start()
        yield
        service.follower.stop()
        service.pool.close()
        service.log.close()
        close()

    # The pages of documentation load scripts from elsewhere.
    app = FastAPI(title="videoloop serve", docs_url=None, redoc_url=None, lifespan=lifespan)
    predictions = _Predictions(service)
    app.post("/v1/predict")(predictions.predict)
    hooks = _Hooks(service)
    app.post(webhook.PATH)(hooks.promoted)

    @app.get("/healthz")
    async def health() -> JSONResponse:
        content = _health(service)
        return JSONResponse(content, HTTPStatus.OK if content["ready"] else HTTPStatus.SERVICE_UNAVAILABLE)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return app


class _Predictions:
    """``POST /v1/predict``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._num_pending = 0

    async def predict(self, request: Request) -> Response:
        """One video, raw or as a form's file, and what the champion sees in it."""
        metrics, began_s = self._service.metrics, time.perf_counter()
        status = HTTPStatus.INTERNAL_SERVER_ERROR
        metrics.began()
        try:
            response = await self._answer(request)
            status = HTTPStatus(response.status_code)
            return response
        finally:
            metrics.ended(status, time.perf_counter() - began_s)

    async def _answer(self, request: Request) -> Response:
        config, max_bytes = self._service.config, int(self._service.config.max_upload_mb * 1e6)
        try:
            _check_key(request, config.api_key.get_secret_value())
            async with self._admitted(), received(request, self._service.uploads, max_bytes) as upload:
                live = self._service.follower.standing.live
                assert live is not None
                answer = await answered(upload, live, self._service.pool, self._service.log)
            return JSONResponse(answer.content())
        except Problem as problem:
            return await refused(request, problem, max_bytes)
        except Exception:
            logger.exception("a prediction failed")
            sentence = "the service failed to answer; its log says why"
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", sentence).response()

    @asynccontextmanager
    async def _admitted(self) -> AsyncIterator[None]:
        standing = self._service.follower.standing
        if standing.live is None:
            why = standing.refusal.reason if standing.refusal else standing.registry_error or "the champion is loading"
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "no_model", f"no model answers yet: {why}", retry_after_s=5)
        if self._num_pending >= self._service.config.max_pending:
            sentence = f"{self._service.config.max_pending} requests are under way; come back in a moment"
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "busy", sentence, retry_after_s=_COME_BACK_S)
        self._num_pending += 1
        try:
            yield
        finally:
            self._num_pending -= 1


class _Hooks:
    """``POST /hooks/mlflow``: wakes the follower, which asks the registry itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def promoted(self, request: Request) -> Response:
        """MLflow says that an alias moved."""
        try:
            body = await _limited_body(request)
            self._service.deliveries.take(request.headers, body)
            response = self._taken(body)
        except Problem as problem:
            logger.warning("a call of the webhook is refused: %s", problem)
            response = await refused(request, problem, _MAX_HOOK_BYTES)
        self._service.metrics.hooked(HTTPStatus(response.status_code))
        return response

    def _taken(self, body: bytes) -> Response:
        try:
            event = json.loads(body)
            ours = event["entity"] == "model_version_alias" and (event["data"]["name"], event["data"]["alias"])
        except (ValueError, KeyError, TypeError):
            raise Problem(HTTPStatus.BAD_REQUEST, "bad_event", "the delivery is no event of MLflow") from None
        if ours != (self._service.name, CHAMPION):
            return JSONResponse({"event": "ignored"}, HTTPStatus.ACCEPTED)
        self._service.follower.wake()
        return JSONResponse({"event": "taken"}, HTTPStatus.ACCEPTED)


async def _limited_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_HOOK_BYTES:
            sentence = f"an event has at most {_MAX_HOOK_BYTES} bytes"
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "event_too_large", sentence)
    return bytes(body)


def _check_key(request: Request, key: str) -> None:
    if not key:
        return
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    given = request.headers.get("x-api-key") or (token.strip() if scheme.lower() == "bearer" else "")
    if not hmac.compare_digest(given.encode(), key.encode()):
        sentence = "send the API key as X-API-Key or as Authorization: Bearer"
        raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", sentence)


def _health(service: Service) -> dict[str, Any]:
    standing = service.follower.standing
    live, refusal = standing.live, standing.refusal
    return {
        "ready": live is not None,
        "name": service.name,
        "version": live.version if live else None,
        "format": live.classifier.format if live else None,
        "since": live.since.isoformat() if live else None,
        "up_to_date": standing.up_to_date,
        "refusal": {"version": refusal.version, "reason": refusal.reason, "at": refusal.at.isoformat()}
        if refusal
        else None,
        "registry_error": standing.registry_error,
    }
