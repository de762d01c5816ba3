"""What the earlier stages of a round left behind, read for the report."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.clips.manifest import read_manifest
from models.errors import UserError
from models.saved import read_card
from tasks import layout


@dataclass(frozen=True)
class Round:
    """The results of one round.

    Attributes:
        manifest: The dataset's clips.
        manifest_sha256: Of the manifest's file: the identity of the dataset.
        quarantine: What was refused, with columns ``path`` and ``reason``.
        validation: Outcome of the validation.
        best: Best values of the search.
        trials: One row a trial.
        importance: How much each searched parameter mattered; empty where it could not be said.
        curves: One row an epoch of fine-tuning.
        card: The model's card.
        metrics: On the test split.
        predictions: One row a clip of val and test.
        reliability: Accuracy by confidence.
    """

    manifest: pd.DataFrame
    manifest_sha256: str
    quarantine: pd.DataFrame
    validation: dict[str, Any]
    best: dict[str, Any]
    trials: pd.DataFrame
    importance: pd.DataFrame
    curves: pd.DataFrame
    card: dict[str, Any]
    metrics: dict[str, Any]
    predictions: pd.DataFrame
    reliability: pd.DataFrame


def read_round(workspace: Path) -> Round:
    """Read the results under ``workspace``.

    Raises:
        UserError: One of them is missing or damaged.
    """
    return Round(
        manifest=read_manifest(workspace / layout.MANIFEST),
        manifest_sha256=hashlib.sha256((workspace / layout.MANIFEST).read_bytes()).hexdigest(),
        quarantine=read_quarantine(workspace / layout.QUARANTINE),
        validation=_json(workspace / layout.VALIDATION, "validate"),
        best=_json(workspace / layout.BEST_PARAMS, "search"),
        trials=_csv(workspace / layout.TRIALS, "search"),
        importance=_csv(workspace / layout.IMPORTANCE, "search"),
        curves=_csv(workspace / layout.CURVES, "fine_tune"),
        card=read_card(workspace / layout.MODEL),
        metrics=_json(workspace / layout.METRICS, "evaluate"),
        predictions=_parquet(workspace / layout.PREDICTIONS, "evaluate"),
        reliability=_csv(workspace / layout.RELIABILITY, "evaluate"),
    )


def read_quarantine(path: Path) -> pd.DataFrame:
    """What the latest ingest refused: columns ``path`` and ``reason``; empty where nothing was written yet."""
    if not path.exists():
        return pd.DataFrame({"path": [], "reason": []})
    return _parquet(path, "ingest")


def _json(path: Path, stage: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except ValueError as error:
        raise _damaged(path, stage, error) from None
    return content


def _csv(path: Path, stage: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except ValueError as error:  # of which pandas' parser errors are kinds
        raise _damaged(path, stage, error) from None


def _parquet(path: Path, stage: str) -> pd.DataFrame:
    try:
        table: pd.DataFrame = pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise _missing(path, stage) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, stage, error) from None
    return table


def _missing(path: Path, stage: str) -> UserError:
    return UserError(f"{path}: this result is missing; run `dvc repro {stage}` or `dvc checkout`")


def _damaged(path: Path, stage: str, error: Exception) -> UserError:
    problem = " ".join(str(error).split())[:200]
    return UserError(f"{path}: this result is damaged ({problem}); run `dvc repro --force {stage}`")
