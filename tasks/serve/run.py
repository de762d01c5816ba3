"""The service as a process: ``videoloop serve``."""

import ipaddress
import logging
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import uvicorn
from mlflow import MlflowClient

from models.errors import UserError
from tasks.kept_secret import kept_secret
from tasks.registry.client import registry
from tasks.serve import webhook
from tasks.serve.app import Service, create_app
from tasks.serve.follower import Follower
from tasks.serve.last_good import LastGood
from tasks.serve.metrics import Metrics
from tasks.serve.model import load_version
from tasks.serve.prediction_log import PredictionLog
from tasks.serve.signature import Deliveries
from tasks.settings import ServeSettings, settings
from tasks.video.pool import DecodingPool

logger = logging.getLogger(__name__)

_GRACE_S = 30
# MLflow's client would otherwise try for minutes, and a webhook could not wake it meanwhile.
_IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "20"}


def serve(name: str, config: ServeSettings) -> None:
    """Serve the champion of ``name`` until the process is told to stop; requests under way are answered first.

    Raises:
        UserError: The address is not to be had, or needs an API key.
    """
    demand_key(config)
    for variable, value in _IMPATIENT.items():
        os.environ.setdefault(variable, value)
    # The follower says once that the registry is away; this would say it every few seconds.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    with _listening(config) as sock, _uploads(settings().home / "serve") as uploads:
        port = sock.getsockname()[1]
        app = create_app(*_wired(name, config, port, uploads))
        logger.info("serving the champion of %s at http://%s:%d/v1/predict", name, config.host, port)
        server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_S)
        )
        server.run(sockets=[sock])


def demand_key(config: ServeSettings) -> None:
    """Without a key the service is for this machine alone.

    Raises:
        UserError: It would listen elsewhere.
    """
    if not config.api_key.get_secret_value() and not _is_loopback(config.host):
        raise UserError(
            f"VIDEOLOOP_SERVE_HOST is {config.host}, where others reach it: set VIDEOLOOP_SERVE_API_KEY, or leave the "
            "host at 127.0.0.1"
        )


def hook_url(config: ServeSettings, port: int) -> str | None:
    """Where MLflow reaches the webhook; None where nobody said."""
    if config.url:
        return config.url.rstrip("/") + webhook.PATH
    return f"http://127.0.0.1:{port}{webhook.PATH}" if _is_loopback(config.host) else None


def _wired(name: str, config: ServeSettings, port: int, uploads: Path) -> tuple[Service, "partial[None]"]:
    home, client, metrics = settings().home, registry(), Metrics()
    secret = config.webhook_secret.get_secret_value() or kept_secret(settings(), "serve-webhook")
    # One thread: passes wait for each other in any case, and side by side they would share the processor's caches.
    executor = ThreadPoolExecutor(1, thread_name_prefix="forward")
    follower = Follower(
        client,
        name,
        lambda version: load_version(client, version, config, executor, metrics.passed),
        metrics,
        LastGood(home, name),
        poll_s=config.poll_s,
        keep_subscribed=_subscription(client, config, port, secret),
    )
    log = PredictionLog(home, name, share=config.log_share, max_bytes=config.log_max_mb * 1e6, logged=metrics.logged)
    pool = DecodingPool(time_limit_s=config.decode_timeout_s)
    service = Service(name, config, follower, pool, log, metrics, Deliveries(secret), uploads)
    return service, partial(executor.shutdown)


def _subscription(client: MlflowClient, config: ServeSettings, port: int, secret: str) -> Callable[[], None]:
    url = hook_url(config, port)
    if not client.tracking_uri.startswith("http"):
        return lambda: None  # there is no server that could call
    if url is None:
        logger.warning("VIDEOLOOP_SERVE_URL is not set, so MLflow cannot call; promotions are found by polling")
        return lambda: None
    return webhook.Subscription(client, url, secret).keep


@contextmanager
def _listening(config: ServeSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((config.host, config.port))
        except OSError as error:
            raise UserError(
                f"port {config.port} is not to be had on {config.host} ({error.strerror}); stop what listens there, or "
                "set --port or VIDEOLOOP_SERVE_PORT"
            ) from None
        yield sock


@contextmanager
def _uploads(folder: Path) -> Iterator[Path]:
    """A folder for this process; what a killed one left behind goes."""
    for left_over in folder.glob("uploads-*"):
        if not psutil.pid_exists(int(left_over.name.removeprefix("uploads-"))):
            shutil.rmtree(left_over, ignore_errors=True)
    uploads = folder / f"uploads-{os.getpid()}"
    shutil.rmtree(uploads, ignore_errors=True)
    uploads.mkdir(mode=0o700, parents=True)
    try:
        yield uploads
    finally:
        shutil.rmtree(uploads, ignore_errors=True)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
