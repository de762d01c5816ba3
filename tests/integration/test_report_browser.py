"""The report in a real browser, with the verdict on top: nothing is missing, nothing is loaded, nothing runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks import layout
from tasks.gate.section import with_section
from tasks.params.quality import EvaluateParams, JudgeParams, ReportParams
from tasks.params.whole import BaseParams
from tasks.report.page import report
from tests.support.browser import CONTRAST, chromium, opened
from tests.support.results import HOSTILE, LABELS, write_results
from tests.support.verdicts import part, verdict

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=[LABELS, HOSTILE], ids=["plain", "hostile"])
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_results(tmp_path_factory.mktemp("round"), request.param)
    out = root / layout.REPORT
    shown = {"base": {"name": request.param[0]}}
    report(BaseParams(name="test"), ReportParams(explained=4), EvaluateParams(), shown, workspace=root, out=out)
    slices = [part(kind, name, 0.1 - 0.2 * at) for kind in ("group", "class") for at, name in enumerate(request.param)]
    judged = verdict("blocked", slices=tuple(slices), blocks=("it is slow",), left_out=3)
    out.write_text(with_section(out.read_text(encoding="utf-8"), judged, JudgeParams()), encoding="utf-8")
    return out


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_a_fault(browser: Browser, page_file: Path, tmp_path: Path, width: int, scheme: str):
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page, problems = opened(context, page_file)
        widths = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        assert len(widths) > 6
        assert all(widths), "missing pictures"
        drawn = page.eval_on_selector_all("svg", "all => all.map(one => one.getBoundingClientRect().height)")
        assert len(drawn) >= 6
        assert all(height > 60 for height in drawn)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        assert page.evaluate(CONTRAST) == [], "text that is hard to read"
        shot = tmp_path / f"report-{width}-{scheme}.png"
        page.screenshot(path=shot, full_page=True)
        assert shot.stat().st_size > 50_000
        assert problems == []


def test_nothing_in_the_report_runs(browser: Browser, page_file: Path):
    with browser.new_context() as context:
        page, problems = opened(context, page_file)
        assert page.locator("script").count() == 0
        assert (
            page.evaluate(
                "[...document.querySelectorAll('*')].flatMap(e => e.getAttributeNames())"
                ".filter(name => name.startsWith('on'))"
            )
            == []
        )
        page.evaluate("""() => {
            const script = document.createElement('script');
            script.textContent = 'document.title = "it ran"';
            document.body.append(script);
        }""")
        assert page.title() != "it ran", "the page's own policy lets scripts run"
        assert any("Content Security Policy" in problem for problem in problems)


def test_the_sections_are_reached_from_the_top(browser: Browser, page_file: Path):
    with browser.new_context() as context:
        page, _ = opened(context, page_file)
        links = page.eval_on_selector_all("nav a", "all => all.map(one => one.getAttribute('href'))")
        assert len(links) == 12
        assert all(page.locator(link).count() == 1 for link in links)
