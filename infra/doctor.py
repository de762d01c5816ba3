"""What is missing or misconfigured on this machine, and the remedy for each."""

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.servers import healthy, running
from models.errors import UserError
from tasks import repository
from tasks.params_file import load_params
from tasks.settings import main_checkout, settings

_ROOM_GB = 5.0


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes:
        subject: What was looked at.
        ok: Whether it is as it should be.
        says: What was seen and, where it is not as it should be, the remedy.
    """

    subject: str
    ok: bool
    says: str


def examine() -> Iterator[Finding]:
    """Run every check; a check that fails does not keep the others from running."""
    for subject, check in _CHECKS.items():
        try:
            yield Finding(subject, True, check())
        except UserError as error:
            yield Finding(subject, False, str(error))


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        raise UserError(
            f"Python {version} is not supported; make .venv anew: make clean && make PYTHON=python3.12 demo"
        )
    return version


def _git() -> str:
    repository.demand_ready(main_checkout())
    return repository.git(main_checkout(), "log", "-1", "--format=%h %s")


def _params() -> str:
    params = load_params(main_checkout() / "params.yaml")
    return f"{params.base.name}: {params.model.family} {params.model.flavour}, {params.search.trials} trials"


def _model() -> str:
    from models.build import families

    params = load_params(main_checkout() / "params.yaml").model
    known = families()
    if params.flavour not in known.get(params.family, []):
        raise UserError(f"params.yaml: model: no flavour {params.flavour} of family {params.family}; known: {known}")
    return f"{params.family} {params.flavour} can be built"


def _device() -> str:
    import torch

    if not torch.cuda.is_available():
        return f"no GPU: training runs on {torch.get_num_threads()} CPU threads; torch {torch.__version__}"
    return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name(0)}; torch {torch.__version__}"


def _disk() -> str:
    home = settings().home
    there = next(folder for folder in (home, *home.parents) if folder.exists())  # a look leaves nothing behind
    free = shutil.disk_usage(there).free / 1e9
    if free < _ROOM_GB:
        raise UserError(f"{home}: {free:.1f} GB free, a round may need {_ROOM_GB:.0f}; free some or set VIDEOLOOP_HOME")
    return f"{free:.0f} GB free at {home}"


def _cache() -> str:
    cache = main_checkout() / ".dvc" / "cache"
    if not (main_checkout() / ".dvc" / "config").exists():
        raise UserError(f"{main_checkout()}: DVC is not set up here; restore .dvc/config from Git")
    return f"{cache} {'is there' if cache.exists() else 'is made by the first round'}"


def _server(name: str) -> Callable[[], str]:
    def check() -> str:
        server = running().get(name)
        if server is None:
            raise UserError(f"{name} does not run; `videoloop up` starts it")
        if server.url and not healthy(name, server.url):
            raise UserError(f"{name} runs but does not answer at {server.url}; see {server.log}, then `videoloop down`")
        return f"{server.url or 'process ' + str(server.pid)} (log {Path(server.log).name})"

    return check


def _slots() -> str:
    import requests

    server = running().get("prefect")
    if server is None:
        raise UserError("device slots live in Prefect, which does not run; `videoloop up` starts it")
    answer = requests.get(f"{server.url}/v2/concurrency_limits/{settings().slot}", timeout=5)
    if not answer.ok:
        raise UserError(
            f"Prefect has no concurrency limit {settings().slot}; `videoloop down && videoloop up` makes it"
        )
    limit = answer.json()
    return f"{limit['active_slots']} of {limit['limit']} in use"


_CHECKS: dict[str, Callable[[], str]] = {
    "python": _python,
    "git": _git,
    "params.yaml": _params,
    "model": _model,
    "device": _device,
    "disk": _disk,
    "dvc": _cache,
    "mlflow": _server("mlflow"),
    "prefect": _server("prefect"),
    "worker": _server("worker"),
    "device slots": _slots,
}
