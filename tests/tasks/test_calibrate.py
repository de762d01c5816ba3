import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.build import VideoModel, build_model
from models.champion import load_champion
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.exports.program import traced
from models.predict import predict
from models.saved import load_model, read_card, save_model
from tasks.calibrate import calibrate
from tasks.statistics.classification import log_loss
from tests.support.champions import MODEL
from tests.support.dataset import write_dataset

LABELS = ["left", "right"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with 60 val clips of three sources."""
    folder = write_dataset(tmp_path_factory.mktemp("dataset") / "data", clips_per_source=12)
    manifest = read_manifest(folder / "manifest.parquet")
    manifest["split"] = manifest["split"].where(manifest["source_id"] == "cam0", "val")
    write_manifest(manifest[manifest["source_id"] != "cam4"], folder / "manifest.parquet")
    return folder


def boasting() -> VideoModel:
    """A model that is very sure of guesses."""
    model = build_model(MODEL, 2, seed=0).eval()
    with torch.no_grad():
        model.head.classifier.weight.mul_(400.0)
    return model


def test_a_model_that_is_too_sure_becomes_less_so_and_says_the_same(data: Path):
    model, clips = boasting(), read_manifest(data / "manifest.parquet")
    val = clips[clips["split"] == "val"]

    def said() -> np.ndarray:
        return predict(model, ClipLoader(data, val, LABELS, model.clip_input, 8))

    before_NK = said()
    calibrate(model, LABELS, data, 8)
    after_NK = said()
    label_N = np.array([LABELS.index(label) for label in val["label"]])
    assert model.temperature > 2
    assert log_loss(after_NK, label_N) < log_loss(before_NK, label_N)
    assert (before_NK.argmax(1) == after_NK.argmax(1)).all()


@pytest.mark.parametrize("few", ["clips", "sources"])
def test_with_too_few_clips_or_sources_it_stays_as_it_is_and_says_so(
    data: Path, tmp_path: Path, few: str, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "shards").symlink_to(data / "shards")
    manifest = read_manifest(data / "manifest.parquet")
    is_val = manifest["split"] == "val"
    if few == "sources":
        manifest.loc[is_val, "source_id"] = "one"
    else:
        manifest = pd.concat([manifest[~is_val], manifest[is_val].groupby("source_id").head(10)])
    write_manifest(manifest, tmp_path / "manifest.parquet")
    model = boasting()
    with caplog.at_level(logging.WARNING):
        calibrate(model, LABELS, tmp_path, 8)
    assert model.temperature == 1.0
    assert "confidence is not calibrated" in caplog.text


def test_the_temperature_lies_in_the_card_and_comes_back_where_answers_are_given(tmp_path: Path):
    model = boasting()
    model.temperature = 3.5
    save_model(tmp_path / "model", model, MODEL, LABELS)
    assert read_card(tmp_path / "model")["temperature"] == 3.5
    loaded, _ = load_model(tmp_path / "model")
    clip_BCTHW = torch.randn(2, 3, *(loaded.clip_input.num_frames, loaded.clip_input.size, loaded.clip_input.size))
    with torch.inference_mode():
        raw_BK = model.head(model.features(clip_BCTHW))
        torch.testing.assert_close(loaded(clip_BCTHW), raw_BK / 3.5)
        logits_BK, _ = traced(loaded).module()(clip_BCTHW)
        torch.testing.assert_close(logits_BK, raw_BK / 3.5, rtol=1e-4, atol=1e-4)


def test_training_goes_on_from_the_scores_that_were_trained(tmp_path: Path):
    model = boasting()
    model.temperature = 3.5
    save_model(tmp_path / "model", model, MODEL, LABELS)
    champion = load_champion(tmp_path / "model", MODEL)
    clip_BCTHW = torch.randn(2, 3, *(model.clip_input.num_frames, model.clip_input.size, model.clip_input.size))
    with torch.inference_mode():
        assert torch.equal(champion.model(clip_BCTHW), model.head(model.features(clip_BCTHW)))


def test_an_uncalibrated_card_is_as_it_was_and_an_impossible_one_is_refused(tmp_path: Path):
    save_model(tmp_path / "model", boasting(), MODEL, LABELS)
    card = tmp_path / "model" / "model.json"
    assert "temperature" not in card.read_text()
    for wrong in ("0", "-1", "NaN", "Infinity", '"hot"'):
        card.write_text(card.read_text().replace('"format": 1', f'"format": 1, "temperature": {wrong}', 1))
        with pytest.raises(UserError, match="not a model card"):
            read_card(tmp_path / "model")
        card.write_text(card.read_text().replace(f', "temperature": {wrong}', ""))
