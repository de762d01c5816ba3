from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from models.clips.augment import Augment
from models.clips.label_sets import (
    NOTHING,
    are_sets_of,
    is_multi_label,
    labels_in,
    one_row_a_label,
    probability_of_sets,
    rarest_label,
    texts_of,
    wanted_of,
    written,
)
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of, read_manifest, write_manifest
from models.clips.sampling import ClipInput
from models.spec import AugmentParams
from tests.support.dataset import write_dataset

INPUT = ClipInput(4, None, 24, (0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = write_dataset(tmp_path_factory.mktemp("labels") / "data")
    clips = read_manifest(data / "manifest.parquet")
    clips["label"] = ["run|walk", "walk", NOTHING, None] * (len(clips) // 4)
    clips.loc[clips["label"].isna(), "split"] = None
    write_manifest(clips.assign(labels=None), data / "manifest.parquet")
    return data


def test_a_set_has_one_text_and_comes_back():
    assert written(["walk", "run", "walk"]) == "run|walk"
    assert labels_in("run|walk") == ("run", "walk")
    assert labels_in(written([])) == ()


def test_what_clips_have_as_text_comes_back():
    has_NK = np.array([[True, True], [False, False], [False, True]])
    texts = texts_of(has_NK, ["walk", "run"])
    assert texts == ["run|walk", NOTHING, "run"]
    assert (wanted_of(pd.DataFrame({"label": texts}), ["walk", "run"]) == has_NK).all()


def test_a_set_is_as_probable_as_each_answer_about_it():
    has_NK = np.array([[True, False], [False, False]])
    assert probability_of_sets(has_NK, np.array([[0.9, 0.2], [0.5, 0.25]])) == pytest.approx([0.72, 0.375])


def test_a_set_is_of_labels_where_each_of_its_own_is():
    texts = pd.Series(["run|walk", "run|wave", NOTHING, None, "walk"], dtype=object)
    assert are_sets_of(texts, ["run", "walk"]).tolist() == [True, False, True, False, True]


def test_the_manifest_says_it_twice_and_tells_nothing_from_unknown(data: Path):
    clips = read_manifest(data / "manifest.parquet")
    assert is_multi_label(clips)
    assert labels_of(clips) == ["run", "walk"]
    by_text = dict(zip(clips["label"], clips["labels"], strict=True))
    assert [list(by_text[text]) for text in ("run|walk", "walk", NOTHING)] == [["run", "walk"], ["walk"], []]
    assert clips.loc[clips["label"].isna(), "labels"].isna().all()
    before = (data / "manifest.parquet").read_bytes()
    write_manifest(clips.drop(columns="labels"), data / "plain.parquet")
    assert not is_multi_label(read_manifest(data / "plain.parquet"))
    write_manifest(clips, data / "again.parquet")
    assert (data / "again.parquet").read_bytes() == before


def test_a_clip_counts_once_for_each_label(data: Path):
    clips = read_manifest(data / "manifest.parquet")
    assert one_row_a_label(clips)["label"].value_counts().to_dict() == {"walk": 20, "run": 10}
    assert one_row_a_label(clips, nothing=True)["label"].value_counts()[NOTHING] == 10
    assert set(rarest_label(clips).dropna()) == {"run", "walk", NOTHING}
    single = pd.DataFrame({"label": ["run|walk", None]})
    assert one_row_a_label(single)["label"].tolist() == ["run|walk"]  # one class of that name


def test_the_loader_gives_a_one_for_each_label(data: Path):
    clips = read_manifest(data / "manifest.parquet")
    loader = ClipLoader(data, clips, ["run", "walk"], INPUT, 8)
    batch = next(loader.epoch(0))
    assert batch.wanted_BK is not None
    assert batch.wanted_BK[:4].tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]
    assert torch.equal(loader.wanted_NK[batch.index_B], batch.wanted_BK)
    assert batch.label_B.tolist() == [-1] * 8


def test_a_clip_is_not_mirrored_where_any_of_its_labels_forbids_it():
    augment = Augment(INPUT, AugmentParams(flip=1.0, no_flip_labels=("run",)), ["run", "walk"])
    wanted_BK = torch.tensor([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    draws = augment.draw(wanted_BK, (24, 24), torch.Generator().manual_seed(0))
    assert draws.flip_B.tolist() == [False, True, True]
