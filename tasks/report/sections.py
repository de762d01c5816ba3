"""What the page says, section by section, as values that its template lays out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from models.clips.manifest import SPLITS, labels_of
from tasks.evaluation.measure import measure_of
from tasks.params.quality import EvaluateParams
from tasks.report import plots
from tasks.report.facts import spread
from tasks.report.labels import average_precisions, names_several
from tasks.report.results import Round
from tasks.statistics.bootstrap import Interval, source_bootstrap
from tasks.statistics.proportion import wilson
from tasks.statistics.slices import SOURCE, slices

_MOST_SOURCES = 40
_LARGEST_MATRIX = 30
_MOST_CONFUSIONS = 10
_MOST_QUARANTINED = 100

_CURVES = {"loss": "loss", "accuracy": "share of clips with exactly the right labels"}

_BEFORE = {
    "pretrained_features": "Before: linear classifier on pretrained features",
    "initial": "Before: pretrained backbone, untrained head",
    "majority": "Always the most frequent class",
}


@dataclass(frozen=True)
class Bar:
    """A named share with its interval.

    Attributes:
        name: What it is the share of.
        interval: The share.
        clips: On how many clips it was measured.
        strong: Whether it is the one that matters.
    """

    name: str
    interval: Interval
    clips: int
    strong: bool = False


@dataclass(frozen=True)
class Headline:
    """Accuracy after and before fine-tuning.

    Attributes:
        bars: The model first, then what was there before.
        gains: Paired differences to what was there before, in the same order.
        unseen: Whether no source of the test was trained on.
    """

    bars: list[Bar]
    gains: list[Bar]
    unseen: bool


def headline(found: Round) -> Headline:
    """The first thing a reader wants to know."""
    metrics = found.metrics
    measure = measure_of(metrics)

    def bar(name: str, values: dict[str, Any], *, strong: bool = False) -> Bar:
        return Bar(name, measure.interval(values), metrics["clips"], strong)

    def gain(name: str, values: dict[str, float]) -> Bar:
        return Bar(name, Interval(values["difference"], values["low"], values["high"]), metrics["clips"])

    sources = found.manifest.groupby("split")["source_id"].agg(set)
    return Headline(
        [bar("After fine-tuning", metrics, strong=True)]
        + [bar(title, values) for title, values in _measured_otherwise(metrics)]
        + [bar(title, metrics["before"][key]) for key, title in _BEFORE.items()],
        [gain(title, metrics["gain"][f"over_{key}"]) for key, title in _BEFORE.items()],
        unseen=sources["test"].isdisjoint(sources["train"]),
    )


def _measured_otherwise(metrics: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The same model with more looks at each clip, and on clips changed to mislead it; each where asked for."""
    found = []
    if views := metrics.get("views"):
        cost = views["multiply_adds"] / 1e9
        found.append((f"{views['views']} views a clip, {views['views']} times the cost ({cost:.3g} G)", views))
    if robust := metrics.get("robust"):
        found.append((f"On clips changed by up to {robust['epsilon']:g} of 255", robust))
    return found


@dataclass(frozen=True)
class Data:
    """The dataset.

    Attributes:
        splits: Split, clips, sources, classes.
        facts: A plot for each fact that varies.
        constant: Facts that are the same for every clip, in words.
        quarantine: Path and reason of what was refused, at most so many.
        num_quarantined: How many were refused.
    """

    splits: list[tuple[str, int, int, int]]
    facts: list[Markup]
    constant: list[str]
    quarantine: list[tuple[str, str]]
    num_quarantined: int


def data(found: Round) -> Data:
    """What the round was trained and tested on."""
    clips = found.manifest[found.manifest["label"].notna()]
    by_split = {split: clips[clips["split"] == split] for split in SPLITS}
    facts = spread(clips)
    refused = found.quarantine
    return Data(
        [(split, len(rows), rows["source_id"].nunique(), len(labels_of(rows))) for split, rows in by_split.items()],
        facts.plots,
        facts.constant,
        list(zip(refused["path"], refused["reason"], strict=True))[:_MOST_QUARANTINED],
        len(refused),
    )


def validation(found: Round) -> dict[str, Any]:
    """Outcome of the validation, with the names of what was checked."""
    checks = found.validation["expectations"]
    return {
        "success": found.validation["success"],
        "checks": checks,
        "failed": [check for check in checks if not check["success"]],
    }


@dataclass(frozen=True)
class Search:
    """What was searched.

    Attributes:
        best: Best values by parameter.
        history: Plot of all trials.
        importance: Share of each parameter.
        header: Columns of the table of trials.
        trials: Rows of the table of trials.
    """

    best: dict[str, Any]
    history: Markup
    importance: list[tuple[str, float]]
    header: list[str]
    trials: list[list[Any]]


def search(found: Round) -> Search:
    """The trials and what they taught."""
    best = found.best
    finished = found.trials.dropna(subset=["value"])
    shown = found.trials.drop(columns="best_so_far", errors="ignore").dropna(axis=1, how="all")
    alt = f"Objective by trial; the best is trial {best['trial']} with {best['value']:.4g}"
    return Search(
        best["values"],
        plots.history(
            finished["trial"],
            finished["value"],
            best.get("default_value"),
            label=best.get("objective", "value"),
            alt=alt,
        ),
        list(zip(found.importance["parameter"], found.importance["importance"], strict=True)),
        list(shown.columns),
        shown.astype(object).where(shown.notna(), None).values.tolist(),
    )


@dataclass(frozen=True)
class Training:
    """How fine-tuning went.

    Attributes:
        plots: Loss and accuracy by epoch.
        two_phases: Whether the head was trained alone before the whole network.
    """

    plots: list[Markup]
    two_phases: bool


def training(found: Round) -> Training:
    """Learning curves: loss and accuracy."""
    curves = found.curves
    head = curves.loc[curves["phase"] == "head", "epoch"]
    two_phases = 0 < len(head) < len(curves)
    return Training(
        [
            plots.curves(
                [plots.Line(split, curves["epoch"], curves[f"{split}_{what}"]) for split in ("train", "val")],
                y_label=_CURVES[what] if names_several(found) else what,
                alt=f"{what.capitalize()} by epoch; the last on val is {curves[f'val_{what}'].iloc[-1]:.3g}",
                boundary=float(head.max()) if two_phases else None,
            )
            for what in ("loss", "accuracy")
        ],
        two_phases,
    )


def classes(found: Round, params: EvaluateParams, seed: int) -> list[Bar]:
    """Recall by class, or average precision by label, the worst first, with intervals over sources."""
    if names_several(found):
        return [Bar(*row) for row in average_precisions(found)]
    bars = [
        Bar(
            str(label),
            source_bootstrap(
                clips["correct"],
                clips["source_id"].to_numpy(),
                resamples=params.bootstrap,
                confidence=params.confidence,
                seed=seed,
            ),
            len(clips),
        )
        for label, clips in tested(found).groupby("label", sort=True)
    ]
    return sorted(bars, key=lambda bar: bar.interval.estimate)


@dataclass(frozen=True)
class Slices:
    """Parts of the test split in which the model may be worse.

    Attributes:
        kinds: What it was cut by, and accuracy of each part.
        worse: What is worse than the whole beyond chance, the worst first, each with what it was cut by.
    """

    kinds: list[tuple[str, list[Bar]]]
    worse: list[tuple[str, Bar]]


def parts(found: Round, params: EvaluateParams, seed: int) -> Slices:
    """Accuracy by hour, light and size, and which of these and of the sources are worse than the whole."""
    test = tested(found)
    clips = test[["clip_id", "correct"]].merge(found.manifest, on="clip_id", validate="one_to_one")
    table = slices(
        clips, clips["correct"].to_numpy(bool), resamples=params.bootstrap, confidence=params.confidence, seed=seed
    )

    def bar(row: Any) -> Bar:
        return Bar(row.slice, Interval(row.accuracy, row.low, row.high), row.clips, strong=row.worse)

    return Slices(
        [
            (str(by), [bar(row) for row in rows.itertuples()])
            for by, rows in table.groupby("by", sort=False)
            if by != SOURCE
        ],
        [(str(row.by), bar(row)) for row in table[table["worse"]].sort_values("accuracy", kind="stable").itertuples()],
    )


def sources(found: Round, params: EvaluateParams) -> tuple[list[Bar], int]:
    """Accuracy by source, the worst first and at most so many, and how many there are."""
    bars = [
        Bar(str(source), wilson(int(right.sum()), len(right), confidence=params.confidence), len(right))
        for source, right in tested(found).groupby("source_id", sort=True)["correct"]
    ]
    return sorted(bars, key=lambda bar: bar.interval.estimate)[:_MOST_SOURCES], len(bars)


@dataclass(frozen=True)
class Confusions:
    """Which classes are taken for which.

    Attributes:
        labels: Of rows and columns; empty where clips may have several labels.
        matrix: Clips by actual (rows) and predicted (columns) class; None where it would be too large to read.
        frequent: Actual, predicted, clips, share of the actual class: the most frequent confusions.
    """

    labels: list[str]
    matrix: list[list[int]] | None
    frequent: list[tuple[str, str, int, float]]


def confusions(found: Round) -> Confusions:
    """Which classes are taken for which, on the test split; nothing where clips may have several labels."""
    if names_several(found):
        return Confusions([], None, [])
    test, labels = tested(found), found.card["labels"]
    table = pd.crosstab(test["label"], test["predicted"]).reindex(index=labels, columns=labels, fill_value=0)
    off_diagonal = table.to_numpy() * ~np.eye(len(labels), dtype=bool)
    pairs = [(int(off_diagonal[at]), *at) for at in zip(*off_diagonal.nonzero(), strict=True)]
    frequent = sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_MOST_CONFUSIONS]
    return Confusions(
        labels,
        table.to_numpy().tolist() if len(labels) <= _LARGEST_MATRIX else None,
        [
            (labels[actual], labels[predicted], clips, clips / int(table.iloc[actual].sum()))
            for clips, actual, predicted in frequent
        ],
    )


def calibration(found: Round) -> Markup:
    """The reliability plot."""
    return plots.reliability(
        found.reliability,
        alt=f"Accuracy by confidence on the test split; expected calibration error {found.metrics['ece']:.3f}",
    )


def tested(found: Round) -> pd.DataFrame:
    """Predictions on the test split."""
    return found.predictions[found.predictions["split"] == "test"]
