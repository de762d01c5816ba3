"""What every backbone keeps to with every way of fine-tuning. A new family is tested by having a folder."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from models.adapters.lora import has_lora
from models.adapters.method import attach
from models.adapters.sites import BLOCKS
from models.backbones.family import family_names, load_family
from models.build import VideoModel, build_model
from models.digest import tensors_digest
from models.errors import UserError
from models.exports.formats import write_programs
from models.exports.program import Answering, noise
from models.loop import Epoch, fit
from models.parts import is_added
from models.saved import load_model, save_model
from models.spec import FineTuneParams, HeadParams, LoraParams, ModelParams
from tests.support.clips import NoiseLoader
from tests.support.methods import METHODS

LABELS = ["a", "b", "c"]
FAMILIES = [name for name in family_names() if load_family(name).is_installed]
JOB = {
    "epochs": 4, "head_epochs": 0, "batch_size": 6, "lr": 0.01, "backbone_lr_scale": 0.3, "label_smoothing": 0.0,
    "warmup_epochs": 0.0, "early_stopping_patience": 0, "num_threads": 1,
}  # fmt: skip


class KilledError(Exception):
    pass


@pytest.fixture(
    params=[(family, name) for family in FAMILIES for name in METHODS if name != "aim" or family in BLOCKS],
    ids="-".join,
)
def pair(request: pytest.FixtureRequest) -> tuple[str, str]:
    family, name = request.param
    return family, name


@pytest.fixture
def params(pair: tuple[str, str]) -> ModelParams:
    return params_of(pair[0])


@pytest.fixture
def model(params: ModelParams) -> VideoModel:
    """Away from zeros, through which nothing learns but themselves."""
    model = build_model(params, len(LABELS), seed=0).eval()
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(0.05 * torch.randn(weights.shape, generator=generator))
    return model


@pytest.fixture
def job(pair: tuple[str, str]) -> FineTuneParams:
    return METHODS[pair[1]].model_copy(update=JOB)


def params_of(family: str) -> ModelParams:
    return ModelParams(family=family, flavour="debug", head=HeadParams(name="linear", dropout=0.0))


def clips(model: VideoModel) -> Tensor:
    clip_input = model.clip_input
    shape = (2, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def fitted(model: VideoModel, job: FineTuneParams, **options: object) -> list[Epoch]:
    """Train and validate on the same few clips."""
    loader = NoiseLoader(model.clip_input, 6, 6, noise=0.0)
    return fit(model, loader, loader, job, seed=0, **options)  # type: ignore[arg-type]


def loss_of(model: VideoModel) -> float:
    (batch,) = NoiseLoader(model.clip_input, 6, 6, noise=0.0).epoch(0)
    with torch.inference_mode():
        return float(F.cross_entropy(model.eval()(batch.clip_BCTHW), batch.label_B))


def test_what_is_added_says_nothing_yet_and_leaves_the_names_as_they_are(
    model: VideoModel, job: FineTuneParams
) -> None:
    random_state, before, state = torch.get_rng_state(), model(clips(model)), copy.deepcopy(model.state_dict())
    attached = attach(model, job, seed=0)
    assert torch.equal(model(clips(model)), before)
    assert torch.equal(copy.deepcopy(model)(clips(model)), before)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in state.items())
    assert all(is_added(name) for name in set(after) - set(state))
    assert {name for name, weights in model.named_parameters() if weights.requires_grad} == attached.trained
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_job_trains_what_it_says_and_nothing_else(
    model: VideoModel, params: ModelParams, job: FineTuneParams, tmp_path: Path
) -> None:
    attached = attach(model, job, seed=0)
    before, loss = copy.deepcopy(model.state_dict()), loss_of(model)
    fitted(model, job)
    assert loss_of(model) < loss
    after = model.state_dict()
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed <= attached.trained
    assert len(changed) > 0.9 * len(attached.trained)  # some weights see nothing but zeros of a tiny network

    said = model.eval()(clips(model))
    attached.merge()
    assert not has_lora(model.backbone)
    assert (model(clips(model)) - said).abs().max() < 1e-5
    save_model(tmp_path / "model", model, params, LABELS)
    loaded, card = load_model(tmp_path / "model")
    assert tensors_digest(loaded.state_dict()) == tensors_digest(model.state_dict())
    assert torch.equal(loaded(clips(model)), model(clips(model)))
    assert card["trained"]["method"] == job.method
    assert card["trained"]["num_trained"] == sum(before[name].numel() for name in attached.trained)


def test_killed_and_resumed_a_job_ends_with_the_same_bytes(
    params: ModelParams, model: VideoModel, job: FineTuneParams, tmp_path: Path
) -> None:
    def kill(_: Epoch) -> None:
        raise KilledError

    def ready() -> VideoModel:
        fresh = build_model(params, len(LABELS), seed=0)
        attach(fresh, job, seed=0)
        return fresh

    job = job.model_copy(update={"epochs": 2, "unfreeze": 1, "head_epochs": 1, "lora": LoraParams(rank=1, dropout=0.2)})
    straight, killed, resumed = ready(), ready(), ready()
    fitted(straight, job)
    with pytest.raises(KilledError):
        fitted(killed, job, checkpoint=tmp_path, on_epoch=kill)
    fitted(resumed, job, checkpoint=tmp_path)
    assert tensors_digest(resumed.state_dict()) == tensors_digest(straight.state_dict())


def test_a_model_with_adapters_is_exported(pair: tuple[str, str], model: VideoModel, tmp_path: Path) -> None:
    if METHODS[pair[1]].method != "adapter":
        return  # any other method leaves a model as it was built
    attach(model, METHODS[pair[1]], seed=0)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if is_added(name):
                weights.add_(0.1 * torch.randn(weights.shape, generator=torch.Generator().manual_seed(3)))
    made, failed = write_programs(model, ["pt2"], list, tmp_path)
    assert failed == {}
    clip_BCTHW = noise(model.clip_input, 3)
    with torch.inference_mode():
        expected = Answering(model.eval())(clip_BCTHW)
        torch.testing.assert_close(made["pt2"](clip_BCTHW), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family not in BLOCKS])
def test_where_there_are_no_blocks_there_is_a_remedy(family: str) -> None:
    model = build_model(params_of(family), len(LABELS), seed=0)
    with pytest.raises(UserError, match=r"fine_tune\.adapter\.kind: aim is made for transformer blocks.*take st"):
        attach(model, METHODS["aim"], seed=0)
