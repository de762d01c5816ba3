from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.adapters.delta import base_digest, load_delta, save_delta
from models.adapters.method import attach
from models.build import VideoModel, build_model
from models.errors import UserError
from models.loop import fit
from models.spec import AdapterParams, FineTuneParams, HeadParams, LoraParams, ModelParams
from tests.support.clips import NoiseLoader

PARAMS = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="linear"))
JOB = FineTuneParams(epochs=2, batch_size=4, lr=0.01, warmup_epochs=0.0, early_stopping_patience=0, num_threads=1)
METHODS = {
    "head": JOB.model_copy(update={"method": "head"}),
    "norm": JOB.model_copy(update={"method": "norm", "freeze_batch_norm": False}),
    "lora": JOB.model_copy(update={"method": "lora", "lora": LoraParams(rank=1)}),
    "adapter": JOB.model_copy(update={"method": "adapter", "adapter": AdapterParams(width=0.25)}),
}


def built(seed: int = 0) -> VideoModel:
    return build_model(PARAMS, 3, seed=seed)


def clips(model: VideoModel) -> Tensor:
    side, num_frames = model.clip_input.size, model.clip_input.num_frames
    return torch.randn(2, 3, num_frames, side, side, generator=torch.Generator().manual_seed(1))


def trained(path: Path, job: FineTuneParams) -> VideoModel:
    model = built()
    base = base_digest(model)
    attached = attach(model, job, seed=5)
    loader = NoiseLoader(model.clip_input)
    fit(model, loader, loader, job, seed=0)
    save_delta(path, attached, job, base)
    attached.merge()
    return model.eval()


@pytest.mark.parametrize("method", METHODS)
def test_what_was_trained_and_what_it_started_from_are_the_model(method: str, tmp_path: Path) -> None:
    model = trained(tmp_path / "delta.safetensors", METHODS[method])
    other = built()
    load_delta(tmp_path / "delta.safetensors", other).merge()
    assert torch.equal(other.eval()(clips(model)), model(clips(model)))
    assert [*other.state_dict()] == [*model.state_dict()]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    trained(tmp_path / "delta.safetensors", METHODS["lora"])
    with pytest.raises(UserError, match=r"delta\.safetensors: it belongs to other weights; build the model from those"):
        load_delta(tmp_path / "delta.safetensors", built(seed=1))


def test_what_is_no_such_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.safetensors").write_bytes(b"nothing")
    for name in ("broken.safetensors", "missing.safetensors"):
        with pytest.raises(UserError, match=rf"{name}: this is not what a job trained"):
            load_delta(tmp_path / name, built())
