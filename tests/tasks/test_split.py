from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clips.manifest import SPLITS
from models.errors import UserError
from tasks.params.data import SplitParams
from tasks.split import assign_splits

BY_SOURCE, BY_TIME, GIVEN = (SplitParams(by=by, val=0.2, test=0.25) for by in ("source", "time", "given"))


def table(rows: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Clips of (source, label), one second after the other."""
    clips = pd.DataFrame(rows, columns=["source_id", "label"])
    clips["clip_id"] = [f"{number:05}" for number in range(len(clips))]
    clips["uri"] = clips["clip_id"] + ".mp4"
    clips["sha256"] = clips["source_id"]
    clips["start_s"] = np.arange(len(clips), dtype=float)
    clips["captured_at"] = pd.NaT
    clips["split"] = None
    return clips


def cameras(num_sources: int, labels: str = "abc", clips_each: int = 4, first: int = 0) -> pd.DataFrame:
    sources = range(first, first + num_sources)
    return table((f"cam{source}", label) for source in sources for label in labels for _ in range(clips_each))


def shares(clips: pd.DataFrame, splits: pd.Series) -> pd.DataFrame:
    return pd.crosstab(clips["label"], splits, normalize="index")[list(SPLITS)]


class TestBySource:
    def test_no_source_lies_in_two_splits_and_every_label_in_all(self) -> None:
        clips = cameras(9)
        splits = assign_splits(clips, BY_SOURCE, seed=0)
        assert (splits.groupby(clips["source_id"]).nunique() == 1).all()
        assert (pd.crosstab(clips["label"], splits) > 0).all(axis=None)
        assert splits.groupby(clips["source_id"]).first().value_counts().to_dict() == {"train": 5, "val": 2, "test": 2}

    def test_shares_approach_the_targets_for_each_label(self) -> None:
        rng = np.random.default_rng(0)
        clips = table((f"person{rng.integers(60)}", "abcd"[rng.integers(4)]) for _ in range(2000))
        error = shares(clips, assign_splits(clips, BY_SOURCE, seed=0)) - [0.55, 0.2, 0.25]
        assert error.abs().max(axis=None) < 0.02

    def test_files_as_sources(self) -> None:
        clips = table((f"{label}/{number}.mp4", label) for label in "ab" for number in range(20))
        assert np.allclose(shares(clips, assign_splits(clips, BY_SOURCE, seed=0)), [0.55, 0.2, 0.25])

    def test_the_order_of_rows_is_nothing_and_the_seed_breaks_ties(self) -> None:
        clips = cameras(12)
        splits = assign_splits(clips, BY_SOURCE, seed=0)
        shuffled = clips.sample(frac=1.0, random_state=1)
        assert assign_splits(shuffled, BY_SOURCE, seed=0).sort_index().equals(splits)
        assert any(not assign_splits(clips, BY_SOURCE, seed=seed).equals(splits) for seed in (1, 2, 3))

    def test_rare_labels_reach_every_split(self) -> None:
        common = [(f"cam{source}", "a") for source in range(30) for _ in range(20)]
        rare = [("cam3", "rare"), ("cam4", "rare"), ("cam5", "rare")]
        clips = table(common + rare)
        splits = assign_splits(clips, BY_SOURCE, seed=0)
        assert sorted(splits[clips["label"] == "rare"]) == ["test", "train", "val"]

    @settings(max_examples=25, deadline=None)
    @given(first=st.integers(3, 12), added=st.integers(1, 12), seed=st.integers(0, 5))
    def test_a_source_never_changes_its_split(self, first: int, added: int, seed: int) -> None:
        before = cameras(first)
        kept = assign_splits(before, BY_SOURCE, seed=seed).groupby(before["source_id"]).first()
        after = cameras(first + added)
        after["split"] = after["source_id"].map(kept)
        splits = assign_splits(after, BY_SOURCE, seed=seed).groupby(after["source_id"]).first()
        assert splits[kept.index].equals(kept)
        assert set(splits) == set(SPLITS)

    def test_new_sources_bring_the_shares_back(self) -> None:
        before = cameras(3)
        before["split"] = assign_splits(before, BY_SOURCE, seed=0)
        after = pd.concat([before, cameras(37, first=3)], ignore_index=True)
        after["clip_id"] = [f"{number:05}" for number in range(len(after))]
        assert np.allclose(shares(after, assign_splits(after, BY_SOURCE, seed=0)), [0.55, 0.2, 0.25], atol=0.03)

    def test_a_class_with_too_few_sources(self) -> None:
        clips = pd.concat([cameras(5, "ab"), table([("cam0", "lonely")] * 9)], ignore_index=True)
        with pytest.raises(UserError, match=r"class 'lonely' has 1 source, and .* split.by: time"):
            assign_splits(clips, BY_SOURCE, seed=0)

    def test_a_class_whose_sources_are_all_taken(self) -> None:
        clips = pd.concat([cameras(9, "ab"), table((f"cam{n}", "new") for n in (0, 1, 2))], ignore_index=True)
        clips["split"] = clips["source_id"].map(
            {f"cam{n}": "train" if n < 5 else "val" if n < 7 else "test" for n in range(9)}
        )
        with pytest.raises(UserError, match=r"class 'new' has no clip in val .*new sources"):
            assign_splits(clips, BY_SOURCE, seed=0)


class TestByTime:
    def test_the_latest_clips_of_each_source_and_label_are_tested_on(self) -> None:
        clips = cameras(2, clips_each=20)
        splits = assign_splits(clips, BY_TIME, seed=0)
        for _, group in clips.groupby(["source_id", "label"]):
            in_order = splits[group.sort_values("start_s").index].tolist()
            assert in_order == ["train"] * 11 + ["val"] * 4 + ["test"] * 5

    def test_the_time_of_capture_comes_before_the_place_in_the_file(self) -> None:
        clips = table([("cam", label) for label in "ab" for _ in range(3)])
        clips["captured_at"] = pd.to_datetime(["2026-01-03", "2026-01-02", "2026-01-01"] * 2, utc=True)
        assert assign_splits(clips, BY_TIME, seed=0).tolist() == ["test", "val", "train"] * 2

    @settings(max_examples=25, deadline=None)
    @given(first=st.integers(3, 30), added=st.integers(1, 30))
    def test_a_clip_never_changes_its_split_and_shares_hold(self, first: int, added: int) -> None:
        clips = cameras(1, "ab", clips_each=first + added)
        old = clips.groupby("label").cumcount() < first
        clips.loc[old, "split"] = assign_splits(clips[old], BY_TIME, seed=0)
        splits = assign_splits(clips, BY_TIME, seed=0)
        assert splits[old].equals(clips["split"][old])
        ideal = (first + added) * np.array([0.55, 0.2, 0.25])
        counts = pd.crosstab(clips["label"], splits)[list(SPLITS)]
        assert (counts > 0).all(axis=None)
        assert (counts - ideal).abs().max(axis=None) <= 2.0

    def test_a_class_with_too_few_clips(self) -> None:
        clips = pd.concat([cameras(2, "ab"), table([("cam0", "short")] * 2)], ignore_index=True)
        with pytest.raises(UserError, match=r"class 'short' has no clip in val .*three from one source"):
            assign_splits(clips, BY_TIME, seed=0)

    def test_files_whose_order_is_unknown(self) -> None:
        clips = cameras(2, "ab")
        clips["sha256"] = clips["clip_id"]
        with pytest.raises(UserError, match=r"source 'cam0' has several files .* captured_at"):
            assign_splits(clips, BY_TIME, seed=0)


class TestGiven:
    def test_the_table_decides(self) -> None:
        clips = table([("cam", label) for label in "ab" for _ in range(3)])
        clips["split"] = ["val", "train", "test"] * 2
        assert assign_splits(clips, GIVEN, seed=0).tolist() == clips["split"].tolist()

    def test_a_clip_without(self) -> None:
        clips = table([("cam", label) for label in "ab" for _ in range(3)])
        clips["split"] = ["val", "train", "test", "val", None, "test"]
        with pytest.raises(UserError, match=r"00004.mp4 \(class b\) has no split"):
            assign_splits(clips, GIVEN, seed=0)

    def test_a_class_that_misses_a_split(self) -> None:
        clips = table([("cam", label) for label in "ab" for _ in range(3)])
        clips["split"] = ["val", "train", "test", "val", "train", "train"]
        with pytest.raises(UserError, match=r"class 'b' has no clip in test .*correct the table"):
            assign_splits(clips, GIVEN, seed=0)


@pytest.mark.parametrize("params", [BY_SOURCE, BY_TIME, GIVEN])
def test_one_class(params: SplitParams) -> None:
    with pytest.raises(UserError, match=r"there is one class \(a\).* add clips of another class"):
        assign_splits(cameras(9, "a"), params, seed=0)
