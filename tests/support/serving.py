"""A service without its surroundings: a tiny model that answers on a real socket, in a thread of this process."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests
import uvicorn
from fastapi import FastAPI

from models.build import build_model
from tasks.registry.classifier import VideoClassifier
from tasks.registry.preprocessing import Preprocessing
from tasks.serve.app import Service, create_app
from tasks.serve.batcher import Batcher
from tasks.serve.follower import Standing
from tasks.serve.metrics import Metrics
from tasks.serve.model import ServedVersion
from tasks.serve.prediction_log import PredictionLog
from tasks.serve.signature import Deliveries
from tasks.settings import ServeSettings
from tasks.video.clips import Recipe
from tasks.video.pool import DecodingPool
from tests.support.rounds import LABELS, MODEL

SECRET = "secret of the test"
RECIPE = Recipe(short_side=48, max_fps=10, jpeg_quality=90, min_duration_s=0.5, max_duration_s=4.0)


class FakeFollower:
    """Stands where it is put; counts how often it is woken."""

    def __init__(self, standing: Standing) -> None:
        self.standing = standing
        self.num_woken = 0

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def wake(self) -> None:
        self.num_woken += 1


@dataclass
class Running:
    """A service under test."""

    url: str
    service: Service
    follower: FakeFollower

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, timeout=30)

    def post(self, path: str, **arguments: Any) -> requests.Response:
        return requests.post(self.url + path, timeout=30, **arguments)


def classifier(seed: int = 0) -> VideoClassifier:
    return VideoClassifier.of(build_model(MODEL, len(LABELS), seed=seed), LABELS, Preprocessing(RECIPE, window_s=2.0))


def served_version(
    executor: ThreadPoolExecutor, version: int = 1, config: ServeSettings | None = None
) -> ServedVersion:
    """A version whose weights are those of the seed ``version``."""
    config, model = config or ServeSettings(), classifier(version)
    batcher = Batcher(lambda clip: model.infer(clip, config.max_batch), executor, max_windows=4, max_wait_s=0.01)
    recipe = model.recipe(config.max_duration_s)
    return ServedVersion("actions", version, f"{version}:", datetime.now(UTC), model, batcher, recipe)


@contextmanager
def running_service(home: Path, *, live: bool = True, **settings: Any) -> Iterator[Running]:
    """The routes over a version that answers, or over none."""
    config, metrics, uploads = ServeSettings(**settings), Metrics(), home / "uploads"
    uploads.mkdir(parents=True)
    log = PredictionLog(home, "actions", share=config.log_share, max_bytes=1e9, logged=metrics.logged)
    pool = DecodingPool(1, time_limit_s=config.decode_timeout_s)
    with ThreadPoolExecutor(1) as executor:
        version = served_version(executor, config=config) if live else None
        follower = FakeFollower(Standing(version, up_to_date=live))
        service = Service("actions", config, follower, pool, log, metrics, Deliveries(SECRET), uploads)  # type: ignore[arg-type]
        with _listening(create_app(service)) as url:
            yield Running(url, service, follower)


@contextmanager
def _listening(app: FastAPI) -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10))
        thread = threading.Thread(target=server.run, args=([sock],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join()
