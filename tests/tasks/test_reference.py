from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.build import build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.predict import predict
from models.saved import load_model, save_model
from tasks import reference as module
from tasks.labelling.outputs import read_outputs
from tasks.reference import reference
from tasks.watch.outputs import FACTS, read_watched
from tests.support.dataset import write_dataset
from tests.support.rounds import LABELS, MODEL, params_of


@pytest.fixture
def place(tmp_path):
    write_dataset(tmp_path / "data")
    save_model(tmp_path / "model", build_model(MODEL, len(LABELS), seed=0), MODEL, LABELS)
    return tmp_path


def made(place):
    reference(params_of().base, data=place / "data", model=place / "model", out=place / "out" / "reference.parquet")
    return place / "out" / "reference.parquet"


def test_it_is_what_the_model_sees_and_names_the_model(place):
    found, weights = read_watched(made(place))
    model, card = load_model(place / "model")
    assert weights == card["weights_sha256"]
    assert found.labels == LABELS
    clips = read_manifest(place / "data" / "manifest.parquet").sort_values("clip_id")
    loader = ClipLoader(place / "data", clips, LABELS, model.clip_input, 8)
    np.testing.assert_allclose(found.probability_NK, predict(model, loader), atol=1e-5)
    assert found.embedding_ND.shape == (len(clips), model.backbone.num_features)
    for fact in FACTS:
        np.testing.assert_allclose(found.clips[fact], clips[fact], rtol=1e-5)


def test_clips_that_were_not_trained_on_have_pictures(place):
    clips = read_watched(made(place))[0].clips.set_index("split")
    assert set(clips.index) == {"train", "val", "test"}
    assert clips.loc["train", "picture"].isna().all()
    assert clips.loc["test", "picture"].str.startswith("data:image/jpeg;base64,").all()


def test_labelling_reads_it(place):
    assert len(read_outputs(made(place)).clips) == 40


def test_the_same_inputs_give_the_same_bytes(place):
    first = made(place).read_bytes()
    assert made(place).read_bytes() == first


def chosen(num_train_sources: int, clips_each: int, monkeypatch, most: int = 40) -> pd.DataFrame:
    """What the reference takes of train, with room for ``most`` clips."""
    monkeypatch.setattr(module, "_MOST_TRAINED_ON", most)
    sources = [f"cam{number:02}" for number in range(num_train_sources) for _ in range(clips_each)]
    train = pd.DataFrame({"source_id": sources, "split": "train"})
    clips = pd.concat([train, pd.DataFrame({"source_id": ["held-out"], "split": ["test"]})], ignore_index=True)
    clips = clips.assign(label="left", label_origin=None, clip_id=[f"{number:04}" for number in range(len(clips))])
    found = module._clips(clips, Path("manifest.parquet"), seed=0)
    return found[found["split"] == "train"]


def test_every_source_that_was_trained_on_is_there_as_far_as_there_is_room(monkeypatch):
    spread = chosen(30, 2, monkeypatch)
    assert (len(spread), spread["source_id"].nunique()) == (40, 30)
    assert spread["clip_id"].is_unique
    assert chosen(60, 2, monkeypatch)["source_id"].nunique() == 40
    assert len(chosen(5, 2, monkeypatch)) == 10
    pd.testing.assert_frame_equal(chosen(30, 2, monkeypatch), spread)


def test_pseudo_labels_are_no_reference_and_without_any_there_is_none(place):
    path = place / "data" / "manifest.parquet"
    clips = read_manifest(path)
    clips.loc[clips["split"] != "train", "label_origin"] = "pseudo"
    write_manifest(clips, path)
    with pytest.raises(UserError, match="no labelled clip is in val or test"):
        made(place)
