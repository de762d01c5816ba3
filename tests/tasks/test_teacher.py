"""A job that is taught: from where the teacher comes, and that it leaves a trace in the weights and the card alone."""

from pathlib import Path
from typing import Any

import pytest

from models.digest import tensors_digest
from models.errors import UserError
from models.saved import load_model, read_card
from models.spec import FineTuneParams, TeacherParams
from tasks import layout
from tasks.job import job, job_key
from tasks.promote import promote
from tasks.register import register
from tasks.teacher import teacher_folder, teacher_note
from tests.support.champions import JOB, MODEL, write_champion
from tests.support.dataset import write_dataset
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round

OTHER = MODEL.model_copy(update={"family": "c3d"})


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("taught") / "data", ("left", "right"), 2)


@pytest.fixture(scope="module")
def teacher(data: Path) -> Path:
    return write_champion(data.parent / "teacher", ("down", "left", "right"), model=OTHER)


def taught_by(teacher: Path | str | None) -> FineTuneParams:
    lessons = {"model": teacher and str(teacher), "logits": 1.0, "features": 0.5}
    return FineTuneParams.model_validate({**JOB.model_dump(), "head_epochs": 1, "teacher": lessons})


def digest(data: Path, params: FineTuneParams, **options: Any) -> str:
    model, _, _ = job(MODEL, params, data, seed=0, **options)
    return tensors_digest(model.state_dict())


def test_a_teacher_of_another_family_changes_the_weights_and_not_their_names(data: Path, teacher: Path) -> None:
    taught, _, _ = job(MODEL, taught_by(teacher), data, seed=0)
    alone, _, _ = job(MODEL, taught_by(None), data, seed=0)
    assert taught.state_dict().keys() == alone.state_dict().keys()
    assert tensors_digest(taught.state_dict()) != tensors_digest(alone.state_dict())


def test_with_all_that_is_random_killed_and_resumed_it_ends_with_the_same_bytes(
    data: Path, teacher: Path, tmp_path: Path
) -> None:
    everything = {
        **taught_by(teacher).model_dump(),
        "loss": {"name": "focal", "class_balance": 0.9},
        "augment": {"mixup": 0.8, "cutmix": 1.0, "rand_augment": {"layers": 2}},
        "stochastic_depth": 0.3,
        "adversarial": {"method": "pgd", "steps": 2},
    }
    params = FineTuneParams.model_validate(everything)

    def kill(done: Any) -> None:
        if done.epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        digest(data, params, checkpoint=tmp_path / "checkpoint", on_epoch=kill)
    resumed = digest(data, params, checkpoint=tmp_path / "checkpoint")
    assert resumed == digest(data, params) != digest(data, taught_by(teacher))


def test_a_job_is_another_one_with_another_teacher(data: Path, teacher: Path, tmp_path: Path) -> None:
    assert teacher_note(TeacherParams()) == {}
    first = job_key(MODEL, taught_by(teacher), data, seed=0)
    copy = write_champion(tmp_path / "teacher", ("down", "left", "right"), model=OTHER, seed=8)
    assert teacher_note(TeacherParams(model=str(copy))) != teacher_note(TeacherParams(model=str(teacher)))
    assert job_key(MODEL, taught_by(copy), data, seed=0) != first


def test_a_registered_version_teaches_too(tmp_path: Path) -> None:
    with own_home(tmp_path / "home"):
        root = write_round(tmp_path / "round", seed=1)
        register(root, params_of(), commit="c" * 40, dataset_version="d" * 32)
        promote("actions", 1, who="test", why="")
        expected = read_card(root / layout.MODEL)["weights_sha256"]
        for address in ("models:/actions/1", "models:/actions@champion"):
            folder = teacher_folder(TeacherParams(model=address))
            assert folder is not None
            assert load_model(folder)[1]["weights_sha256"] == expected
        with pytest.raises(UserError, match=r"fine_tune\.teacher\.model: models:/actions names no registered model"):
            teacher_folder(TeacherParams(model="models:/actions"))


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no model here"):
        teacher_folder(TeacherParams(model=str(tmp_path)))
