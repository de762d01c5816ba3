"""What a person sees when a round has ended."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from models.clips.manifest import read_manifest
from tasks.gate.verdict import Verdict
from tasks.ingest import IngestSummary
from tasks.layout import MANIFEST, METRICS, REPORT
from tasks.registry.client import registry, report_link
from tasks.settings import settings
from tasks.workspace import Workspace

Value = TypeVar("Value")


@dataclass(frozen=True)
class Timed(Generic[Value]):
    """A step's value and how long the step took.

    Attributes:
        value: What the step returned.
        seconds: Wall time.
    """

    value: Value
    seconds: float


@dataclass
class Stopwatch:
    """Wall time of a ``with`` block; read ``seconds`` after it."""

    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Time a block."""
    clock = Stopwatch()
    yield clock
    clock.seconds = time.monotonic() - clock.started


@dataclass(frozen=True)
class Round:
    """A finished round.

    Attributes:
        name: Registered model's name.
        version: Its version.
        ran: Stages whose command ran; empty when nothing had changed.
        seconds: Wall time by step.
        ingested: What ingest found.
        metrics: ``results/evaluate/metrics.json``.
        unseen: Whether no source of the test was trained on.
        verdict: The judge's, in words.
        report: Address of the report.
    """

    name: str
    version: int
    ran: list[str]
    seconds: dict[str, float]
    ingested: IngestSummary
    metrics: dict[str, Any]
    unseen: bool
    verdict: str
    report: str


def summarise(
    work: Workspace,
    version: Timed[int],
    verdict: Timed[Verdict],
    ingested: Timed[IngestSummary],
    stages: dict[str, Timed[bool]],
) -> Round:
    """Collect what a round has found before its workspace goes."""
    name = work.params.base.name
    sources = read_manifest(work.root / MANIFEST).groupby("split")["source_id"].agg(set)
    return Round(
        name=name,
        version=version.value,
        ran=[stage for stage, run in stages.items() if run.value],
        seconds={
            "ingest": ingested.seconds,
            **{stage: run.seconds for stage, run in stages.items()},
            "register": version.seconds,
            "judge": verdict.seconds,
        },
        ingested=ingested.value,
        metrics=json.loads((work.root / METRICS).read_text()),
        unseen=sources.loc["test"].isdisjoint(sources.loc["train"]),
        verdict=verdict.value.text,
        report=report_address(name, version.value),
    )


def report_address(name: str, version: int) -> str:
    """Where the report of a version can be opened: its place in the MLflow UI, or the store without a server."""
    client = registry()
    version_run = str(client.get_model_version(name, str(version)).run_id)
    uri = settings().mlflow_uri
    if uri.startswith("http"):
        return f"{uri}/{report_link(client.get_run(version_run).info.experiment_id, version_run)}"
    return f"runs:/{version_run}/{REPORT.name}"
