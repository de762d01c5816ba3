from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from models.build import build_model, clip_input_of
from models.clips.manifest import read_manifest, write_manifest
from models.digest import tensors_digest
from models.errors import UserError
from models.pretrain.views import Views
from models.spec import AugmentParams, ModelParams, PretrainParams
from tasks.job import pretraining_key
from tasks.params.whole import BaseParams
from tasks.pretrain import pretrain
from tasks.pretrained import started_from, write_nothing
from tests.support.dataset import write_dataset

BASE = BaseParams(name="test")
VIT = ModelParams(family="vit", flavour="debug")
MASKED = PretrainParams(objective="masked", epochs=1, batch_size=8, warmup_epochs=0.0, decoder_blocks=1, num_threads=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A third of the clips to train on have no label."""
    folder = write_dataset(tmp_path / "data")
    manifest = read_manifest(folder / "manifest.parquet")
    manifest.loc[manifest["source_id"] == "cam1", "label"] = None
    write_manifest(manifest, folder / "manifest.parquet")
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """The clips that views are made of."""
    tables: list[pd.DataFrame] = []
    make = Views.__init__

    def spy(self: Views, data: Path, clips: pd.DataFrame, *rest: object, **options: object) -> None:
        tables.append(clips)
        make(self, data, clips, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Views, "__init__", spy)
    return tables


@pytest.mark.parametrize(("family", "objective"), [("vit", "masked"), ("efficientnet_lite0", "contrastive")])
def test_it_sees_the_clips_to_train_on_and_what_it_writes_starts_the_model(
    family: str, objective: str, data: Path, tmp_path: Path, seen: list[pd.DataFrame]
) -> None:
    model, out = ModelParams(family=family, flavour="debug"), tmp_path / "pretrain" / "weights.safetensors"
    pretrain(
        BASE, model, PretrainParams.model_validate(MASKED.model_dump() | {"objective": objective}), data=data, out=out
    )
    manifest = read_manifest(data / "manifest.parquet")
    assert set(seen[0]["clip_id"]) == set(manifest.loc[manifest["split"] == "train", "clip_id"])
    assert seen[0]["label"].isna().sum() == 8
    started, untrained = build_model(started_from(model, out), 2, seed=0), build_model(model, 2, seed=0)
    assert tensors_digest(started.backbone.state_dict()) == tensors_digest(load_file(out))
    assert tensors_digest(started.backbone.state_dict()) != tensors_digest(untrained.backbone.state_dict())
    assert tensors_digest(started.head.state_dict()) == tensors_digest(untrained.head.state_dict())


def test_views_are_of_the_same_videos_and_differ(data: Path) -> None:
    clips, clip_input = read_manifest(data / "manifest.parquet"), clip_input_of(VIT)

    def epoch(number: int, params: PretrainParams = MASKED) -> list[tuple[Tensor, ...]]:
        return list(Views(data, clips, clip_input, params, 2, seed=0).epoch(number))

    for one, same, other in zip(epoch(0), epoch(0), epoch(1), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
        assert not torch.equal(one[0], other[0])
        assert not torch.equal(one[0], one[1])
    plain = AugmentParams(crop_scale=1.0, flip=0.0, colour=0.0, time_jitter=0.0)
    for first, second in epoch(0, MASKED.model_copy(update={"augment": plain})):
        assert torch.equal(first, second)


def test_with_nothing_pretrained_the_model_starts_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "pretrain" / "weights.safetensors"
    assert started_from(VIT, path) == VIT
    write_nothing(path)
    assert path.stat().st_size < 100
    assert started_from(VIT, path) == VIT
    path.write_bytes(b"torn")
    with pytest.raises(UserError, match="dvc repro pretrain"):
        started_from(VIT, path)


def test_a_checkpoint_belongs_to_its_inputs_alone(data: Path) -> None:
    keys = {
        pretraining_key(VIT, MASKED, data, seed=0),
        pretraining_key(VIT, MASKED, data, seed=1),
        pretraining_key(VIT, MASKED.model_copy(update={"mask_ratio": 0.8}), data, seed=0),
    }
    assert len(keys) == 3
