"""Put a round's results on one page."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.clips.shards import ClipStore
from models.files import replacing
from tasks import layout
from tasks.evaluation.measure import measure_of
from tasks.params.quality import EvaluateParams, ReportParams
from tasks.params.whole import BaseParams
from tasks.remote_shards import shards_of
from tasks.report import sections
from tasks.report.environment import page_environment
from tasks.report.labels import label_rows, names_several
from tasks.report.looks import looks
from tasks.report.pictures import pictures
from tasks.report.results import read_round
from tasks.statistics.bootstrap import Interval

logger = logging.getLogger(__name__)


def report(
    base: BaseParams,
    report: ReportParams,
    evaluate: EvaluateParams,
    shown: Mapping[str, Mapping[str, Any]],
    *,
    workspace: Path = Path(),
    out: Path = layout.REPORT,
) -> None:
    """Write the page: one file that needs nothing else, the same bytes for the same results.

    Args:
        base: Name and seed.
        report: What to show.
        evaluate: How accuracy was measured; intervals by class are made in the same way.
        shown: Sections of params.yaml for the table of parameters.
        workspace: Root of the results that the page is about.
        out: The page.

    Raises:
        UserError: A result is missing or damaged.
    """
    found, shards = read_round(workspace), shards_of(workspace / layout.DATA)
    page = (
        page_environment(Path(__file__).parent, ends=_ends, points=_points, number=_number)
        .get_template("template.html.j2")
        .render(
            name=base.name,
            metrics=found.metrics,
            several=names_several(found),
            score=found.metrics[measure_of(found.metrics).key],
            score_before=found.metrics["before"]["pretrained_features"][measure_of(found.metrics).key],
            labels=label_rows(found) if names_several(found) else [],
            confidence=evaluate.confidence,
            headline=sections.headline(found),
            data=sections.data(found),
            validation=sections.validation(found),
            search=sections.search(found),
            training=sections.training(found),
            classes=sections.classes(found, evaluate, base.seed),
            sources=sections.sources(found, evaluate),
            slices=sections.parts(found, evaluate, base.seed),
            confusion=sections.confusions(found),
            reliability=sections.calibration(found),
            pictures=pictures(found, ClipStore(shards), report.worst),
            looks=looks(found, workspace, report.explained, shards=shards),
            parameters={section: list(_flat(values)) for section, values in shown.items()},
            card=found.card,
            manifest_sha256=found.manifest_sha256,
        )
    )
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    logger.info("%s: %.1f MB", out, len(page.encode()) / 1e6)


def _ends(interval: Interval) -> str:
    return f"{100 * interval.low:.1f}\N{EN DASH}{100 * interval.high:.1f}"


def _points(difference: float) -> str:
    """A difference of shares, with a real minus sign."""
    return f"{100 * difference:+.1f}".replace("-", "\N{MINUS SIGN}")


def _number(value: Any) -> str:
    """Four significant digits where the value is a float, words for truths, a dash where it is missing."""
    if value is None or value != value:  # not a number
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted keys and values as params.yaml writes them."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return rows
