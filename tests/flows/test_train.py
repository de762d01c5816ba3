from types import SimpleNamespace

import pytest

from flows import steps
from flows.train import train
from models.errors import UserError
from tasks import layout
from tasks.params.quality import JudgeParams
from tests.support.dataset import write_dataset
from tests.support.rounds import params_of


def test_a_round_finds_a_misspelt_floor_before_any_stage_runs(tmp_path, monkeypatch):
    write_dataset(tmp_path / layout.DATA)
    params = params_of().model_copy(update={"judge": JudgeParams(class_floors={"lft": 0.1})})
    work = SimpleNamespace(root=tmp_path, params=params)
    ran = []
    names = ("ingest", "warm_start", "check_floors", "reproduce", "seal", "register", "judge", "introduce")
    for name in names:
        monkeypatch.setattr(f"flows.train.{name}", _Step(name, ran, steps.check_floors.fn))
    monkeypatch.setattr("flows.train.round_workspace", lambda source: _Given(work))
    with pytest.raises(UserError, match="did you mean left"):
        train.fn("made")
    assert ran == ["ingest", "warm_start", "check_floors"]


class _Step:
    def __init__(self, name, ran, check):
        self._name, self._ran, self._check = name, ran, check

    def __call__(self, *given):
        self._ran.append(self._name)
        if self._name == "check_floors":
            self._check(*given)

    def with_options(self, **_):
        return self


class _Given:
    def __init__(self, work):
        self._work = work

    def __enter__(self):
        return self._work

    def __exit__(self, *_):
        return False
