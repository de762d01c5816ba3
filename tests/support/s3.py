"""S3 for tests: moto's server, and a proxy before it that does to answers what networks and servers do."""

import random
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import boto3
import pytest
import requests

from tasks.process import die_with_parent
from tasks.settings import settings
from tests.support.servers import free_port

FAULTS = ("drop", "500", "503", "429", "delay", "truncate", "reset", "flip", "garbage")


@contextmanager
def moto_server(folder: Path) -> Iterator[str]:
    """Run moto's S3 and give its address."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (folder / "moto.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, preexec_fn=die_with_parent)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with suppress(requests.ConnectionError):
                if requests.get(f"{url}/moto-api/data.json", timeout=5).ok:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def client_of(url: str | None) -> Any:
    """A client that holds ``url`` for S3; None is AWS."""
    credentials = {"aws_access_key_id": "ada", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    return boto3.session.Session().client("s3", endpoint_url=url, **credentials)


ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "ada", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def speak_to(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what runs in this process take ``url`` for S3."""
    for name, value in {**ENVIRONMENT, "AWS_ENDPOINT_URL_S3": url}.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()


@dataclass
class Schedule:
    """Which requests get which fault, by chance and reproducibly.

    Attributes:
        seed: Of the chance.
        share: Of requests that get a fault.
        faults: Which.
        done: How often each was done.
        served: Whole objects that were handed out, by path.
    """

    seed: int
    share: float
    faults: tuple[str, ...] = FAULTS
    done: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._chance, self._lock = random.Random(self.seed), Lock()

    def next_fault(self) -> tuple[str, float]:
        """The fault of the next request, empty for none, and a number from 0 to 1 that says where."""
        with self._lock:
            fault = self._chance.choice(self.faults) if self._chance.random() < self.share else ""
            self.done[fault] += 1
            return fault, self._chance.random()


@contextmanager
def faulty_proxy(server: str, schedule: Schedule) -> Iterator[str]:
    """Pass requests on to ``server`` with the faults of ``schedule``, and give the proxy's address."""
    host = server.removeprefix("http://")

    class Handler(_Handler):
        pass

    Handler.server_address_text, Handler.schedule = host, schedule
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    thread = Thread(target=proxy.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}"
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_address_text: str
    schedule: Schedule

    def do_GET(self) -> None:
        self._pass_on()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # its own hanging up, and that of a client that was killed
            super().handle()

    def finish(self) -> None:
        with suppress(OSError, ValueError):
            super().finish()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault, where = self.schedule.next_fault()
        if fault == "drop":
            self._hang_up(reset=False)
            return
        if fault in ("500", "503", "429"):
            self._answer(int(fault), {"Content-Type": "application/xml"}, _error(fault))
            return
        if fault == "delay":
            time.sleep(0.3 * where)
        connection = HTTPConnection(self.server_address_text, timeout=60)
        # S3 signs the host's name; moto does not look.
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _OF_A_HOP}
        if self.command == "HEAD":
            headers["Content-Length"] = answer.getheader("Content-Length") or "0"
        cut = int(len(content) * where)
        is_xml = "xml" in headers.get("Content-Type", "")
        if content and fault in ("truncate", "reset"):
            self._answer(answer.status, headers, content, cut)
            self._hang_up(reset=fault == "reset")
        elif content and fault == "flip" and answer.status in (200, 206) and not is_xml:
            at = min(cut, len(content) - 1)
            self._answer(answer.status, headers, content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
        elif content and fault == "garbage" and is_xml:
            self._answer(answer.status, headers, content[:cut])
        else:
            if self.command == "GET" and answer.status == 200 and not is_xml:
                self.schedule.served[self.path.partition("?")[0]] += 1
            self._answer(answer.status, headers, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes, cut: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"" if self.command == "HEAD" else content[:cut])
            self.wfile.flush()

    def _hang_up(self, *, reset: bool) -> None:
        if reset:  # the kernel sends RST instead of FIN
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with suppress(OSError):
            self.rfile.close()
            self.wfile.close()
            self.connection.close()


_OF_A_HOP = frozenset(("content-length", "transfer-encoding", "connection", "server", "date"))


def _error(status: str) -> bytes:
    code = {"500": "InternalError", "503": "SlowDown", "429": "TooManyRequests"}[status]
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
