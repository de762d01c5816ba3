"""The servers of one machine: MLflow, Prefect, and the worker that runs deployments. Loopback, SQLite and folders.

Each runs in a session of its own and outlives the command that started it; ``.videoloop/servers.json`` says which
process it is, and its log is in ``.videoloop/logs``.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import requests
from filelock import FileLock, Timeout
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from infra import automations
from infra.lost_runs import report_lost_runs
from models.errors import UserError
from tasks.alive import is_alive
from tasks.kept_secret import kept_secret
from tasks.settings import Settings, prefect_environment, settings

WORK_POOL = "videoloop"
_WORKER = "videoloop-local"
_WEBHOOK_KEY = "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY"
_PATIENCE_S = 300  # a server that is alive may be slow: on a loaded machine MLflow took more than two minutes


@dataclass(frozen=True)
class Server:
    """A process that ``videoloop up`` started.

    Attributes:
        pid: Its process id, also of its process group.
        started: When the process was created, which tells it from a later one with the same id.
        url: Where it answers; empty for the worker.
        log: Its log file.
    """

    pid: int
    started: float
    url: str
    log: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs."""
        return is_alive(self.pid, self.started)


def running() -> dict[str, Server]:
    """The servers that run now, by name."""
    try:
        entries = json.loads(settings().servers_file.read_text())
        servers = {name: Server(**entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        return {}
    return {name: server for name, server in servers.items() if server.alive}


def up(say: Callable[[str], None]) -> dict[str, Server]:
    """Start what does not run yet and wait until it answers; ``say`` hears what is done.

    Raises:
        UserError: A port is in use, another ``up`` is at work, or a server does not start.
    """
    config = settings()
    with _alone(config):
        servers, started = running(), set()
        for name, start in (("mlflow", _start_mlflow), ("prefect", _start_prefect)):
            if name not in servers:
                say(f"starting {name}")
                servers[name] = start(config)
                started.add(name)
                _write(config, servers)
        for name in ("mlflow", "prefect"):
            _wait_until_healthy(name, servers[name])
        if "worker" not in servers:
            say("deploying the flows and starting their worker")
            _prepare_prefect(config, servers["prefect"], fresh="prefect" in started)
            with patient_session() as session:
                for name in report_lost_runs(session, servers["prefect"].url, pool=WORK_POOL, worker=_WORKER):
                    say(f"the run {name} was killed together with its worker")
            servers["worker"] = _start_worker(config, servers["prefect"])
            _write(config, servers)
        return servers


def connect(say: Callable[[str], None]) -> dict[str, Server]:
    """:func:`up`, and have the flows of this process use these servers.

    Raises:
        UserError: As :func:`up`.
        RuntimeError: Prefect was imported before, which reads once where its server is.
    """
    if "prefect" in sys.modules and "PREFECT_API_URL" not in os.environ:
        raise RuntimeError("connect before Prefect is imported: its flows would run on a temporary server")
    servers = up(say)
    os.environ.update(
        prefect_environment(settings())
        | {
            "PREFECT_API_URL": servers["prefect"].url,
            "MLFLOW_TRACKING_URI": servers["mlflow"].url,
            # A person reads one sentence; the trace is in the Prefect UI.
            "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        }
    )
    return servers


def down(say: Callable[[str], None]) -> None:
    """Stop what :func:`up` started, with everything it started in turn."""
    config = settings()
    with _alone(config):
        servers = running()
        for name in ("worker", "prefect", "mlflow"):
            if name in servers:
                say(f"stopping {name}")
                _stop(servers.pop(name))
                _write(config, servers)


def healthy(name: str, url: str) -> bool:
    """Whether the server ``name`` answers at ``url``."""
    path = {"mlflow": "/health", "prefect": "/health"}[name]
    try:
        return bool(requests.get(url + path, timeout=2).ok)
    except requests.RequestException:
        return False


def patient_session() -> requests.Session:
    """A session that asks again where Prefect says that its database is busy (503), as it may while it starts."""
    session = requests.Session()
    busy = Retry(total=8, backoff_factor=0.2, status_forcelist=[503], allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=busy))
    return session


@contextmanager
def _alone(config: Settings) -> Iterator[None]:
    config.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(config.home / "servers.lock", timeout=_PATIENCE_S):
            yield
    except Timeout:
        raise UserError(f"{config.home / 'servers.lock'}: another `videoloop up` or `down` is at work; wait") from None


def _start_mlflow(config: Settings) -> Server:
    _demand_free(config.host, config.mlflow_port, "VIDEOLOOP_MLFLOW_PORT", "MLflow")
    address = f"{config.host}:{config.mlflow_port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", config.host, "--port", str(config.mlflow_port)]
    command += ["--backend-store-uri", f"sqlite:///{config.home / 'mlflow.db'}"]
    command += ["--artifacts-destination", str(config.home / "mlartifacts"), "--workers", "1"]
    return _spawn("mlflow", command, f"http://{address}", config, _mlflow_environment(config))


def _mlflow_environment(config: Settings) -> dict[str, str]:
    return {
        # The job runner executes what clients name (CVE-2026-0545); nothing here needs it.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # `videoloop serve` listens on this machine, without TLS, for promotions.
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        # A webhook that a service registers just now is called for the next promotion, not for one in a minute.
        "MLFLOW_WEBHOOK_CACHE_TTL": "2",
        # Without a fixed key a restarted server could not read the webhooks' secrets any more.
        _WEBHOOK_KEY: os.environ.get(_WEBHOOK_KEY) or kept_secret(config, "mlflow-webhooks"),
    }


def _start_prefect(config: Settings) -> Server:
    _demand_free(config.host, config.prefect_port, "VIDEOLOOP_PREFECT_PORT", "Prefect")
    url = f"http://{config.host}:{config.prefect_port}"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command += ["--host", config.host, "--port", str(config.prefect_port)]
    # The UI asks for the API where the browser finds it.
    return _spawn("prefect", command, f"{url}/api", config, {"PREFECT_UI_API_URL": f"{url}/api"})


def _start_worker(config: Settings, prefect: Server) -> Server:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL, "--name", _WORKER]
    return _spawn("worker", command, "", config, {"PREFECT_API_URL": prefect.url})


def _prepare_prefect(config: Settings, prefect: Server, *, fresh: bool) -> None:
    """Make the device slots, the work pool, the automations and the deployments, each whether or not it is there.

    A ``fresh`` server knows no leases of the one before it, so that slots which that one gave away would never be
    free again.
    """
    limit: dict[str, object] = {"name": config.slot, "limit": config.slots, "active": True}
    if fresh:
        limit["active_slots"] = 0
    with patient_session() as session:
        answer = session.post(f"{prefect.url}/v2/concurrency_limits/", json=limit, timeout=30)
        if answer.status_code == requests.codes.conflict:
            answer = session.patch(f"{prefect.url}/v2/concurrency_limits/{config.slot}", json=limit, timeout=30)
        answer.raise_for_status()
        pool = {"name": WORK_POOL, "type": "process"}
        answer = session.post(f"{prefect.url}/work_pools/", json=pool, timeout=30)
        if answer.status_code != requests.codes.conflict:
            answer.raise_for_status()
        automations.set_up(session, prefect.url, alert=config.alert)
    root = config.home.parent if config.home.name == ".videoloop" else Path.cwd()
    deploy = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "infra/prefect.yaml"],
        cwd=root,
        env={**prefect_environment(config), "PREFECT_API_URL": prefect.url, "VIDEOLOOP_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if deploy.returncode != 0:
        said = (deploy.stderr or deploy.stdout)[-500:]
        raise UserError(f"infra/prefect.yaml: the flows could not be deployed: {said}")


def _spawn(name: str, command: list[str], url: str, config: Settings, extra: dict[str, str]) -> Server:
    log = config.home / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=config.home,
            env={**prefect_environment(config), **extra},
        )
    return Server(process.pid, psutil.Process(process.pid).create_time(), url, str(log))


def _wait_until_healthy(name: str, server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not healthy(name, server.url):
        if not server.alive or time.monotonic() > deadline:
            _stop(server)
            last = "\n".join(Path(server.log).read_text(errors="replace").splitlines()[-5:])
            raise UserError(f"{name} did not start; the end of {server.log} says:\n{last}")
        time.sleep(0.25)


def _demand_free(host: str, port: int, variable: str, name: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"port {port} for {name} is in use on {host} ({error.strerror}); "
                f"stop what listens there or set {variable}"
            ) from None


def _stop(server: Server) -> None:
    """End the whole process group: asked first, then killed."""
    if not server.alive:
        return
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    os.killpg(server.pid, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=10)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)


def _write(config: Settings, servers: dict[str, Server]) -> None:
    temporary = config.servers_file.with_suffix(".new")
    temporary.write_text(json.dumps({name: asdict(server) for name, server in servers.items()}, indent=2))
    temporary.replace(config.servers_file)
