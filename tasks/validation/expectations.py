"""The expectations, as Great Expectations checks them. Importing this module takes seconds, so stages do it late.

Descriptions say what must hold and, in brackets, which key of params.yaml decides it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.expectations import core as gxe
from great_expectations.expectations.expectation import Expectation

from models.clips.manifest import SPLITS
from tasks.params import SplitParams, ValidateParams
from tasks.validation.leaks import about_copies

_NAMED_BY = {"clips": ["clip_id", "uri"], "classes": ["label"]}
"""By table: the columns that name a failing row."""

_KNOWN = ["clip_id", "source_id", "uri", "sha256", "shard", "row", "start_s", "end_s", "fps", "brightness", "motion"]


@dataclass(frozen=True)
class Finding:
    """What one expectation found.

    Attributes:
        table: ``clips`` or ``classes``.
        expectation: What must hold, for people.
        kind: Its name in Great Expectations.
        column: The column it is about; empty where it is about the table.
        success: Whether it holds.
        rows: Each row for which it does not: the columns that name it and the value that broke it.
        observed: What was found where it is about the table.
    """

    table: str
    expectation: str
    kind: str
    column: str
    success: bool
    rows: list[dict[str, Any]]
    observed: Any = None


@dataclass(frozen=True)
class Outcome:
    """What was found in one table, and Great Expectations' own result, from which Data Docs are made."""

    findings: list[Finding]
    result: ExpectationSuiteValidationResult


def check(clips: pd.DataFrame, classes: pd.DataFrame, params: ValidateParams, split: SplitParams) -> dict[str, Outcome]:
    """Put the expectations on both tables of :mod:`tasks.validation.facts`.

    Returns:
        An outcome for each table, by its name.
    """
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    manifest = context.data_sources.add_pandas("manifest")
    outcomes = {}
    for table, facts, expectations in (
        ("clips", clips, _about_clips(params, split)),
        ("classes", classes, _about_classes(params, split)),
    ):
        asset = manifest.add_dataframe_asset(table)
        batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": facts})
        result = batch.validate(
            gx.ExpectationSuite(table, expectations=expectations),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": _NAMED_BY[table]},
        )
        outcomes[table] = Outcome([_finding(table, one) for one in result.results], result)
    return outcomes


def _about_clips(params: ValidateParams, split: SplitParams) -> list[Expectation]:
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, description="There is at least one clip."),
        *(gxe.ExpectColumnValuesToNotBeNull(column=name, description=f"Every clip has {name}.") for name in _KNOWN),
        gxe.ExpectColumnValuesToBeUnique(column="clip_id", description="A clip is there once."),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["sha256", "start_s", "end_s"], description="A stretch of a file is there once."
        ),
        _is_null("shard_problem", "Every clip's frames are where the manifest says, as they were written."),
        _is_null("half_known", "A clip has both a label and a split, or neither."),
        _is_null("guessed_in", "No pseudo-label is validated or tested on."),
        *_labels(params),
        _one_of("split", SPLITS, f"A split is one of {', '.join(SPLITS)}."),
        _is_null("in_the_future", "No clip was captured in the future."),
        _is_null("shared_with", "No stretch of a file is in two splits."),
        *about_copies(params.near_duplicates),
        *_whole_sources(split),
        _between("duration_s", params.duration_s, "Duration in seconds"),
        _between("short_side_px", params.short_side_px, "Shorter side in pixels"),
        _between("fps", params.fps, "Frames a second"),
        _between("brightness", params.brightness, "Brightness (mean luma)"),
        _between("motion", params.motion, "Motion (mean difference of successive frames)"),
    ]


def _labels(params: ValidateParams) -> list[Expectation]:
    if not params.labels:
        return []
    return [_one_of("label", params.labels, f"A label is one of {', '.join(params.labels)} (validate.labels).")]


def _whole_sources(split: SplitParams) -> list[Expectation]:
    if split.by == "source":
        return [_one_of("splits_of_source", SPLITS, "All clips of a source are in one split (split.by: source).")]
    return []  # by time a source is in every split, and with given splits a person answers for them


def _about_classes(params: ValidateParams, split: SplitParams) -> list[Expectation]:
    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=2, description="There are at least two classes."),
        _at_least("clips", params.min_clips_per_class, "clips (validate.min_clips_per_class)"),
        *_enough_sources(params, split),
        *(_at_least(f"{name}_clips", 1, f"clip in {name}") for name in SPLITS),
        gxe.ExpectColumnValuesToBeBetween(
            column="imbalance",
            max_value=params.max_imbalance,
            description="The largest class has at most "
            f"{params.max_imbalance:g} times as many clips as any other (validate.max_imbalance).",
        ),
    ]


def _enough_sources(params: ValidateParams, split: SplitParams) -> list[Expectation]:
    if split.by == "source":
        return [_at_least("sources", params.min_sources_per_class, "sources (validate.min_sources_per_class)")]
    return []  # one source can fill every split


def _is_null(column: str, description: str) -> Expectation:
    return gxe.ExpectColumnValuesToBeNull(column=column, description=description)


def _one_of(column: str, values: tuple[str, ...], description: str) -> Expectation:
    return gxe.ExpectColumnValuesToBeInSet(column=column, value_set=list(values), description=description)


def _between(column: str, limits: tuple[float, float], what: str) -> Expectation:
    low, high = limits
    description = f"{what} is between {low:g} and {high:g} (validate.{column})."
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=low, max_value=high, description=description)


def _at_least(column: str, least: int, what: str) -> Expectation:
    description = f"Every class has at least {least} {what}."
    return gxe.ExpectColumnValuesToBeBetween(column=column, min_value=least, description=description)


def _finding(table: str, result: Any) -> Finding:
    _demand_that_it_ran(result)
    config, found = result.expectation_config, result.result
    return Finding(
        table=table,
        expectation=str(config.description),
        kind=str(config.type),
        column=str(config.kwargs.get("column", "")),
        success=bool(result.success),
        rows=[_plain(row) for row in found.get("unexpected_index_list") or []],
        observed=found.get("observed_value"),
    )


def _demand_that_it_ran(result: Any) -> None:
    """An expectation that raised counts as failed for Great Expectations; here it is a fault of this module."""
    for problem in (result.exception_info, *result.exception_info.values()):  # one for all, or one for each metric
        if isinstance(problem, dict) and problem.get("raised_exception"):
            raise RuntimeError(f"{result.expectation_config.type}: {problem['exception_message']}")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with Python's own types, as JSON knows them."""
    plain = {name: value.item() if hasattr(value, "item") else value for name, value in row.items()}
    return {name: None if pd.isna(value) else value for name, value in plain.items()}
