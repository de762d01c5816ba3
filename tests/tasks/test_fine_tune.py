"""The stage's own part: what the model's card says, and where the job starts."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.saved import read_card, read_clip_ids
from models.spec import ContinualParams
from tasks.fine_tune import fine_tune
from tasks.overrides import searchable
from tasks.params.training import FinalJobParams
from tasks.params.whole import BaseParams
from tasks.training_clips import labelled_clip_ids
from tests.support.champions import JOB, MODEL, write_champion
from tests.support.dataset import write_dataset


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    data = write_dataset(tmp_path / "data", clips_per_source=2)
    (tmp_path / "best.json").write_text(json.dumps({"values": {"lr": 0.003, "head.dropout": 0.4}}))
    params = FinalJobParams(**JOB.model_dump() | {"epochs": 1, "head_epochs": 1}, from_search=("lr", "head.dropout"))

    def run(champion: Path | None = None) -> Path:
        fine_tune(
            BaseParams(name="demo", seed=5), MODEL, params, continual=ContinualParams(), champion=champion, data=data,
            best_params=tmp_path / "best.json", out=tmp_path / "model", curves=tmp_path / "curves.csv",
        )  # fmt: skip
        return tmp_path / "model"

    return run


def test_the_card_says_how_the_model_was_trained(stage: Any) -> None:
    card = read_card(stage())
    assert card["seed"] == 5
    assert card["fine_tune"]["lr"] == 0.003
    assert card["model"]["head"]["dropout"] == 0.4
    assert card["started_from"] is None
    assert set(searchable(MODEL, JOB)) - {key for key in searchable(MODEL, JOB) if "." in key} <= set(card["fine_tune"])


def test_the_model_names_the_clips_that_it_and_its_champion_know(stage: Any, tmp_path: Path) -> None:
    assert read_clip_ids(stage()) == labelled_clip_ids(tmp_path / "data")
    champion = write_champion(tmp_path / "champion", clip_ids=["of long ago"])
    model = stage(champion)
    assert read_clip_ids(model) == labelled_clip_ids(tmp_path / "data") | {"of long ago"}
    start = read_card(model)["started_from"]
    assert start["weights_sha256"] == read_card(champion)["weights_sha256"]
    assert ContinualParams.model_validate(start["continual"]) == ContinualParams()
