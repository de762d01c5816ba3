"""From the registry to a file that a backbone can start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.build import build_model
from models.digest import tensors_digest
from models.errors import UserError
from models.saved import load_model, read_card
from models.spec import ModelParams
from tasks import layout
from tasks.fine_tune import fine_tune
from tasks.initial_weights import with_local_weights
from tasks.job import job_key
from tasks.params.training import FinalJobParams
from tasks.params.whole import BaseParams
from tasks.promote import promote
from tasks.register import register
from tests.support.champions import JOB
from tests.support.registries import own_home
from tests.support.rounds import MODEL, params_of, write_round


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 and 2 of ``actions``, of which the first is champion."""
    folder = tmp_path_factory.mktemp("initial")
    with own_home(folder / "home"):
        for seed in (1, 2):
            root = write_round(folder / str(seed), seed=seed)
            register(root, params_of(), commit="c" * 40, dataset_version="d" * 32)
        promote("actions", 1, who="test", why="")
    return folder


@pytest.fixture
def rounds(registered: Path) -> Iterator[Path]:
    """The folder of the two rounds, whose home is the test's."""
    with own_home(registered / "home"):
        yield registered


def start(weights: str) -> ModelParams:
    return MODEL.model_copy(update={"weights": weights})


@pytest.mark.parametrize(("weights", "seed"), [("models:/actions@champion", 1), ("models:/actions/2", 2)])
def test_a_backbone_starts_from_a_registered_model(rounds: Path, weights: str, seed: int) -> None:
    known, _ = load_model(rounds / str(seed) / layout.MODEL)
    started = build_model(with_local_weights(start(weights)), 5, seed=9)
    assert tensors_digest(started.backbone.state_dict()) == tensors_digest(known.backbone.state_dict())


@pytest.mark.parametrize("weights", ["none", "imagenet", "somewhere/weights.safetensors"])
def test_other_weights_ask_no_registry(weights: str) -> None:
    assert with_local_weights(start(weights)) == start(weights)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ("models:/actions", "names no registered model; write models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/actions@nobody", "no version of actions has the alias 'nobody'"),
        ("models:/actions/7", "there is no version 7"),
        ("models:/dances@champion", "dances: there is no such model"),
    ],
)
def test_a_mistake_is_named(rounds: Path, weights: str, sentence: str) -> None:
    assert rounds.exists()
    with pytest.raises(UserError, match=sentence):
        with_local_weights(start(weights))


def test_a_job_is_another_one_where_the_content_of_its_weights_differs(rounds: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.safetensors"

    def key(seed: int) -> str:
        weights.write_bytes((rounds / str(seed) / layout.MODEL / "weights.safetensors").read_bytes())
        return job_key(start(str(weights)), JOB, rounds / "1" / layout.DATA, seed=0)

    assert key(1) == key(1) != key(2)


def test_the_card_names_the_address_and_the_content(rounds: Path, tmp_path: Path) -> None:
    one_epoch = JOB.model_dump() | {"method": "head", "epochs": 1}
    fine_tune(
        BaseParams(name="demo"), start("models:/actions@champion"), FinalJobParams(**one_epoch, from_search=()),
        data=rounds / "1" / layout.DATA, out=tmp_path / "model", curves=tmp_path / "curves.csv",
    )  # fmt: skip
    card = read_card(tmp_path / "model")
    assert card["model"]["weights"] == "models:/actions@champion"
    assert card["initial_weights_sha256"] == read_card(rounds / "1" / layout.MODEL)["weights_sha256"]
