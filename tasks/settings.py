"""Where things are, and secrets: read once from the environment. What changes a result belongs in params.yaml."""

import json
import os
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.errors import UserError
from models.spec import AnyFormat

# No telemetry, no chatter, no unpickling; the environment may say otherwise.
_QUIET = {
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    # An artifact from the registry is never unpickled (docs/decisions/0003-no-pickle.md).
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}


Port = Annotated[int, Field(ge=1, le=65535)]


class _FromEnvironment(BaseSettings):
    """Settings whose mistakes name the variable."""

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            prefix = str(self.model_config["env_prefix"])
            raise UserError("; ".join(_explain(prefix, problem) for problem in error.errors())) from None


def _explain(prefix: str, problem: Any) -> str:
    variable = f"{prefix}{problem['loc'][0]}".upper()
    wanted = problem["msg"].removeprefix("Input ").partition(",")[0]
    return (
        f"{variable}: it is {str(problem['input'])!r} and {wanted}; correct the variable, or unset it for its default"
    )


class Settings(_FromEnvironment):
    """Places and addresses, from ``VIDEOLOOP_*`` variables.

    Attributes:
        home: State that outlives runs: databases, caches, checkpoints, run workspaces. Default: ``.videoloop`` in the
            main checkout, also when called from a run's worktree.
        database_url: SQLAlchemy address of the database for studies and decisions; default: SQLite in ``home``.
        host: Address on which the servers listen.
        mlflow_port: Port of the MLflow server.
        prefect_port: Port of the Prefect server.
        slot: Prefect concurrency limit that hands out devices.
        slots: Devices that the local server's limit hands out.
        source: Where scheduled rounds and ingests find video: a folder, a table, or ``s3://BUCKET/PREFIX``; default:
            for rounds the source of the last one, for ingests none.
        s3_requester_pays: Whether reading a bucket whose owner has readers pay may be billed to whoever runs this.
        checkpoint_s: Seconds after which training writes a checkpoint within an epoch.
        alert: Notification block of Prefect that hears of a run that died and of a watch that does not run, as
            ``TYPE/NAME``; default: none.
        incoming: Where the scheduled watch finds video; default: what is in already.
        shards: DVC remote on S3 (``s3://BUCKET/PREFIX``) from which a round's stages stream shards; default:
            they are here.
        shard_cache_gb: Room for streamed shards, in ``home``.
        feature_cache_gb: Room for features of frozen backbones, in ``home``, as each job finds it when it begins.
        round: Name of the round under whose MLflow run stages nest theirs; set by the train flow.
        flow_run: Prefect flow run to which the trials of a search belong; set by the train flow.
    """

    model_config = SettingsConfigDict(env_prefix="VIDEOLOOP_", frozen=True)

    home: Path = Field(default_factory=lambda: main_checkout() / ".videoloop")
    database_url: str = ""
    host: str = "127.0.0.1"
    mlflow_port: Port = 5000
    prefect_port: Port = 4200
    slot: str = "videoloop-device"
    slots: int = Field(default=2, ge=1)
    source: str = ""
    s3_requester_pays: bool = False
    checkpoint_s: float = Field(default=300.0, ge=0.0)
    alert: str = ""
    incoming: str = ""
    shards: str = ""
    shard_cache_gb: float = Field(default=50.0, gt=0)
    feature_cache_gb: float = Field(default=20.0, ge=0)
    round: str = ""
    flow_run: str = ""

    @property
    def database(self) -> str:
        """SQLAlchemy address of the database for studies and decisions."""
        if self.database_url:
            return self.database_url
        self.home.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.home / 'videoloop.db'}"

    @property
    def servers_file(self) -> Path:
        """What ``videoloop up`` started: ``{"mlflow": {"pid", "started", "url", ...}, "prefect": ..., ...}``."""
        return self.home / "servers.json"

    @property
    def mlflow_uri(self) -> str:
        """MLflow's address: ``MLFLOW_TRACKING_URI``, else the server that runs here, else its SQLite file."""
        if uri := os.environ.get("MLFLOW_TRACKING_URI"):
            return uri
        if url := self._running("mlflow"):
            return url
        self.home.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def prefect_url(self) -> str | None:
        """Prefect's API: ``PREFECT_API_URL``, else the server that runs here, else None: no server is needed."""
        if url := os.environ.get("PREFECT_API_URL"):
            return url
        return self._running("prefect")

    def _running(self, server: str) -> str | None:
        try:
            entry = json.loads(self.servers_file.read_text())[server]
            pid, started, url = int(entry["pid"]), float(entry["started"]), str(entry["url"])
        except (FileNotFoundError, KeyError, ValueError, TypeError):
            return None
        from tasks.alive import is_alive  # a model that is served elsewhere comes without it, and without servers

        return url if is_alive(pid, started) else None


class ServeSettings(_FromEnvironment):
    """The service of predictions, from ``VIDEOLOOP_SERVE_*`` variables.

    Attributes:
        host: Address on which it listens; other than loopback only with ``api_key``.
        port: Its port.
        url: Where the MLflow server reaches it; default: its own address where that is loopback, else there is no
            webhook and the registry is only polled.
        api_key: What clients must send, as ``X-API-Key`` or ``Authorization: Bearer``.
        webhook_secret: With which MLflow signs; default: one made once and kept in the home.
        max_upload_mb: Larger uploads are refused.
        max_duration_s: Longer videos are refused.
        decode_timeout_s: A video that takes longer to decode is refused.
        max_pending: Requests at a time; more are asked to come back.
        max_batch: Windows of video in one forward pass.
        max_wait_ms: A request waits so long for others to share its pass.
        poll_s: The registry is asked so often who is champion.
        device: On which the model computes; default: a GPU where there is one.
        format: Which of a version's programs answers, ``torch`` for the model itself; a version without it is refused.
            Default: on a CPU the fastest that gives its registered answer here, on a GPU the model itself.
        log_share: Share of predictions that are logged for the watch, 0 to 1.
        log_max_mb: The oldest logged predictions go when there are more.
    """

    model_config = SettingsConfigDict(env_prefix="VIDEOLOOP_SERVE_", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    url: str = ""
    api_key: SecretStr = SecretStr("")
    webhook_secret: SecretStr = SecretStr("")
    max_upload_mb: float = Field(default=64.0, gt=0)
    max_duration_s: float = Field(default=120.0, gt=0)
    decode_timeout_s: float = Field(default=30.0, gt=0)
    max_pending: int = Field(default=256, ge=1)
    max_batch: int = Field(default=8, ge=1)
    max_wait_ms: float = Field(default=10.0, ge=0)
    poll_s: float = Field(default=5.0, gt=0)
    device: str = ""
    format: AnyFormat | Literal[""] = ""
    log_share: float = Field(default=1.0, ge=0, le=1)
    log_max_mb: float = Field(default=512.0, gt=0)


def prefect_environment(config: Settings) -> dict[str, str]:
    """The environment for Prefect's processes: its state in ``home``, our logs among its logs."""
    return {
        **_QUIET,
        "PREFECT_HOME": str(config.home / "prefect"),
        "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,models",
        # A run without one for five minutes has crashed (infra/automations.yaml); more often Prefect does not allow.
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        **os.environ,
    }


@lru_cache
def settings() -> Settings:
    """The settings, read from the environment once.

    Raises:
        UserError: A variable has no value that it may have; the message names it.
    """
    return Settings()


def hush() -> None:
    """Switch off every library's telemetry, and unpickling, for this process and its children."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def main_checkout() -> Path:
    """The folder of the repository's main checkout, also from within a worktree; outside Git, this folder."""
    if shutil.which("git") is None:
        return Path.cwd()
    found = subprocess.run(
        ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"], capture_output=True, text=True, check=False
    )
    return Path(found.stdout.strip()).parent if found.returncode == 0 else Path.cwd()
