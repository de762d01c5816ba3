"""The report in a real browser: nothing is missing, nothing is loaded, nothing runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tasks import layout
from tasks.params import BaseParams, EvaluateParams, ReportParams
from tasks.report.page import report
from tests.support.results import HOSTILE, LABELS, write_results

pytestmark = pytest.mark.integration

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_CONTRAST = """
() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const page = luminance(parse(getComputedStyle(document.body).backgroundColor));
  return [...document.querySelectorAll('p, th, td, a, dt, dd, figcaption, summary, .quiet, .wrong, code')]
    .filter((element) => element.checkVisibility() && !element.closest('.matrix'))
    .map((element) => {
      const text = luminance(parse(getComputedStyle(element).color));
      return [(Math.max(text, page) + 0.05) / (Math.min(text, page) + 0.05), element.className || element.tagName];
    })
    .filter(([ratio]) => ratio < 4.5);
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("no Chromium on this machine: install it from the system's packages (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=_QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[LABELS, HOSTILE], ids=["plain", "hostile"])
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_results(tmp_path_factory.mktemp("round"), request.param)
    out = root / layout.REPORT
    shown = {"base": {"name": request.param[0]}}
    report(BaseParams(name="test"), ReportParams(), EvaluateParams(), shown, workspace=root, out=out)
    return out


def opened(context: BrowserContext, page_file: Path):
    """The page with all it can unfold, and what went wrong on the way."""
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            problems.append(f"request: {request.url[:80]}")
            if request.url != page_file.as_uri() and not request.url.startswith("data:")
            else None
        ),
    )
    page.goto(page_file.as_uri(), wait_until="load")
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    return page, problems


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_without_a_fault(browser: Browser, page_file: Path, tmp_path: Path, width: int, scheme: str):
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page, problems = opened(context, page_file)
        widths = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        assert len(widths) > 6
        assert all(widths), "missing pictures"
        drawn = page.eval_on_selector_all("svg", "all => all.map(one => one.getBoundingClientRect().height)")
        assert len(drawn) >= 5
        assert all(height > 60 for height in drawn)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        assert page.evaluate(_CONTRAST) == [], "text that is hard to read"
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
        assert len(links) == 9
        assert all(page.locator(link).count() == 1 for link in links)
