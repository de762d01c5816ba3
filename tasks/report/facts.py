"""How clips differ in what probing found: a plot for each fact that varies."""

from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup

from models.clips.manifest import SPLITS
from tasks.report import plots

_FACTS = {
    "duration_s": "duration in s",
    "short_side": "shorter side in px",
    "fps": "frames a second",
    "brightness": "brightness, 0 to 255",
    "contrast": "contrast",
    "sharpness": "sharpness",
    "motion": "motion",
}


@dataclass(frozen=True)
class Spread:
    """How the facts are spread.

    Attributes:
        plots: A plot for each fact that varies, by split, or of all clips where they have none.
        constant: Facts that are the same for every clip, in words.
    """

    plots: list[Markup]
    constant: list[str]


def spread(clips: pd.DataFrame) -> Spread:
    """How the facts about ``clips`` of a manifest are spread, without those that alone have no split."""
    groups = {split: clips.index[clips["split"] == split] for split in SPLITS}
    groups = {split: rows for split, rows in groups.items() if len(rows)} or {"all": clips.index}
    facts = {
        "duration_s": clips["end_s"] - clips["start_s"],
        "short_side": clips[["width", "height"]].min(axis=1),
        **{name: clips[name] for name in ("fps", "brightness", "contrast", "sharpness", "motion")},
    }
    varies = {name: values for name, values in facts.items() if values.max() - values.min() > 1e-6}
    return Spread(
        [_plot(name, {group: values[rows] for group, rows in groups.items()}) for name, values in varies.items()],
        [f"{_FACTS[name]}: {values.iloc[0]:g}" for name, values in facts.items() if name not in varies],
    )


def _plot(name: str, values: "dict[str, pd.Series[float]]") -> Markup:
    medians = ", ".join(f"{group} {each.median():.4g}" for group, each in values.items())
    return plots.distribution(values, label=_FACTS[name], alt=f"Distribution of {_FACTS[name]}; medians: {medians}")
