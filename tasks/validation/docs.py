"""Data Docs: Great Expectations' own pages of a validation, made so that they open anywhere and forever.

As they come, these pages fetch style sheets, scripts and a logo with a time stamp from six hosts, so that opening one
tells the internet of it and, without the internet, shows nothing but bare text; and no two of them are equal. Here the
page's frame is ours: its style is in the page, folded parts are HTML's own, and the same data give the same bytes.
"""

import copy
import html
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
from great_expectations.render.view.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, select_autoescape

from models.files import replacing
from tasks.validation.expectations import Outcome

_TEMPLATES = Path(__file__).parent / "templates"


def write_docs(outcomes: Mapping[str, Outcome], folder: Path) -> Path:
    """Write an overview and a page for each table.

    Returns:
        The overview, ``index.html``.
    """
    for table, outcome in outcomes.items():
        _write(folder / f"{table}.html", _page(outcome.result))
    overview = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=select_autoescape(["j2"]), trim_blocks=True, lstrip_blocks=True
    ).get_template("overview.j2")
    _write(folder / "index.html", overview.render(outcomes=outcomes))
    return folder / "index.html"


def _page(result: ExpectationSuiteValidationResult) -> str:
    view: Any = DefaultJinjaPageView()
    view.env.loader = ChoiceLoader([FileSystemLoader(_TEMPLATES), view.env.loader])
    numbers = count(1)
    view.env.filters["generate_html_element_uuid"] = lambda prefix: f"{prefix}{next(numbers)}"
    page: str = view.render(ValidationResultsPageRenderer().render(_inert(result)))
    return page


def _inert(result: ExpectationSuiteValidationResult) -> Any:
    """The result without the time at which the data were read, and with nothing in it that is HTML."""
    inert: Any = copy.deepcopy(result)
    inert.meta.pop("batch_markers", None)
    inert.meta["batch_spec"] = {"data_asset_name": f"manifest, {result.suite_name}"}
    for one in inert.results:
        one.result = _escaped(one.result)
        one.expectation_config.description = _escaped(one.expectation_config.description)
    return inert


def _escaped(found: Any) -> Any:
    """What was found, made harmless: Great Expectations puts names of failing rows into its pages as they are."""
    if isinstance(found, dict):
        return {name: _escaped(value) for name, value in found.items()}
    if isinstance(found, list):
        return [_escaped(value) for value in found]
    return html.escape(found) if isinstance(found, str) else found


def _write(path: Path, page: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text("\n".join(line.rstrip() for line in page.splitlines() if line.strip()) + "\n", "utf-8")
