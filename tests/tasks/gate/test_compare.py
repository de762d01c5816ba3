import numpy as np
import pandas as pd
import pytest

from tasks.gate.compare import slices, worlds
from tasks.params.quality import JudgeParams

PARAMS = JudgeParams(bootstrap=200, class_floors={"wave": 0.9}, group_floors={"yard": 0.7}, floor_clips=8)
SOURCES = [f"cam-{number}" for number in range(12)]


@pytest.fixture(scope="module")
def clips():
    """Twelve sources of eight clips, half of each class; the last four came since."""
    return pd.DataFrame([
        {"source_id": source, "group": "yard" if number < 4 else source, "world": "new" if number >= 8 else "old",
         "label": "bow" if at % 2 else "wave"}
        for number, source in enumerate(SOURCES)
        for at in range(8)
    ])  # fmt: skip


def right(clips, wrong):
    return ~np.asarray(wrong(clips), dtype=bool)


def test_worlds_are_compared_apart_and_together(clips):
    ours_N = right(clips, lambda _: np.zeros(len(clips)))
    theirs_N = right(clips, lambda each: (each["world"] == "new") & (each["label"] == "bow"))
    found = worlds(clips, ours_N, theirs_N, PARAMS, seed=0)
    assert {name: one.difference for name, one in found.items()} == {
        "new": 0.5,
        "old": 0.0,
        "all": round(1 / 6, 6),
    }
    new = found["new"]
    assert (new.num_clips, new.num_sources, new.accuracy, new.champion_accuracy) == (32, 4, 1.0, 0.5)
    assert new.low > 0
    assert set(worlds(clips[:64], ours_N[:64], theirs_N[:64], PARAMS, seed=0)) == {"old", "all"}


def test_slices_have_both_accuracies_and_their_floors(clips):
    ours_N = right(clips, lambda each: (each["group"] == "yard") & (each["label"] == "bow"))
    theirs_N = right(clips, lambda _: np.zeros(len(clips)))
    found = {(one.kind, one.name): one for one in slices(clips, ours_N, theirs_N, PARAMS, seed=0)}
    yard, wave, bow = found["group", "yard"], found["class", "wave"], found["class", "bow"]
    assert (yard.accuracy, yard.num_clips, yard.num_sources, yard.floor) == (0.5, 32, 4, 0.7)
    assert (yard.comparison.champion_accuracy, yard.comparison.difference) == (1.0, -0.5)
    assert yard.is_lowered
    assert (wave.floor, bow.floor, found["group", "cam-11"].floor) == (0.9, 0.5, 0.5)
    assert len(found) == 1 + 8 + 2


def test_a_group_of_one_source_is_about_more_clips_of_that_source(clips):
    ours_N = right(clips, lambda each: (each["source_id"] == "cam-11") & (each["label"] == "bow"))
    parts = slices(clips, ours_N, right(clips, lambda _: np.zeros(len(clips))), PARAMS, seed=0)
    (alone,) = (one for one in parts if one.name == "cam-11")
    assert (alone.num_sources, alone.comparison.num_sources) == (1, 1)
    assert -1 < alone.comparison.low < alone.comparison.difference == -0.5 < alone.comparison.high < 0.1


def test_few_clips_have_no_floor_and_without_a_champion_there_is_no_comparison(clips):
    ours_N = np.full(len(clips), True)
    params = PARAMS.model_copy(update={"floor_clips": 9})
    found = {one.name: one for one in slices(clips, ours_N, None, params, seed=0)}
    assert found["cam-11"].floor is None
    assert found["yard"].floor == 0.7
    assert all(one.comparison is None and one.accuracy == 1.0 for one in found.values())
