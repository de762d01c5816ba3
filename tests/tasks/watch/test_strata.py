import numpy as np
import pandas as pd
import pytest

from tasks.labelling.outputs import Outputs
from tasks.watch.strata import splits_of_sources, stands_for, unseen


def outputs(*clips: tuple[str, str | None]) -> Outputs:
    table = pd.DataFrame(clips, columns=["source_id", "split"])
    return Outputs(table, np.zeros((len(clips), 2), np.float32), np.full((len(clips), 2), 0.5, np.float32), ["a", "b"])


REFERENCE = outputs(("t", "train"), ("v", "val"), ("e", "test"), ("e", "test"), ("both", "test"), ("both", "train"))


def test_a_source_of_which_anything_was_trained_on_is_one_that_was_trained_on():
    assert splits_of_sources(REFERENCE) == {"t": "train", "v": "val", "e": "test", "both": "train"}
    assert splits_of_sources(outputs(("x", "val"), ("x", "test"))) == {"x": "val"}


def test_sources_that_the_dataset_lacks_were_not_trained_on():
    window = outputs(("new", None), ("both", None), ("v", None), ("t", None))
    assert unseen(window, splits_of_sources(REFERENCE)).tolist() == [True, False, True, False]


def clips_of(sources: list[str], asked: list[int] | None = None, chosen: tuple[int, ...] = ()) -> pd.DataFrame:
    places = np.arange(len(sources))
    return pd.DataFrame({"source_id": sources, "asked": asked or 0, "measures": ~np.isin(places, chosen)})


def test_a_labelled_clip_stands_for_its_share_of_its_stratum():
    sources = ["e"] * 10 + ["t"] * 20 + ["new"] * 10
    labelled = [0, 1, 2, 3, 4, 10, 11, 30]
    weight_N = stands_for(clips_of(sources), np.isin(np.arange(40), labelled), {"e": "test", "t": "train"})
    assert weight_N[labelled].tolist() == pytest.approx([2.0] * 5 + [10.0] * 3)
    assert weight_N.sum() == pytest.approx(40)


def test_labels_of_one_stratum_alone_stand_for_it():
    weight_N = stands_for(clips_of(["e"] * 4 + ["t"] * 4), np.arange(8) < 2, {"e": "test"})
    assert weight_N.tolist() == [2.0, 2.0] + [0.0] * 6


def test_clips_that_were_chosen_count_for_themselves_in_later_draws_alone():
    labelled_N = np.arange(10) < 4
    first = clips_of(["t"] * 10, [1] * 4 + [0] * 6, chosen=(2, 3))
    assert stands_for(first, labelled_N, {}).tolist() == [5.0, 5.0] + [0.0] * 8
    then = clips_of(["t"] * 10, [1, 1, 1, 1, 2, 2, 0, 0, 0, 0], chosen=(2, 3))
    weight_N = stands_for(then, np.arange(10) < 6, {})
    # (5, 5, 0, 0) of the first draw and (1, 1, 1, 1, 3, 3) of the second
    assert weight_N.tolist() == [3.0, 3.0, 0.5, 0.5, 1.5, 1.5] + [0.0] * 4


def test_where_all_clips_are_labelled_each_counts_for_itself():
    census = clips_of(["t"] * 3, [1, 1, 1], chosen=(0, 1, 2))
    assert stands_for(census, np.ones(3, bool), {}).tolist() == [1.0] * 3


def test_three_requests_measure_what_is_true():
    """Each asks about 20 clips at random, and about the 20 of the rest that the champion is least sure of."""
    rng, wrong_by_R, wrong_by_pooling_R = np.random.default_rng(0), [], []
    for _ in range(300):
        sure_N = rng.random(300)
        right_N = rng.random(300) < 0.4 + 0.6 * sure_N
        asked_N, chosen_N = np.zeros(300, int), np.zeros(300, bool)
        for number in (1, 2, 3):
            left = rng.permutation(np.flatnonzero(asked_N == 0))
            worth = left[20:][sure_N[left[20:]].argsort()[:20]]
            asked_N[left[:20]] = asked_N[worth] = number
            chosen_N[worth] = True
        clips = pd.DataFrame({"source_id": "t", "asked": asked_N, "measures": ~chosen_N})
        weight_N = stands_for(clips, asked_N > 0, {})
        wrong_by_R.append(np.average(right_N, weights=weight_N) - right_N.mean())
        wrong_by_pooling_R.append(right_N[(asked_N > 0) & ~chosen_N].mean() - right_N.mean())
    error = np.std(wrong_by_R) / np.sqrt(300)
    assert abs(np.mean(wrong_by_R)) < 2.5 * error < 0.01
    assert np.mean(wrong_by_pooling_R) > 0.015
