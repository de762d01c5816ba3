"""Real servers for tests, on free ports of this machine, gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import SystemRandom
from threading import Thread
from typing import Any

import requests

from infra.servers import patient_session
from tasks.process import die_with_parent
from tests.support import databases

_PATIENCE_S = 120
_NOT_GIVEN_TO_CONNECTIONS = (10_000, 32_768)
_CHANCE = SystemRandom()  # a test may set the seed of the other one, and two processes the same


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run ``mlflow server`` with its state in ``folder`` and give its address."""
    folder.mkdir(parents=True, exist_ok=True)
    databases.put_mlflow(folder)
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    state = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_CACHE_TTL": "2",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": "bW9yZSB0aGFuIGEgc2VjcmV0IGZvciBhIHRlc3QgISE=",
    }
    with _process(command, folder / "mlflow.log", state):
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/health", folder / "mlflow.log")
        yield url


@contextmanager
def prefect_server(folder: Path) -> Iterator[str]:
    """Run ``prefect server start`` with its state in ``folder`` and give its API's address."""
    folder.mkdir(parents=True, exist_ok=True)
    databases.put_prefect(folder)
    port = free_port()
    command = [sys.executable, "-m", "prefect", "server", "start", "--no-ui"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    state = {"PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "PREFECT_API_URL": ""}
    with _process(command, folder / "prefect.log", state):
        url = f"http://127.0.0.1:{port}/api"
        _wait_for(f"{url}/health", folder / "prefect.log")
        yield url


def post(url: str, content: object) -> Any:
    """POST JSON to a Prefect server and give what it answers; asks again while its database is busy."""
    with patient_session() as session:
        answer = session.post(url, json=content, timeout=30)
    answer.raise_for_status()
    return answer.json() if answer.content else None


@contextmanager
def service(home: Path, tracking_uri: str, name: str = "actions", **variables: str) -> Iterator[str]:
    """Run ``videoloop serve`` and give its address once a model answers."""
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "flows.cli", "serve", name, "--port", str(port)]
    state = {"VIDEOLOOP_HOME": str(home), "MLFLOW_TRACKING_URI": tracking_uri, **variables}
    with _process(command, home / "serve.log", state, politely=True):
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/healthz", home / "serve.log")
        yield url


def free_port() -> int:
    """A port that nobody listens on right now, and that no connection of another test will be given meanwhile."""
    while True:
        port = _CHANCE.randrange(*_NOT_GIVEN_TO_CONNECTIONS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextmanager
def _process(command: list[str], log: Path, extra: dict[str, str], *, politely: bool = False) -> Iterator[None]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
            env={**os.environ, "DO_NOT_TRACK": "1", "MLFLOW_DISABLE_TELEMETRY": "true", **extra},
        )
    try:
        yield
    finally:
        if politely:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if requests.get(url, timeout=2).ok:
                return
        except requests.RequestException:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} does not answer: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.2)


class ForgetfulProxy:
    """Passes requests on to a server; of the first POST to a path it takes the answer and hangs up."""

    def __init__(self, server: str, path: str) -> None:
        self.forgotten = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._pass_on()

            do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

            def _pass_on(self) -> None:
                body = self._body()
                own = ("host", "transfer-encoding")
                headers = {key: value for key, value in self.headers.items() if key.lower() not in own}
                answer = requests.request(self.command, server + self.path, data=body, headers=headers, timeout=60)
                if self.path.endswith(path) and not proxy.forgotten:
                    proxy.forgotten += 1
                    self.close_connection = True
                    return
                self.send_response(answer.status_code)
                for key in ("Content-Type", "X-Next-Page-Token"):
                    if key in answer.headers:
                        self.send_header(key, answer.headers[key])
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                body = b""  # an empty file is sent like this
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def log_message(self, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "ForgetfulProxy":
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
