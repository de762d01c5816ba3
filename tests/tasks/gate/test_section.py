from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from models.errors import UserError
from tasks.gate.plots import Row, forest
from tasks.gate.section import section, with_section
from tasks.gate.verdict import Comparison, Cost, Verdict
from tasks.params.quality import JudgeParams
from tests.support.verdicts import comparison, part, verdict

PARAMS = JudgeParams()
REPORT = '<header><nav aria-label="Sections">\n    <ul>\n</ul></nav></header><main>\n<section id="accuracy"></main>'


class Words(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def words(text: str) -> str:
    return " ".join(" ".join(Words(text).found).split())


def test_the_section_stands_on_top_is_linked_and_leaves_the_rest_as_it_was():
    page = with_section(REPORT, verdict(), PARAMS)
    assert page.index('<section id="gate">') < page.index('<section id="accuracy">')
    assert '<a href="#gate">' in page
    assert with_section(REPORT, verdict(), PARAMS) == page
    assert (
        page.replace("\n" + section(verdict(), PARAMS), "").replace('\n      <li><a href="#gate">Verdict</a></li>', "")
        == REPORT
    )
    with pytest.raises(UserError, match="not a round's report"):
        with_section("<html></html>", verdict(), PARAMS)


def test_it_says_outcome_worlds_floors_and_cost():
    said = words(section(verdict("blocked", blocks=("class wave is low",), text="why & how"), PARAMS))
    for each in (
        "blocked Version 5 is blocked why & how",
        "new video 70.0% 50.0% 48 12",
        "old video 49.0% 50.0% 48 12",
        "cam-1 group 20 90.0% 80.0% 50.0%",
        "With fewer than 10 test clips there is no floor: wave (3)",
        "median latency, ms 31.0 30.0 \N{EN DASH}",
        "as a multiple of the champion's 1.03 1.00 1.50",
        "weights, MB 12.5 12.4 500.0",
    ):
        assert each in said


def test_what_is_beyond_a_limit_stands_out():
    low = verdict(slices=(part("class", "wave", -0.5),), cost=Cost(90.0, 900.0, 30.0, 12.4))
    assert section(low, PARAMS).count('<tr class="over">') == 3
    assert '<tr class="over">' not in section(verdict(), PARAMS)


def test_a_first_version_and_a_row_from_before_the_gate_have_a_section_too():
    first = verdict("first", champion=None, new=None, old=None, all=None, slices=(), cost=Cost(31.0, 12.5))
    assert "nothing to compare with" in section(first, PARAMS)
    assert "<svg" not in section(first, PARAMS)
    before = Verdict(2, 1, "better", "as judged", all=Comparison(0.1, 0.01, 0.2, 9, 3))
    assert "all \N{EN DASH} \N{EN DASH} 9 3" in words(section(before, PARAMS))


def test_names_are_escaped_and_only_the_lowest_are_drawn():
    names = ["<script>alert(1)</script>", "$\\frac{1}$", "\u202etxt", "_hidden", "\u65e5\u672c\u8a9e"]
    slices = tuple(part("group", name, 0.01 * at) for at, name in enumerate(names * 5))
    found = section(verdict(slices=slices), PARAMS)
    assert "<script" not in found
    assert "\u65e5\u672c\u8a9e" in found[found.index("<svg") :]
    assert "\u202e" not in found
    assert "13 more classes and groups" in found
    ElementTree.fromstring(found[found.index("<svg") : found.index("</svg>") + 6])


def test_the_plot_shows_every_row_and_is_the_same_every_time():
    rows = [Row("new video", comparison(0.1, 0.2, 0.3), "world"), Row("cam-1", comparison(-0.5, -0.1, 0.3), "group")]
    plot = forest(rows, 0.02, alt="Differences")
    assert forest(rows, 0.02, alt="Differences") == plot
    assert "new video" in plot
    assert "cam-1" in plot
    assert "\N{MINUS SIGN}10.0  (\N{MINUS SIGN}50.0 to +30.0)" in plot
    assert ElementTree.fromstring(plot).attrib["aria-label"] == "Differences"
