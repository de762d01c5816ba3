"""Which file a model starts from, and what a person reads where there is none."""

import re
from pathlib import Path

import pytest
import torch

from models.build import build_model
from models.digest import tensors_digest
from models.errors import UserError
from models.spec import ModelParams
from models.weights import weights_file


def start(weights: str, family: str = "x3d", flavour: str = "xs") -> ModelParams:
    return ModelParams(family=family, flavour=flavour, weights=weights)


def test_none_is_no_file() -> None:
    assert weights_file(start("none")) is None


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        (start("imagenet"), "knows no weights 'imagenet'.* one of: kinetics400, none"),
        (start("kinetics400", flavour="debug"), "no kinetics400 weights of x3d debug; .* xs, s, m, l"),
        (start("kinetics400:/nonexistent.pyth"), "no such file"),
        (start("kinetics400", family="x4d"), "no family 'x4d'"),
        (start("kinetics400", flavour="xxs"), "no flavour 'xxs'"),
    ],
)
def test_a_mistake_is_named(params: ModelParams, sentence: str) -> None:
    with pytest.raises(UserError, match=f"params.yaml: model.*{sentence}"):
        weights_file(params)


def test_a_publishers_file_of_ones_own_is_read_by_its_publishers_names(tmp_path: Path) -> None:
    published = build_model(start("none"), 2, seed=3).backbone.state_dict()
    named = {re.sub(r"^blocks\.5\.", "blocks.5.pool.", name): tensor for name, tensor in published.items()}
    classifier = {"blocks.5.proj.weight": torch.zeros(400, 2048), "blocks.5.proj.bias": torch.zeros(400)}
    torch.save({"model_state": named | classifier}, tmp_path / "X3D_XS.pyth")
    started = build_model(start(f"kinetics400:{tmp_path}/X3D_XS.pyth"), 2, seed=4)
    assert tensors_digest(started.backbone.state_dict()) == tensors_digest(published)


def test_a_key_that_nobody_accounts_for_is_named(tmp_path: Path) -> None:
    torch.save({"model_state": {"blocks.9.weight": torch.zeros(1)}}, tmp_path / "X3D_XS.pyth")
    with pytest.raises(UserError, match=r"does not fit x3d xs; .*Missing key.*"):
        build_model(start(f"kinetics400:{tmp_path}/X3D_XS.pyth"), 2, seed=4)
