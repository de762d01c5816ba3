"""Plots of a champion's life: evidence against its limit, accuracy with its interval."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import dates
from matplotlib.axes import Axes
from numpy.typing import NDArray

from tasks.report.environment import visible
from tasks.report.plots import COLOURS, INK, WIDE, svg
from tasks.watch.findings import Findings

_MOST_GROUPS = 2
_LEAST_MARGIN = np.timedelta64(2, "D")


def evidence(past: Sequence[Findings], latest: Findings) -> Markup:
    """Evidence by watch, of all sources and of the groups with the most, on a scale of powers."""
    days = _days([findings.now for findings in past])
    names = [group.name for group in latest.groups[:_MOST_GROUPS]]

    def draw(axes: Axes) -> None:
        axes.plot(days, [findings.overall.evidence for findings in past], color=COLOURS[0], marker="o", markersize=3,
                  label="all sources")  # fmt: skip
        for name, colour in zip(names, COLOURS[1:], strict=False):
            of_group = [
                {group.name: group.evidence for group in findings.groups}.get(name, np.nan) for findings in past
            ]
            axes.plot(days, of_group, color=colour, marker="o", markersize=2.5, linewidth=1.2, label=_plain(name))
        axes.axhline(latest.overall.limit, color=INK, linestyle=":", linewidth=1.0, label="limit")
        axes.set_yscale("log")
        axes.set_ylabel("evidence")
        _over_life(axes, past)
        axes.legend()

    return svg(draw, WIDE, "Evidence of change by watch against the limit that raises the alarm")


def accuracy(past: Sequence[Findings]) -> Markup:
    """Accuracy by watch, estimated and measured, with intervals."""

    def draw(axes: Axes) -> None:
        for place, (how, colour) in enumerate((("estimated", COLOURS[0]), ("measured", COLOURS[1]))):
            known = [
                (findings.now, harm.after)
                for findings in past
                for harm in findings.overall.harm
                if harm.how == how and harm.after and not harm.of
            ]
            if not known:
                continue
            middle = np.array([after.estimate for _, after in known])
            ends = np.abs(np.array([[after.low for _, after in known], [after.high for _, after in known]]) - middle)
            days = _days([now for now, _ in known])
            axes.errorbar(days, middle, ends, color=colour, marker="o", markersize=4, capsize=2, linewidth=1.2,
                          label=how, zorder=3 + place)  # fmt: skip
        before = next(
            (
                harm.before
                for findings in reversed(past)
                for harm in findings.overall.harm
                if harm.before and not harm.of
            ),
            None,
        )
        if before is not None:
            axes.axhline(before, color=INK, linestyle=":", linewidth=1.0, label="on the reference")
        axes.set_ylim(0, 1.03)
        axes.set_ylabel("accuracy")
        _over_life(axes, past)
        axes.legend()

    return svg(draw, WIDE, "Accuracy by watch, estimated without labels and measured with them, with intervals")


def _over_life(axes: Axes, past: Sequence[Findings]) -> None:
    """Days of the champion's life, some at least: left to itself, an axis of one watch spans four years."""
    first, *_, last = _days([past[0].now, past[-1].now])
    margin = max((last - first) // 20, _LEAST_MARGIN)
    axes.set_xlim(first - margin, last + margin)
    of_dates: Any = dates  # without types
    locator = of_dates.AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(of_dates.ConciseDateFormatter(locator))


def _days(moments: Sequence[datetime]) -> NDArray[np.datetime64]:
    return np.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], "datetime64[us]")


def _plain(name: str) -> str:
    """A name as matplotlib takes it literally: no formula, no hidden entry."""
    return " " + visible(name[:40]).replace("$", r"\$")
