"""The verdict as a section of the report: put on top of the page that the round made."""

from pathlib import Path

from markupsafe import Markup

from models.errors import UserError
from tasks import layout
from tasks.gate.plots import Row, forest
from tasks.gate.verdict import Comparison, Slice, Verdict
from tasks.params.quality import JudgeParams
from tasks.report.environment import page_environment

_MOST_DRAWN = 12
_WORLDS = {"new": "new video", "old": "old video", "all": "all"}
_MAIN, _LINKS = "<main>", '<nav aria-label="Sections">\n    <ul>'
_LINK = '\n      <li><a href="#gate">Verdict</a></li>'


def with_section(report: str, verdict: Verdict, params: JudgeParams) -> str:
    """The page ``report`` with the verdict before its first section; the same bytes for the same verdict.

    Args:
        report: The page as the stage wrote it.
        verdict: Of the version that the page is about.
        params: The limits.

    Raises:
        UserError: The page is not a report.
    """
    before, main, after = report.partition(_MAIN)
    if not main:
        raise UserError(f"{layout.REPORT}: this is not a round's report; run `dvc repro --force report`")
    return f"{before.replace(_LINKS, _LINKS + _LINK, 1)}{main}\n{section(verdict, params)}{after}"


def section(verdict: Verdict, params: JudgeParams) -> str:
    """The section as HTML; the page's own style sheet goes with it."""
    groups, classes = _lowest(verdict, "group"), _lowest(verdict, "class")
    floors = sorted((each for each in verdict.slices if each.floor is not None), key=_by_margin)
    near = floors[: max(_MOST_DRAWN, sum(each.is_low for each in floors))]
    return (
        page_environment(Path(__file__).parent, points=_points, share=_share, figure=_figure)
        .get_template("section.html.j2")
        .render(
            verdict=verdict,
            params=params,
            title=_TITLES[verdict.outcome].format(version=verdict.version, champion=verdict.champion),
            worlds={_WORLDS[name]: comparison for name, comparison in _shown(verdict).items()},
            forest=_forest(verdict, [*groups, *classes]),
            drawn_groups=len(groups),
            drawn_classes=len(classes),
            not_drawn=sum(each.comparison is not None for each in verdict.slices) - len(groups) - len(classes),
            floors=near,
            more_floors=len(floors) - len(near),
            without_floor=[each for each in verdict.slices if each.floor is None],
        )
    )


_TITLES = {
    "first": "Version {version}: nothing to compare with",
    "better": "Version {version} is better than champion {champion}",
    "not worse": "Version {version} is not worse than champion {champion}",
    "worse": "Version {version} is worse than champion {champion}",
    "undecided": "Version {version} against champion {champion}: undecided",
    "blocked": "Version {version} is blocked",
}


def _shown(verdict: Verdict) -> dict[str, Comparison]:
    """The worlds; both together only where there are both."""
    worlds = verdict.worlds
    return worlds if len(worlds) != 2 else {name: found for name, found in worlds.items() if name != "all"}


def _lowest(verdict: Verdict, kind: str) -> list[Slice]:
    found = [(each.comparison.difference, each) for each in verdict.slices if each.kind == kind and each.comparison]
    return [each for _, each in sorted(found, key=lambda one: one[0])[:_MOST_DRAWN]]


def _forest(verdict: Verdict, drawn: list[Slice]) -> Markup | None:
    rows = [Row(_WORLDS[name], comparison, "world") for name, comparison in _shown(verdict).items()]
    if not rows:
        return None
    rows += [Row(each.name, each.comparison, each.kind) for each in drawn if each.comparison]
    said = ", ".join(f"{row.name} {_points(row.comparison.difference)}" for row in rows if row.part == "world")
    alt = f"Differences in {verdict.measure} with their intervals, in points: {said}"
    return forest(rows, verdict.tolerance, alt=alt, measure=verdict.measure)


def _by_margin(slice_: Slice) -> float:
    assert slice_.floor is not None
    return slice_.accuracy - slice_.floor


def _points(difference: float) -> str:
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def _share(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{100 * value:.1f}%"


def _figure(value: float | None, digits: int = 1) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,.{digits}f}"
