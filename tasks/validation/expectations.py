"""The rules, as Great Expectations checks them. Importing this module takes seconds, so stages do it late.

Two passes: the suite says which expectations fail, keeping no rows; each failing one is then asked alone which rows
fail it. So a million bad clips never lie in memory once per expectation, and pages show the worst of them.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import great_expectations as gx
import numpy as np
import pandas as pd
from great_expectations.core import ExpectationSuiteValidationResult
from great_expectations.data_context.types.base import ProgressBarsConfig
from great_expectations.datasource.fluent import PandasDatasource
from great_expectations.datasource.fluent.interfaces import Batch
from great_expectations.expectations.expectation import Expectation
from numpy.typing import NDArray

from models.clips.label_sets import is_multi_label
from tasks.params.data import SplitParams, ValidateParams
from tasks.validation.leaks import about_copies
from tasks.validation.rules import about_all_clips, about_classes, about_each_clip

ROWS_KEPT = 100
"""Rows of an expectation that the summary and Data Docs show, the worst first."""

_NAMED_BY = {"clips": ["clip_id", "uri"], "classes": ["label"]}
"""By table: the columns that name a failing row."""

_NO_ROWS = {"result_format": "SUMMARY", "partial_unexpected_count": 1}
_ALL_ROWS = {"result_format": "COMPLETE", "return_unexpected_index_query": False}


@dataclass(frozen=True)
class Finding:
    """What one expectation found.

    Attributes:
        table: ``clips`` or ``classes``.
        expectation: What must hold, for people.
        kind: Its name in Great Expectations.
        column: The column it is about; empty where it is about the table.
        success: Whether it holds.
        count: Rows for which it does not.
        rows: The worst of them, at most ``ROWS_KEPT``: the columns that name a row and the value that broke it.
        observed: What was found where it is about the table.
    """

    table: str
    expectation: str
    kind: str
    column: str
    success: bool
    count: int
    rows: list[dict[str, Any]]
    observed: Any = None


@dataclass(frozen=True)
class Outcome:
    """What was found in one table.

    Attributes:
        findings: One an expectation.
        failing: For each finding the places in the table of all rows that break it, ascending.
        result: Great Expectations' own result, from which Data Docs are made.
    """

    findings: list[Finding]
    failing: list[NDArray[np.int64]]
    result: ExpectationSuiteValidationResult


def check(
    clips: pd.DataFrame,
    classes: pd.DataFrame,
    params: ValidateParams,
    split: SplitParams,
    passed_N: NDArray[np.bool_] | None = None,
) -> dict[str, Outcome]:
    """Put the rules on both tables of :mod:`tasks.validation.facts`.

    Args:
        clips: One row a clip.
        classes: One row a class.
        params: The limits.
        split: How the splits were made.
        passed_N: Clips that fulfil everything that is asked of a clip by itself, as is known already: they are not
            asked again, and the outcome is what it would be if they were.

    Returns:
        An outcome for each table, by its name.
    """
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    manifest = context.data_sources.add_pandas("manifest")
    nobody_N = np.zeros(len(clips), bool)
    of_each = about_each_clip(params, multi_label=is_multi_label(clips))
    each = _answers(manifest, "clips", clips, of_each, nobody_N if passed_N is None else passed_N)
    of_all = [*about_all_clips(split), *about_copies(params.near_duplicates)]
    together = _answers(manifest, "clips", clips, of_all, nobody_N)
    of_classes = _answers(manifest, "classes", classes, about_classes(params, split), np.zeros(len(classes), bool))
    return {"clips": _outcome("clips", [*together, *each]), "classes": _outcome("classes", of_classes)}


@dataclass(frozen=True)
class _Answer:
    """Great Expectations' result of one expectation, the rows that fail it, and the worst of these."""

    result: Any
    failing: NDArray[np.int64]
    worst: list[dict[str, Any]]


def _answers(
    manifest: PandasDatasource,
    table: str,
    facts: pd.DataFrame,
    expectations: Sequence[Expectation],
    passed_N: NDArray[np.bool_],
) -> list[_Answer]:
    columns = list(dict.fromkeys(name for expectation in expectations for name in _columns(expectation.configuration)))
    facts = facts.reset_index(drop=True)
    asset = manifest.add_dataframe_asset(f"{table}-{expectations[0].expectation_type}")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": facts.loc[~passed_N, columns]})
    results = batch.validate(
        gx.ExpectationSuite(table, expectations=list(expectations)), result_format=_NO_ROWS
    ).results
    answers = []
    for result in results:
        _demand_that_it_ran(result)
        failing = _failing(batch, result)
        worst = _worst(facts, failing, result.expectation_config, _NAMED_BY[table])
        _describe_all_rows(result, facts, passed_N)
        _show(result, worst, _NAMED_BY[table])
        answers.append(_Answer(result, failing, worst))
    return answers


def _failing(batch: Batch, result: Any) -> NDArray[np.int64]:
    if result.success or "unexpected_count" not in result.result:
        return np.empty(0, np.int64)
    again = batch.validate(result.expectation_config.to_domain_obj(), result_format=_ALL_ROWS)
    return np.sort(np.array(again.result["unexpected_index_list"], np.int64))


def _worst(facts: pd.DataFrame, failing: NDArray[np.int64], config: Any, named_by: list[str]) -> list[dict[str, Any]]:
    """Rows as they are named: furthest from the limits first, otherwise in the table's order."""
    columns = _columns(config)
    low, high = config.kwargs.get("min_value"), config.kwargs.get("max_value")
    if len(columns) == 1 and (low is not None or high is not None) and len(failing):
        value_X = facts[columns[0]].to_numpy()[failing].astype(np.float64)
        below_X = 0.0 if low is None else low - value_X
        above_X = 0.0 if high is None else value_X - high
        failing = failing[np.argsort(-np.maximum(below_X, above_X), kind="stable")]
    shown = facts[[*columns, *(name for name in named_by if name not in columns)]].iloc[failing[:ROWS_KEPT]]
    return [_plain(dict(zip(shown.columns, row, strict=True))) for row in shown.itertuples(index=False, name=None)]


def _describe_all_rows(result: Any, facts: pd.DataFrame, passed_N: NDArray[np.bool_]) -> None:
    """Let the counts of ``result``, which looked at the rows that have not passed yet, be those of all rows."""
    found = result.result
    if "unexpected_count" not in found:
        return
    elements, unexpected = len(facts), found["unexpected_count"] or 0
    missing = found.get("missing_count")
    if missing is not None:
        passed = facts.loc[passed_N, _columns(result.expectation_config)]
        found["missing_count"] = missing = missing + int(passed.isna().all(axis=1).sum())
        found["missing_percent"] = _percent(missing, elements)
        found["unexpected_percent_total"] = _percent(unexpected, elements)
        found["unexpected_percent_nonmissing"] = _percent(unexpected, elements - missing)
    found["element_count"], found["unexpected_count"] = elements, unexpected
    found["unexpected_percent"] = _percent(unexpected, elements - (missing or 0))


def _percent(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None


def _show(result: Any, worst: list[dict[str, Any]], named_by: list[str]) -> None:
    """Put the worst rows where Great Expectations' pages look for failing ones."""
    columns, found = _columns(result.expectation_config), result.result
    if "unexpected_count" not in found:
        return
    values = [row[columns[0]] if len(columns) == 1 else tuple(row[name] for name in columns) for row in worst]
    counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], str(pair[0])))
    found["unexpected_index_column_names"] = named_by
    found["unexpected_index_list"] = worst
    found["unexpected_list"] = found["partial_unexpected_list"] = values
    found["partial_unexpected_index_list"] = worst
    found["partial_unexpected_counts"] = [{"value": value, "count": count} for value, count in counts]


def _columns(config: Any) -> list[str]:
    """The columns that an expectation is about; none where it is about the table."""
    return list(config.kwargs.get("column_list") or filter(None, [config.kwargs.get("column")]))


def _outcome(table: str, answers: Sequence[_Answer]) -> Outcome:
    results = [answer.result for answer in answers]
    num_good = sum(bool(result.success) for result in results)
    result = ExpectationSuiteValidationResult(
        success=num_good == len(results),
        results=results,
        suite_name=table,
        statistics={
            "evaluated_expectations": len(results),
            "successful_expectations": num_good,
            "unsuccessful_expectations": len(results) - num_good,
            "success_percent": _percent(num_good, len(results)),
        },
        meta={"great_expectations_version": gx.__version__},
    )
    return Outcome([_finding(table, answer) for answer in answers], [answer.failing for answer in answers], result)


def _finding(table: str, answer: _Answer) -> Finding:
    config, found = answer.result.expectation_config, answer.result.result
    return Finding(
        table=table,
        expectation=str(config.description),
        kind=str(config.type),
        column=str(config.kwargs.get("column", "")),
        success=bool(answer.result.success),
        count=len(answer.failing),
        rows=answer.worst,
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
