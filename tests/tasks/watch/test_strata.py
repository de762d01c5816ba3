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


def test_a_labelled_clip_stands_for_its_share_of_its_stratum():
    sources = ["e"] * 10 + ["t"] * 20 + ["new"] * 10
    labelled_N = np.zeros(40, bool)
    labelled_N[[0, 1, 2, 3, 4, 10, 11, 30]] = True
    weights = stands_for(
        outputs(*((source, None) for source in sources)).clips, labelled_N, {"e": "test", "t": "train"}
    )
    assert weights.tolist() == pytest.approx([2.0] * 5 + [10.0] * 3)


def test_labels_of_one_stratum_alone_stand_for_it():
    sources = ["e"] * 4 + ["t"] * 4
    labelled_N = np.arange(8) < 2
    weights = stands_for(outputs(*((source, None) for source in sources)).clips, labelled_N, {"e": "test"})
    assert weights.tolist() == [2.0, 2.0]
