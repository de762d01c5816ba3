"""A job that starts from a champion: what it is made of, and that being killed leaves no trace in its bytes."""

from pathlib import Path
from typing import Any

import pytest

from models.build import VideoModel
from models.clips.manifest import read_manifest
from models.digest import tensors_digest
from models.errors import UserError
from models.saved import load_model, save_model
from models.spec import AdapterParams, ContinualParams, FineTuneParams
from tasks.job import job, job_key
from tests.support.champions import JOB, MODEL, write_champion
from tests.support.dataset import write_dataset

ALL_TERMS = ContinualParams.model_validate(
    {
        "rehearsal": {"clips": 6},
        "distillation": {"weight": 1.0},
        "anchor": {"importance": "fisher", "weight": 10.0},
    }
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("job") / "data", ("left", "right", "up"), 3)


@pytest.fixture(scope="module")
def champion(data: Path) -> Path:
    """It knows two of three clips, does not know one label, and knows one that is gone."""
    ids = read_manifest(data / "manifest.parquet")["clip_id"]
    return write_champion(data.parent / "champion", ("down", "left", "right"), ids[~ids.str.endswith("2")])


def digest(data: Path, champion: Path | None, continual: ContinualParams = ALL_TERMS, **options: Any) -> str:
    model, _, _ = job(MODEL, JOB, data, seed=0, continual=continual, champion=champion, **options)
    return tensors_digest(model.state_dict())


def test_classes_are_those_of_both(data: Path, champion: Path) -> None:
    _, labels, epochs = job(MODEL, JOB, data, seed=0, continual=ALL_TERMS, champion=champion)
    assert labels == ["down", "left", "right", "up"]
    assert [epoch.phase for epoch in epochs] == ["head", "head", "full", "full"]


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_killed_and_resumed_it_ends_with_the_same_bytes(data: Path, champion: Path, tmp_path: Path, epoch: int) -> None:
    def kill(done: Any) -> None:
        if done.epoch == epoch:
            raise KilledError

    options = {"checkpoint": tmp_path / "checkpoint", "feature_cache": tmp_path / "features"}
    with pytest.raises(KilledError):
        digest(data, champion, on_epoch=kill, **options)
    assert digest(data, champion, **options) == digest(data, champion)


@pytest.mark.parametrize(
    "change",
    [
        {"rehearsal": {"clips": 3}},
        {"distillation": {"weight": 0.5}},
        {"distillation": {"temperature": 5.0}},
        {"anchor": {"importance": "same", "weight": 10.0}},
        {"anchor": {"importance": "fisher", "weight": 0.0}},
        {"vanished": "drop"},
    ],
)
def test_every_parameter_changes_the_weights_and_the_key(data: Path, champion: Path, change: dict[str, Any]) -> None:
    changed = ContinualParams.model_validate({**ALL_TERMS.model_dump(), **change})
    assert digest(data, champion, changed) != digest(data, champion)
    assert key(data, champion, changed) != key(data, champion)


def test_without_a_champion_the_section_means_nothing(data: Path) -> None:
    assert digest(data, None) == digest(data, None, ContinualParams())
    assert key(data, None) == key(data, None, ContinualParams())


def test_another_champion_is_another_job(data: Path, champion: Path, tmp_path: Path) -> None:
    other = write_champion(tmp_path / "other", ("down", "left", "right"), seed=8)
    assert len({key(data, folder) for folder in (champion, other, None)}) == 3


def test_another_network_is_a_persons_mistake(data: Path, champion: Path) -> None:
    with pytest.raises(UserError, match=r"model\.family: c3d, but the champion"):
        job(MODEL.model_copy(update={"family": "c3d"}), JOB, data, seed=0, champion=champion)


METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "last stage": {"method": "stages", "l2_sp": 0.1},
    "norm": {"method": "norm"},
    "lora": {"method": "lora", "lora": {"rank": 1}},
    "adapter": {"method": "adapter"},
}


@pytest.mark.parametrize("now", METHODS)
@pytest.mark.parametrize("then", ["lora", "adapter"])
def test_a_champion_of_one_method_is_trained_on_by_another(data: Path, tmp_path: Path, then: str, now: str) -> None:
    def tuned(method: str, **options: Any) -> VideoModel:
        params = FineTuneParams.model_validate({**JOB.model_dump(), **METHODS[method]})
        return job(MODEL, params, data, seed=0, continual=ALL_TERMS, **options)[0]

    champion = tuned(then)
    save_model(tmp_path / "champion", champion, MODEL, ["left", "right", "up"])
    loaded, card = load_model(tmp_path / "champion")
    assert tensors_digest(loaded.state_dict()) == tensors_digest(champion.state_dict())
    assert len(card["added"]) == (then == "adapter")
    model = tuned(now, champion=tmp_path / "champion")
    assert set(champion.state_dict()) <= set(model.state_dict())
    assert not any("lora" in name for name in model.state_dict())
    save_model(tmp_path / "next", model, MODEL, ["left", "right", "up"])
    assert tensors_digest(load_model(tmp_path / "next")[0].state_dict()) == tensors_digest(model.state_dict())


def test_adapters_of_another_width_are_a_persons_mistake(data: Path, tmp_path: Path) -> None:
    narrow, wide = (JOB.model_copy(update={"method": "adapter", "adapter": AdapterParams(width=w)}) for w in (0.25, 1))
    save_model(tmp_path / "champion", job(MODEL, narrow, data, seed=0)[0], MODEL, ["left", "right", "up"])
    with pytest.raises(
        UserError, match=r"fine_tune\.adapter\.width: 1, but the champion .* width 0\.25; set it to that"
    ):
        job(MODEL, wide, data, seed=0, champion=tmp_path / "champion")


def key(data: Path, champion: Path | None, continual: ContinualParams = ALL_TERMS) -> str:
    return job_key(MODEL, JOB, data, seed=0, continual=continual, champion=champion)
