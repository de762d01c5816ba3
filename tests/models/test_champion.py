from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.build import build_model
from models.champion import by_our_classes, hand_over, load_champion
from models.errors import UserError
from models.spec import HeadParams, ModelParams
from tests.support.champions import MODEL, write_champion

OLD = ["jump", "run", "walk"]


@pytest.fixture(params=["temporal", "linear"])
def params(request: pytest.FixtureRequest) -> ModelParams:
    return MODEL.model_copy(update={"head": HeadParams(name=request.param, hidden=8)})


def clips(params: ModelParams) -> Tensor:
    clip_input = build_model(params, 2, seed=0).clip_input
    shape = (4, 3, clip_input.num_frames, clip_input.size, clip_input.size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def grown(folder: Path, params: ModelParams, labels: list[str], seed: int = 1) -> tuple[Any, Any]:
    """A champion of the classes ``OLD``, and a model of the classes ``labels`` that starts from it."""
    champion = load_champion(write_champion(folder, OLD, model=params), params)
    model = build_model(params, len(labels), seed=seed).eval()
    hand_over(champion, model, labels)
    return champion, model


@pytest.mark.parametrize(
    "labels", [OLD, ["walk", "jump", "run"], ["bow", "jump", "roll", "run", "walk"], ["run", "walk"], ["bow", "run"]]
)
def test_classes_are_found_by_name_and_say_what_they_said(
    tmp_path: Path, params: ModelParams, labels: list[str]
) -> None:
    champion, model = grown(tmp_path / "c", params, labels)
    with torch.inference_mode():
        before_BC, after_BK = champion.model(clips(params)), model(clips(params))
    shared = [label for label in labels if label in OLD]
    before_BS = before_BC[:, [OLD.index(label) for label in shared]]
    torch.testing.assert_close(after_BK[:, [labels.index(label) for label in shared]], before_BS, rtol=0, atol=1e-6)


def test_what_is_known_is_kept_to_the_bit(tmp_path: Path, params: ModelParams) -> None:
    labels = ["bow", *OLD, "zigzag"]
    champion, model = grown(tmp_path / "c", params, labels)
    before, after = champion.model.state_dict(), model.state_dict()
    for name, tensor in before.items():
        kept = after[name][1:4] if name.startswith("head.classifier.") else after[name]
        assert torch.equal(kept, tensor), name


def test_new_classes_start_small_and_different(tmp_path: Path, params: ModelParams) -> None:
    _, model = grown(tmp_path / "c", params, [*OLD, "x", "y"])
    weight_KF, bias_K = model.head.classifier.weight, model.head.classifier.bias
    assert weight_KF[3:].abs().max() < 0.5 * weight_KF[:3].abs().max()
    assert not torch.equal(weight_KF[3], weight_KF[4])
    assert bias_K[3:].abs().max() == 0


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, params: ModelParams) -> None:
    states = [grown(tmp_path / "c", params, [*OLD, "x"], seed)[1].state_dict() for seed in (1, 1, 2)]
    name = "head.classifier.weight"
    assert torch.equal(states[0][name], states[1][name])
    assert not torch.equal(states[0][name], states[2][name])


def test_rows_without_a_template_are_zero() -> None:
    rows = {"head.classifier.bias": torch.tensor([1.0, 2.0]), "head.norm.bias": torch.ones(3)}
    moved = by_our_classes(rows, ["a", "b"], ["b", "new"])
    assert moved["head.classifier.bias"].tolist() == [2.0, 0.0]
    assert moved["head.norm.bias"] is rows["head.norm.bias"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"family": "c3d"}, r"model\.family: c3d, .* has efficientnet_lite0"),
        ({"flavour": "8x112"}, r"model\.flavour: 8x112, .* has debug"),
        ({"head": HeadParams(name="linear", hidden=8)}, r"model\.head\.name: linear, .* has temporal"),
        ({"head": HeadParams(name="temporal", hidden=16)}, r"model\.head\.hidden: 16, .* has 8"),
    ],
)
def test_another_network_is_refused_with_the_remedy(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    folder = write_champion(tmp_path / "c", OLD)
    with pytest.raises(UserError, match=rf"params.yaml: {says}; .*continual\.start to scratch"):
        load_champion(folder, MODEL.model_copy(update=change))


def test_dropout_may_differ(tmp_path: Path) -> None:
    folder = write_champion(tmp_path / "c", OLD)
    load_champion(folder, MODEL.model_copy(update={"head": MODEL.head.model_copy(update={"dropout": 0.5})}))


def test_it_knows_its_clips(tmp_path: Path) -> None:
    assert load_champion(write_champion(tmp_path / "c", OLD, ["b", "a"]), MODEL).clip_ids == {"a", "b"}
    (tmp_path / "c" / "clips.txt").unlink()
    with pytest.raises(UserError, match=r"clips\.txt: this file is missing"):
        load_champion(tmp_path / "c", MODEL)
