"""What a search leaves behind: the best values, a table of trials, importances, and two pictures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from models.errors import UserError
from models.files import replacing
from tasks.studies.study import Study, accuracy_of, error_of, is_default


def best_params(study: Study) -> dict[str, Any]:
    """Content of ``best_params.json``.

    Raises:
        UserError: No trial is complete.
    """
    complete = study.trials(TrialState.COMPLETE)
    if not complete:
        raise UserError(_nothing_complete(study))
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    default = next((trial for trial in complete if is_default(trial)), None)
    return {
        "objective": "val_loss",
        "trial": best.number,
        "value": best.value,
        "val_accuracy": accuracy_of(best),
        "values": dict(sorted(best.params.items())),
        "default_value": default.value if default else None,
        "num_trials": len(study.ended()),
    }


def trial_table(study: Study) -> pd.DataFrame:
    """One row a trial that counts, in the order in which they started."""
    names = sorted({name for trial in study.ended() for name in trial.params})
    rows = [
        {
            "trial": trial.number,
            "state": trial.state.name.lower(),
            "default": is_default(trial),
            "value": trial.value if trial.state == TrialState.COMPLETE else None,
            "val_accuracy": accuracy_of(trial),
            "best_so_far": best,
            "epochs": len(trial.intermediate_values),
            **{name: trial.params.get(name) for name in names},
            "error": error_of(trial),
        }
        for trial, best in zip(study.ended(), _best_so_far(study.ended()), strict=True)
    ]
    return pd.DataFrame(rows)


def importance_table(importances: Mapping[str, float]) -> pd.DataFrame:
    """One row a searched field, the most important first."""
    return pd.DataFrame({"parameter": list(importances), "importance": list(importances.values())})


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write ``content``, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write ``table``, all or nothing."""
    with replacing(path) as temporary:
        table.to_csv(temporary, index=False)


def draw_history(trials: pd.DataFrame, path: Path) -> None:
    """Draw each trial's validation loss and the best so far."""
    figure, axes = _figure(height=3.2)
    complete = trials[trials["state"] == "complete"]
    default = complete[complete["default"]]
    axes.step(trials["trial"], trials["best_so_far"], where="post", color="#57606a", label="best so far")
    axes.scatter(complete["trial"], complete["value"], color="#0969da", label="trial", zorder=2)
    axes.scatter(default["trial"], default["value"], color="#bc4c00", label="default configuration", zorder=3)
    for position in trials.loc[trials["state"] != "complete", "trial"]:
        axes.axvline(position, color="#d8dee4", linewidth=6, zorder=0)
    axes.set(xlabel="trial (grey: pruned or failed)", ylabel="validation loss")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    figure.savefig(path)


def draw_importance(importances: pd.DataFrame, path: Path) -> None:
    """Draw how much of the validation loss's variation each field explains."""
    figure, axes = _figure(height=0.8 + 0.4 * max(len(importances), 1))
    axes.barh(importances["parameter"], importances["importance"], color="#0969da")
    axes.invert_yaxis()
    axes.set(xlabel="importance (fANOVA)", xlim=(0, 1))
    figure.savefig(path)


def _figure(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, height), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _best_so_far(trials: Sequence[FrozenTrial]) -> list[float | None]:
    best: list[float | None] = []
    for trial in trials:
        values = [*best[-1:], trial.value if trial.state == TrialState.COMPLETE else None]
        best.append(min((value for value in values if value is not None), default=None))
    return best


def _nothing_complete(study: Study) -> str:
    reasons = [error_of(trial) for trial in study.trials(TrialState.FAIL) if error_of(trial)]
    if not reasons:
        return (
            "every trial of the search diverged or was pruned; lower search.job.lr and the upper end of "
            "search.space.lr in params.yaml"
        )
    return f"every trial of the search failed; the last one because: {reasons[-1]}"
