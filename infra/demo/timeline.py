"""The days on one page: when the evidence rose, what accuracy did under each policy, and what each policy cost."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup
from matplotlib.axes import Axes

from infra.demo.diary import NEVER, VIDEOLOOP, WEEKLY, Day, Score, read_days, total
from models.files import replacing
from tasks.report.environment import page_environment
from tasks.report.plots import COLOURS, INK, WIDE, svg

_POLICIES = (VIDEOLOOP, NEVER, WEEKLY)


def write_timeline(folder: Path, name: str) -> Path:
    """Write the page of the days in ``folder`` that are over."""
    path = folder / "timeline.html"
    with replacing(path) as temporary:
        temporary.write_text(render(read_days(folder), name), encoding="utf-8")
    return path


def render(days: Sequence[Day], name: str) -> str:
    """The page as HTML."""
    policies = [policy for policy in _POLICIES if any(policy in day.scores for day in days)]
    environment = page_environment(Path(__file__).parent, number=lambda value: f"{value:.3g}", share=_share)
    return environment.get_template("timeline.html.j2").render(
        name=name,
        days=days,
        policies=policies,
        first_changed=next((day.number for day in days if day.changed), None),
        alarms=[day for day in days if _raises(day, days)],
        false_alarms=sum(_raises(day, days) and not day.changed for day in days),
        costs={policy: total(days, policy) for policy in policies},
        rounds_s=sum(day.round_s for day in days),
        before={policy: _mean(day.scores.get(policy) for day in days if not day.changed) for policy in policies},
        after={policy: _mean(day.scores.get(policy) for day in days if day.changed) for policy in policies},
        last={policy: days[-1].scores.get(policy) if days else None for policy in policies},
        evidence=evidence(days) if days else None,
        accuracy=accuracy(days, policies) if days else None,
    )


def evidence(days: Sequence[Day]) -> Markup:
    """Evidence by day against the limit; a new champion begins anew."""

    def draw(axes: Axes) -> None:
        for place, version in enumerate(sorted({day.looks[-1].version for day in days})):
            own = [day for day in days if day.looks[-1].version == version]
            axes.plot([day.number for day in own], [day.looks[-1].evidence for day in own], color=COLOURS[0],
                      marker="o", markersize=3, label="_" if place else "evidence")  # fmt: skip
        axes.axhline(days[-1].looks[-1].limit, color=INK, linestyle=":", linewidth=1.0, label="limit")
        _mark(axes, days)
        axes.set_yscale("log")
        axes.set(xlabel="day", ylabel="evidence")
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="upper left")

    return svg(draw, WIDE, "Evidence of change by day against the limit that raises the alarm")


def accuracy(days: Sequence[Day], policies: Sequence[str]) -> Markup:
    """True accuracy by day under each policy, and what the watch estimated without labels."""

    def draw(axes: Axes) -> None:
        for policy, colour in zip(policies, COLOURS, strict=False):
            own = [(day.number, day.scores[policy].accuracy) for day in days if policy in day.scores]
            axes.plot([number for number, _ in own], [share for _, share in own], color=colour, marker="o",
                      markersize=3, label=policy)  # fmt: skip
        known = [(day.number, day.looks[-1].estimated.estimate) for day in days if day.looks[-1].estimated]
        axes.plot([number for number, _ in known], [share for _, share in known], color=INK, linestyle="--",
                  linewidth=1.0, label="estimated, window")  # fmt: skip
        _mark(axes, days)
        axes.set_ylim(0, 1.03)
        axes.set(xlabel="day", ylabel="accuracy")
        axes.locator_params(axis="x", integer=True)
        axes.legend(loc="lower left")

    return svg(draw, WIDE, "True accuracy by day under each policy, and the watch's estimate")


def _mark(axes: Axes, days: Sequence[Day]) -> None:
    """Shade the days with the new look, and mark promotions."""
    changed = [day.number for day in days if day.changed]
    if changed:
        axes.axvspan(changed[0] - 0.5, changed[-1] + 0.5, color=COLOURS[1], alpha=0.1, linewidth=0)
    for day in days:
        if day.promoted:
            axes.axvline(day.number + 0.5, color=INK, linewidth=0.8, linestyle="--")


def _raises(day: Day, days: Sequence[Day]) -> bool:
    """Whether the alarm of a champion is first raised on this day."""
    earlier = {look.version for other in days if other.number < day.number for look in other.looks if look.alarm}
    return any(look.alarm and look.version not in earlier for look in day.looks)


def _mean(scores: Iterable[Score | None]) -> float | None:
    known = [score.accuracy for score in scores if score]
    return sum(known) / len(known) if known else None


def _share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f}%"
