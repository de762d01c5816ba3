"""A page in a real browser, and what goes wrong while it opens."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
CONTRAST = """
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


@contextmanager
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.fail("no Chromium on this machine: install it from the system's packages (Debian: apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, headless=True, args=_QUIET)
        yield browser
        browser.close()


def opened(context: BrowserContext, page_file: Path):
    """The page with all it can unfold, and what went wrong on the way; films beside it may be loaded."""
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on(
        "request",
        lambda request: (
            problems.append(f"request: {request.url[:80]}")
            if not request.url.startswith(("data:", page_file.as_uri(), f"{page_file.parent.as_uri()}/clips/"))
            else None
        ),
    )
    page.goto(page_file.as_uri(), wait_until="load")
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    return page, problems
