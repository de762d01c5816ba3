import pytest
import torch
from torch import nn

from models.adapters.method import attach
from models.build import VideoModel, build_model
from models.errors import UserError
from models.loop import fit
from models.objectives.build import near_start
from models.optimise import make_optimizer
from models.parts import HEAD, WHOLE, stage_indices
from models.phases import TunePhase
from models.spec import AdapterParams, FineTuneParams, HeadParams, LoraParams, ModelParams, StagesParams
from tests.support.clips import NoiseLoader

JOB = FineTuneParams(epochs=3, batch_size=4, lr=0.01, warmup_epochs=0.0, early_stopping_patience=0, num_threads=1)


@pytest.fixture
def model() -> VideoModel:
    head = HeadParams(name="linear", dropout=0.0)
    return build_model(ModelParams(family="x3d", flavour="debug", head=head), 3, seed=0)


def phase_of(model: VideoModel, job: FineTuneParams) -> TunePhase:
    loader = NoiseLoader(model.clip_input)
    return TunePhase(model, loader, loader, job, seed=0)


def rates(model: VideoModel, job: FineTuneParams) -> dict[str, float]:
    names = {id(weights): name for name, weights in model.named_parameters()}
    groups = make_optimizer(model, job).param_groups
    return {names[id(weights)]: group["peak_lr"] for group in groups for weights in group["params"]}


def test_the_last_stages_are_those_next_to_the_head(model: VideoModel) -> None:
    last = len(model.backbone.stages) - 1
    indices = stage_indices(model)
    trained = attach(model, JOB.model_copy(update={"method": "stages", "stages": StagesParams(last=2)}), seed=0).trained
    assert trained == {name for name, index in indices.items() if index >= last - 1}
    assert {name for name in trained if not name.startswith("backbone.")} == {
        "head.classifier.weight",
        "head.classifier.bias",
    }


def test_more_stages_than_there_are_is_a_persons_mistake(model: VideoModel) -> None:
    with pytest.raises(UserError, match=r"fine_tune\.stages\.last: 99, but the backbone has \d+ stages \(blocks\.0"):
        attach(model, JOB.model_copy(update={"method": "stages", "stages": StagesParams(last=99)}), seed=0)


def test_normalisation_and_biases_are_few_and_nothing_else(model: VideoModel) -> None:
    trained = attach(model, JOB.model_copy(update={"method": "norm"}), seed=0).trained
    sizes = {name: weights.numel() for name, weights in model.named_parameters() if name.startswith("backbone.")}
    assert 0 < sum(size for name, size in sizes.items() if name in trained) < 0.1 * sum(sizes.values())
    assert all(model.get_parameter(name).ndim == 1 for name in trained if name.startswith("backbone."))


def test_the_rate_decays_from_the_head_to_the_stem(model: VideoModel) -> None:
    job = JOB.model_copy(update={"layer_decay": 0.5, "backbone_lr_scale": 0.2})
    num_stages = len(model.backbone.stages)
    for name, rate in rates(model, job).items():
        index = stage_indices(model)[name]
        wanted = 0.01 if index == num_stages else 0.01 * 0.2 * 0.5 ** (num_stages - index)
        assert rate == pytest.approx(wanted), name


@pytest.mark.parametrize("method", [{"method": "lora", "lora": LoraParams(rank=1)}, {"method": "adapter"}])
def test_what_a_method_adds_learns_at_the_heads_rate(model: VideoModel, method: dict[str, object]) -> None:
    job = JOB.model_copy(update={**method, "layer_decay": 0.5, "backbone_lr_scale": 0.2})
    trained = attach(model, job, seed=0).trained
    assert rates(model, job) == dict.fromkeys(trained, 0.01)


def test_one_stage_more_takes_part_from_the_last_on(model: VideoModel) -> None:
    job = JOB.model_copy(update={"unfreeze": 2})
    num_stages = len(model.backbone.stages)
    phase = phase_of(model, job)
    phase.start()
    indices = stage_indices(model)
    for epoch in range(2 * num_stages + 3):
        phase.set_mode(epoch)
        open_stages = {indices[name] for name, weights in model.named_parameters() if weights.requires_grad}
        assert open_stages == set(range(max(num_stages - 1 - epoch // 2, 0), num_stages + 1))
    phase.start()
    assert all(weights.requires_grad for weights in model.parameters())


@pytest.mark.parametrize(("freeze", "method"), [(True, "full"), (False, "full"), (False, "stages"), (False, "lora")])
def test_running_statistics_move_only_where_the_layer_trains(model: VideoModel, freeze: bool, method: str) -> None:
    job = JOB.model_copy(update={"method": method, "freeze_batch_norm": freeze, "lora": LoraParams(rank=1)})
    trained = attach(model, job, seed=0).trained
    norms = {name: module for name, module in model.named_modules() if isinstance(module, nn.BatchNorm3d)}
    before = {name: norm.running_mean.clone() for name, norm in norms.items()}  # type: ignore[union-attr]
    loader = NoiseLoader(model.clip_input)
    fit(model, loader, loader, job, seed=0)
    moved = {name for name, norm in norms.items() if not torch.equal(norm.running_mean, before[name])}  # type: ignore[arg-type]
    assert moved == {name for name in norms if not freeze and f"{name}.weight" in trained}


def test_a_checkpoint_holds_what_trains(model: VideoModel) -> None:
    job = JOB.model_copy(update={"method": "adapter", "adapter": AdapterParams(width=0.1)})
    trained = attach(model, job, seed=0).trained
    phase = phase_of(model, job)
    assert set(phase.state()) == trained
    optimizer = make_optimizer(phase.module, job)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(trained)


def test_l2_sp_is_half_the_squared_distance_of_what_trains_of_the_backbone(model: VideoModel) -> None:
    attach(model, JOB.model_copy(update={"method": "stages"}), seed=0)
    whole, head = near_start(model, 0.5).on(WHOLE), near_start(model, 0.5).on(HEAD)
    nothing = torch.zeros(1, 3)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.requires_grad:
                weights.add_(2.0)
    held = sum(w.numel() for n, w in model.named_parameters() if w.requires_grad and n.startswith("backbone."))
    assert whole(nothing, None, nothing).item() == pytest.approx(0.5 * 0.5 * 4.0 * held, rel=1e-4)  # type: ignore[arg-type]
    assert head(nothing, None, nothing).item() == 0.0  # type: ignore[arg-type]
