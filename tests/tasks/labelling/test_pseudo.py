from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clips.manifest import PERSON, PSEUDO, read_manifest
from models.errors import UserError
from tasks.dataset import store_clips
from tasks.labelling.outputs import Outputs
from tasks.labelling.pseudo import calibrated_threshold, pseudo_label
from tasks.labelling.receive import receive
from tests.support.questions import SEED, SPLIT, outputs_of, write_half_labelled

LABELS = ["left", "right"]


def world(num_sources: int, seed: int, clips_each: int = 20, tell_tale: float = 1.0):
    """Confidence, truth and source of clips whose chance of being right is their confidence, within sources alike."""
    rng = np.random.default_rng(seed)
    source = np.repeat(np.arange(num_sources), clips_each)
    confidence = rng.uniform(0.4, 1.0, len(source))
    chance = np.clip(tell_tale * confidence + rng.normal(0, 0.03, num_sources)[source], 0, 1)
    return confidence, rng.random(len(source)) < chance, source


class TestThreshold:
    def test_it_lies_where_precision_reaches_the_target(self) -> None:
        confidence, correct, source = world(150, seed=0)
        found = calibrated_threshold(confidence, correct, source, target=0.9, resamples=500)
        assert found is not None
        sure = confidence >= found.confidence
        assert found.precision.low >= 0.9
        assert (found.clips, found.sources) == (sure.sum(), 150)
        assert found.precision.estimate == pytest.approx(correct[sure].mean())
        # A uniform confidence above t that tells the truth is right (1 + t) / 2 of the time.
        assert 0.8 < found.confidence < 0.93

    def test_a_higher_target_asks_for_more_confidence(self) -> None:
        confidence, correct, source = world(150, seed=1)
        thresholds = [
            calibrated_threshold(confidence, correct, source, target=t, resamples=500) for t in (0.8, 0.85, 0.9)
        ]
        values = [threshold.confidence for threshold in thresholds]
        assert values == sorted(values)
        assert values[0] < values[-1]

    def test_clips_below_a_dip_do_not_make_up_for_it(self) -> None:
        of_source = [(0.95, True)] * 10 + [(0.75, False)] * 10 + [(0.5, True)] * 80
        confidence, correct = (np.array(column * 100) for column in map(list, zip(*of_source, strict=True)))
        found = calibrated_threshold(confidence, correct, np.repeat(np.arange(100), 100), target=0.85, resamples=200)
        assert correct.mean() > 0.85
        assert found is not None
        assert found.confidence == 0.95

    def test_what_holds_on_new_sources(self) -> None:
        reached = []
        for seed in range(25):
            found = calibrated_threshold(*world(60, seed=seed), target=0.85, resamples=200)
            if found:
                confidence, correct, _ = world(400, seed=1000 + seed)
                reached.append(correct[confidence >= found.confidence].mean() >= 0.85)
        assert len(reached) > 15
        assert np.mean(reached) > 0.88

    def test_few_sources_or_a_poor_model_say_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        confidence, _, source = world(8, seed=0)
        assert calibrated_threshold(confidence, np.ones(160, bool), source, target=0.95, resamples=200) is None
        assert "8 reference sources" in caplog.text
        assert calibrated_threshold(*world(150, seed=0, tell_tale=0.6), target=0.9, resamples=200) is None
        assert calibrated_threshold(np.empty(0), np.empty(0, bool), np.empty(0), target=0.9) is None

    def test_not_a_number(self) -> None:
        with pytest.raises(UserError, match="not a finite number"):
            calibrated_threshold(np.array([0.5, np.nan]), np.ones(2, bool), np.arange(2), target=0.9)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_half_labelled(tmp_path / "data")
    return tmp_path / "data"


def manifest_of(data: Path) -> pd.DataFrame:
    return read_manifest(data / "manifest.parquet").set_index("clip_id")


def sure_outputs(clips: pd.DataFrame, labels: list[str] = LABELS) -> Outputs:
    outputs = outputs_of(clips.reset_index(), labels)
    outputs.probability_NK[:] = 0.01
    outputs.probability_NK[:, -1] = 0.99
    return outputs


def label_by_model(data: Path, threshold: float = 0.9, outputs: Outputs | None = None):
    return pseudo_label(outputs or sure_outputs(manifest_of(data)), data, threshold, SPLIT, seed=SEED)


def test_they_are_marked_and_only_trained_on(data: Path) -> None:
    before = manifest_of(data)
    found = label_by_model(data)
    after = manifest_of(data)
    pseudo = after["label_origin"] == PSEUDO
    assert (found.clips, found.withheld, found.removed) == (20, 0, 0)
    assert pseudo.equals(before["label"].isna())
    assert set(after.loc[pseudo, "label"]) == {"right"}
    assert set(after.loc[pseudo, "split"]) == {"train"}
    assert after[~pseudo].equals(before[~pseudo])


def test_a_higher_threshold_takes_less_and_the_next_model_starts_anew(data: Path) -> None:
    label_by_model(data)
    assert label_by_model(data, threshold=0.995).removed == 20
    assert manifest_of(data)["label_origin"].isna().all()
    outputs = sure_outputs(manifest_of(data))
    outputs.probability_NK[::2] = [0.5, 0.5]
    assert label_by_model(data, outputs=outputs).clips == 10


def test_sources_that_are_validated_or_tested_on_get_none(data: Path) -> None:
    clips = manifest_of(data).reset_index()
    clips.loc[clips["source_id"] == "new0", "source_id"] = clips.loc[clips["split"] == "test", "source_id"].iloc[0]
    store_clips(clips, data, SPLIT, SEED)
    found = label_by_model(data)
    after = manifest_of(data)
    assert (found.clips, found.withheld) == (16, 4)
    assert set(after.loc[after["label_origin"] == PSEUDO, "split"]) == {"train"}
    assert (after.groupby("source_id")["split"].nunique() == 1).all()


def label_by_people(data: Path, clip_ids) -> None:
    answers = data.parent / "labels.csv"
    answers.write_text("clip_id,label\n" + "".join(f"{clip},left\n" for clip in clip_ids))
    receive(answers, data, SPLIT, seed=SEED)


def one_of_each_new_source(data: Path) -> pd.Index:
    clips = manifest_of(data)
    return clips[clips["source_id"].str.startswith("new")].groupby("source_id").head(1).index


def test_a_source_that_had_pseudo_labels_is_never_tested_on_when_people_label_it(data: Path) -> None:
    label_by_model(data)
    asked = one_of_each_new_source(data)
    label_by_people(data, asked)
    after = manifest_of(data)
    assert (after.loc[asked, "label_origin"] == PERSON).all()
    assert set(after.loc[asked, "split"]) == {"train"}
    assert (after["label_origin"] == PSEUDO).sum() == 20 - len(asked)


def test_nor_when_its_pseudo_labels_were_taken_back_before(data: Path) -> None:
    label_by_model(data)
    label_by_model(data, threshold=0.995)
    assert manifest_of(data)["label_origin"].isna().all()
    asked = one_of_each_new_source(data)
    label_by_people(data, asked)
    assert set(manifest_of(data).loc[asked, "split"]) == {"train"}


def test_people_decide_the_split_of_sources_that_had_none(data: Path) -> None:
    asked = one_of_each_new_source(data)
    label_by_people(data, asked)
    assert set(manifest_of(data).loc[asked, "split"]) != {"train"}


def test_a_class_that_is_only_guessed_is_left_out(data: Path) -> None:
    assert label_by_model(data, outputs=sure_outputs(manifest_of(data), ["left", "unseen"])).clips == 0


def test_probabilities_that_are_not_numbers(data: Path) -> None:
    outputs = sure_outputs(manifest_of(data))
    outputs.probability_NK[0, 0] = np.nan
    before = manifest_of(data)
    with pytest.raises(UserError, match="a probability is not a finite number"):
        label_by_model(data, outputs=outputs)
    assert manifest_of(data).equals(before)
