"""The contact sheet of a labelling request in a real browser: everything is there, films play, nothing runs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tasks.labelling.request import request
from tests.support.browser import CONTRAST, chromium, opened
from tests.support.questions import HOSTILE_SOURCE, outputs_of, with_sets, write_half_labelled
from tests.support.results import HOSTILE, LABELS

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(
    scope="module",
    params=[(LABELS, "camera ", False), (HOSTILE, HOSTILE_SOURCE, False), (HOSTILE, HOSTILE_SOURCE, True)],
    ids=["plain", "hostile", "sets"],
)
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels, source, several = request.param
    return asked(tmp_path_factory.mktemp("request"), sorted(labels), source, several)


def asked(root: Path, labels: list[str], source: str, several: bool) -> Path:
    clips = write_half_labelled(root / "data", tuple(labels), source)
    outputs = outputs_of(clips, labels)
    if several:
        with_sets(root / "data")
        outputs = replace(outputs, thresholds=(0.1,) * len(labels))
    made = request(outputs, root / "data", root / "requests", budget=8)
    return made.folder / "contact_sheet.html"


@pytest.mark.parametrize("width", [360, 1400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_fault(browser: Browser, page_file: Path, width: int, scheme: str):
    with browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme) as context:
        page, problems = opened(context, page_file)
        assert page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth > 100)") == [True] * 8
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        assert page.evaluate(CONTRAST) == [], "text that is hard to read"
        assert problems == []


def test_every_film_plays(browser: Browser, page_file: Path):
    with browser.new_context() as context:
        page, problems = opened(context, page_file)
        played = page.evaluate("""async () => {
            const films = [...document.querySelectorAll('video')];
            return Promise.all(films.map(async (film) => {
                film.loop = false;
                const ended = new Promise((done) => { film.onended = () => done('ended'); });
                const failed = new Promise((done) => { film.onerror = () => done(film.error.message); });
                await film.play();
                return [await Promise.race([ended, failed]), film.videoWidth, film.duration > 0.6];
            }));
        }""")
        assert played == [["ended", 40, True]] * 8
        assert problems == []


def test_nothing_in_it_runs(browser: Browser, page_file: Path):
    with browser.new_context() as context:
        page, problems = opened(context, page_file)
        assert page.locator("script").count() == 0
        page.evaluate("""() => {
            const script = document.createElement('script');
            script.textContent = 'document.title = "it ran"';
            document.body.append(script);
        }""")
        assert page.title() == "Labels wanted for 8 clips", "the page's own policy lets scripts run"
        assert any("Content Security Policy" in problem for problem in problems)
