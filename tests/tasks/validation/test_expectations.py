"""Many bad clips: the worst are shown, all are counted and written."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.rows import described
from tasks.params.data import SplitParams, ValidateParams
from tasks.validation.docs import write_docs
from tasks.validation.expectations import ROWS_KEPT, Outcome, check
from tasks.validation.facts import class_facts, clip_facts
from tasks.validation.failed import write_failed_clips

NUM_CLIPS = 1_000


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    made = described(NUM_CLIPS).assign(split="train", shard="missing", row=0)
    made["clip_id"] = [f"{number:04}" for number in range(NUM_CLIPS)]
    made["brightness"] = np.linspace(0.0, 7.0, NUM_CLIPS)
    made["motion"] = 1.0
    return clip_facts(made, Path("nowhere"), SplitParams(), datetime(2027, 1, 1, tzinfo=UTC))


@pytest.fixture(scope="module")
def outcomes(clips: pd.DataFrame) -> dict[str, Outcome]:
    return check(clips, class_facts(clips, ValidateParams()), ValidateParams(), SplitParams())


def test_the_worst_are_kept_and_all_are_counted(outcomes: dict[str, Outcome]) -> None:
    findings = {finding.kind: finding for finding in outcomes["clips"].findings}
    dark = findings["expect_picture_not_to_be_black_or_white"]
    assert dark.count == NUM_CLIPS
    assert [row["clip_id"] for row in dark.rows] == [f"{number:04}" for number in range(ROWS_KEPT)]


def test_every_rule_about_video_has_a_name_of_its_own(outcomes: dict[str, Outcome]) -> None:
    kinds = {finding.column: finding.kind for finding in outcomes["clips"].findings}
    assert kinds["motion"] == "expect_motion_to_be_present"
    assert kinds["splits_of_source"] == "expect_sources_to_be_in_one_split"
    assert kinds["shard_problem"] == "expect_frames_to_be_stored"


def test_pages_are_short_and_the_table_is_whole(
    clips: pd.DataFrame, outcomes: dict[str, Outcome], tmp_path: Path
) -> None:
    page = write_docs(outcomes, tmp_path).read_text()
    assert f"{NUM_CLIPS} clips, the worst {ROWS_KEPT} of them below" in page
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 400_000
    write_failed_clips(clips, outcomes["clips"], tmp_path / "failed.parquet")
    failed = pd.read_parquet(tmp_path / "failed.parquet")
    assert failed.groupby("column").size().to_dict() == {"brightness": NUM_CLIPS, "shard_problem": NUM_CLIPS}
    assert failed["clip_id"].nunique() == NUM_CLIPS
