"""Plots as inline SVG that takes its colours and its font from the page, so that it suits a light and a dark one."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import pandas as pd
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Matplotlib is given these, and the page's variables take their place.
INK, _GRID, _FIRST, _SECOND, _THIRD = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    INK: "var(--muted)",
    _GRID: "var(--line)",
    _FIRST: "var(--accent)",
    _SECOND: "var(--warm)",
    _THIRD: "var(--third)",
}
COLOURS = (_FIRST, _SECOND, _THIRD)
_BINS = 12
WIDE, _SMALL = (4.6, 2.7), (2.1, 1.4)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.edgecolor": _GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.8,
}


@dataclass(frozen=True)
class Line:
    """One line of a plot."""

    name: str
    x: "pd.Series[float]"
    y: "pd.Series[float]"


def curves(lines: Sequence[Line], *, y_label: str, alt: str, boundary: float | None = None) -> Markup:
    """Lines over epochs.

    Args:
        lines: At most three.
        y_label: Of the vertical axis.
        alt: What the plot shows, in words.
        boundary: Epoch after which a new phase begins.
    """

    def draw(axes: Axes) -> None:
        for line, colour in zip(lines, COLOURS, strict=False):
            axes.plot(line.x, line.y, color=colour, label=line.name, marker="o", markersize=3)
        if boundary is not None:
            axes.axvline(boundary + 0.5, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("epoch")
        axes.set_ylabel(y_label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()

    return svg(draw, WIDE, alt)


def history(
    trials: "pd.Series[int]", values: "pd.Series[float]", default: float | None, *, label: str, alt: str
) -> Markup:
    """Each trial's result, and the best so far.

    Args:
        trials: Numbers of the trials.
        values: Their results; smaller is better.
        default: Result of the default configuration.
        label: Of the vertical axis.
        alt: What the plot shows, in words.
    """

    def draw(axes: Axes) -> None:
        axes.plot(trials, values.cummin(), color=_FIRST, label="best so far", drawstyle="steps-post")
        axes.plot(trials, values, color=_SECOND, label="trial", marker="o", markersize=4, linestyle="none")
        if default is not None:
            axes.axhline(default, color=INK, linewidth=0.8, linestyle=":", label="default")
        axes.set_xlabel("trial")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()

    return svg(draw, WIDE, alt)


def reliability(bins: pd.DataFrame, *, alt: str) -> Markup:
    """Accuracy by confidence, above the number of clips in each bin.

    Args:
        bins: From :func:`tasks.statistics.calibration.reliability`.
        alt: What the plot shows, in words.
    """

    def draw(axes: Axes) -> None:
        share = bins["clips"] / bins["clips"].max()
        axes.bar(bins["low"], 0.2 * share, bins["high"] - bins["low"], align="edge", color=_GRID, label="clips")
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":", label="perfect")
        axes.plot(bins["confidence"], bins["accuracy"], color=_FIRST, marker="o", markersize=4, label="model")
        axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence", ylabel="accuracy")
        axes.legend(loc="upper left")

    return svg(draw, WIDE, alt)


def distribution(values_by_split: dict[str, "pd.Series[float]"], *, label: str, alt: str) -> Markup:
    """How one fact about clips is spread, as a share of each split.

    Args:
        values_by_split: At most three.
        label: Of the horizontal axis.
        alt: What the plot shows, in words.
    """
    everything = pd.concat(list(values_by_split.values()))
    span = (float(everything.min()), float(everything.max()))

    def draw(axes: Axes) -> None:
        for (split, values), colour in zip(values_by_split.items(), COLOURS, strict=False):
            weights = [100 / len(values)] * len(values)
            axes.hist(
                values,
                bins=_BINS,
                range=span,
                weights=weights,
                histtype="step",
                color=colour,
                label=split,
                linewidth=1.4,
            )
        axes.set_xlabel(label)
        axes.set_ylabel("% of clips")
        axes.grid(visible=False)

    return svg(draw, _SMALL, alt)


def svg(draw: Callable[[Axes], None], size: tuple[float, float], alt: str) -> Markup:
    """Draw one picture of ``size`` inches; ``alt`` says in words what it shows."""
    # The salt names what is shared within a picture; two pictures on one page must not share.
    with matplotlib.style.context({**_STYLE, "svg.hashsalt": alt}, after_reset=True):
        figure = Figure(figsize=size, layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_inline(file.getvalue(), alt))


def _inline(document: str, alt: str) -> str:
    """Cut matplotlib's document down to what stands in a page."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font-family: [^;]*; ", "", svg)
    used = set(re.findall(r'#([\w-]+)[")]', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
