import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from models.clips.label_sets import texts_of
from tasks.labelling.outputs import Outputs
from tasks.params.watch import WatchParams
from tasks.watch.findings import Mix
from tasks.watch.mix import class_mix

LABELS = ["fall", "walk", "wave"]


def clips(share_K: tuple[float, ...], *, seed: int, sharpness: float = 3.0, labels: list[str] = LABELS) -> Outputs:
    """400 clips of 20 sources whose true classes are so frequent."""
    rng = np.random.default_rng(seed)
    label_N = rng.choice(len(LABELS), 400, p=share_K)
    answer_NK = softmax(sharpness * np.eye(len(LABELS))[label_N] + rng.standard_normal((400, len(LABELS))), axis=1)
    table = pd.DataFrame({"source_id": np.arange(400) % 20, "label": np.array(labels, dtype=object)[label_N]})
    return Outputs(table, np.zeros((400, 2), np.float32), answer_NK.astype(np.float32), LABELS)


def sets(share_K: tuple[float, ...], *, seed: int, sharpness: float = 3.0) -> Outputs:
    """400 clips of 20 sources that show each label so often, whatever else they show."""
    rng = np.random.default_rng(seed)
    has_NK = rng.random((400, len(LABELS))) < share_K
    answer_NK = expit(sharpness * (2.0 * has_NK - 1.0) + rng.standard_normal(has_NK.shape))
    table = pd.DataFrame({"source_id": np.arange(400) % 20, "label": texts_of(has_NK, LABELS)})
    return Outputs(table, np.zeros((400, 2), np.float32), answer_NK.astype(np.float32), LABELS, (0.5, 0.5, 0.5))


EVEN = (0.4, 0.3, 0.3)


def mix(window: Outputs, held_out: Outputs) -> Mix:
    return class_mix(window, held_out, WatchParams(bootstrap=200), 0)


def test_classes_that_are_more_or_less_frequent_are_told_the_most_changed_first():
    found = mix(clips((0.8, 0.15, 0.05), seed=1), clips(EVEN, seed=0))
    assert [one.label for one in found.changed] == ["wave", "fall", "walk"]
    assert found.sentence.startswith("Class mix in the window, estimated: wave 0.1 x as often (0.0 to 0.2), fall 2.")


def test_an_unchanged_mix_is_nothing_to_tell():
    assert mix(clips(EVEN, seed=3), clips(EVEN, seed=2)) == Mix()
    assert Mix().sentence == ""


def test_it_says_why_it_abstains():
    found = mix(clips(EVEN, seed=1, sharpness=0.1), clips(EVEN, seed=0, sharpness=0.1))
    assert found.changed == ()
    assert found.sentence.startswith("How classes are spread in the window cannot be estimated: The champion confuses")


def test_clips_of_the_reference_whose_class_the_champion_does_not_know_are_left_out():
    found = mix(clips(EVEN, seed=1), clips(EVEN, seed=0, labels=["fall", "walk", "unknown"]))
    assert "no clips of class wave" in found.says


def test_labels_of_which_a_clip_may_have_several_are_told_each_by_itself():
    found = mix(sets((0.9, 0.3, 0.1), seed=1), sets((0.45, 0.3, 0.3), seed=0))
    assert [one.label for one in found.changed] == ["wave", "fall"]
    assert found.changed[1].times.estimate == pytest.approx(2.0, abs=0.3)
    assert mix(sets((0.45, 0.3, 0.3), seed=1), sets((0.45, 0.3, 0.3), seed=0)) == Mix()


def test_labels_together_err_as_seldom_as_asked():
    same = (0.4, 0.3, 0.2)
    told = [bool(mix(sets(same, seed=2 * seed), sets(same, seed=2 * seed + 1)).changed) for seed in range(40)]
    assert np.mean(told) <= 0.1


def test_a_label_that_no_clip_of_the_reference_has_is_said_to_be_unknown():
    found = mix(sets((0.9, 0.3, 0.1), seed=1), sets((0.45, 0.3, 0.0), seed=0))
    assert found.changed[0].label == "fall"
    assert found.sentence.endswith("); of wave nothing can be said")
    found = mix(sets((0.9, 0.3, 0.1), seed=1), sets((0.0, 0.0, 0.0), seed=0))
    assert "The reference has no clips of class fall" in found.says
