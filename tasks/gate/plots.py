"""The verdict as a forest plot: differences in accuracy with their intervals, against zero and the tolerance."""

import unicodedata
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.axes import Axes

from tasks.gate.verdict import Comparison
from tasks.report.environment import visible
from tasks.report.plots import COLOURS, INK, svg

_WIDTH, _ROW, _MARGIN = 5.6, 0.235, 0.75
_GAP = 0.8
_LONGEST = 26


@dataclass(frozen=True)
class Row:
    """A line of the plot.

    Attributes:
        name: What was compared.
        comparison: Its difference.
        part: ``world``, ``group`` or ``class``; parts stand apart.
    """

    name: str
    comparison: Comparison
    part: str


def forest(rows: Sequence[Row], tolerance: float | None, *, alt: str, measure: str = "accuracy") -> Markup:
    """Differences in percentage points, from the top down.

    Args:
        rows: At least one; those of a part follow each other.
        tolerance: Loss that still counts as "not worse".
        alt: What the plot shows, in words.
        measure: Of what there are differences.
    """
    parts = list(dict.fromkeys(row.part for row in rows))
    heights = [-(at + _GAP * parts.index(row.part)) for at, row in enumerate(rows)]
    # The second colour is for what is beyond a limit.
    colours = {"world": COLOURS[0], "group": COLOURS[2], "class": INK}

    def draw(axes: Axes) -> None:
        axes.axvline(0.0, color=INK, linewidth=1.0, zorder=1)
        if tolerance is not None:
            axes.axvline(-100 * tolerance, color=COLOURS[1], linewidth=1.0, linestyle=(0, (3, 2)), zorder=1)
        for row, height in zip(rows, heights, strict=True):
            low, middle, high = (100 * getattr(row.comparison, end) for end in ("low", "difference", "high"))
            is_world = row.part == "world"
            axes.plot([low, high], [height, height], color=colours[row.part], linewidth=2.4 if is_world else 1.3,
                      solid_capstyle="round", zorder=2)  # fmt: skip
            axes.plot([middle], [height], color=colours[row.part], marker="D" if is_world else "o",
                      markersize=6.5 if is_world else 4.5, zorder=3)  # fmt: skip
            axes.text(1.02, height, _numbers(low, middle, high), transform=axes.get_yaxis_transform(), va="center",
                      color=INK, fontsize=7.5)  # fmt: skip
        axes.set_yticks(heights, [_plain(row.name) for row in rows])
        axes.set_ylim(min(heights) - 0.7, 0.7)
        axes.set_xlabel(f"difference in {measure}, percentage points")
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.04)

    with warnings.catch_warnings():
        # Matplotlib has no glyph to measure for some scripts; the page's fonts have, and they write the words.
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        return svg(draw, (_WIDTH, _MARGIN - _ROW * (min(heights) - 1)), alt)


def _numbers(low: float, middle: float, high: float) -> str:
    return f"{middle:+.1f}  ({low:+.1f} to {high:+.1f})".replace("-", "\N{MINUS SIGN}")


def _plain(name: str) -> str:
    """A name as matplotlib takes it literally: short, and no formula.

    Wide characters are measured too narrow; spaces before a name, which no browser shows, make room for them.
    """
    shown = visible(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}")
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in shown)
    return "  " * wide + shown.replace("$", r"\$")
