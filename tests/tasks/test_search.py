import json
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from models.errors import UserError
from models.spec import ContinualParams
from tasks.params.whole import BaseParams
from tasks.search import search
from tasks.settings import settings
from tasks.studies.launch import Launcher
from tests.support.champions import write_champion
from tests.support.trials import JOB, MODEL, FakeTrials, search_params

BASE = BaseParams(name="demo")


class Recorder:
    """A tracker that remembers."""

    def __init__(self):
        self.runs, self.values, self.artifacts = [], {}, []

    def params(self, values):
        self.values |= values

    def metrics(self, values):
        self.values |= values

    def artifact(self, path, folder):
        self.artifacts += [child.name for child in Path(path).iterdir()]

    def child(self, name, tags, started_ms):
        run = {"name": name, "tags": tags, "started_ms": started_ms}
        self.runs.append(run)
        return ChildRun(run)


class ChildRun:
    def __init__(self, run):
        self.run = run

    def log(self, metrics, params):
        self.run |= {"metrics": metrics, "params": params}

    def end(self, status):
        self.run["status"] = status


@pytest.fixture
def tracker(monkeypatch):
    recorder = Recorder()

    @contextmanager
    def tracked(stage, experiment):
        yield recorder

    monkeypatch.setattr("tasks.search.tracked", tracked)
    return recorder


@pytest.fixture
def fakes(tmp_path):
    return FakeTrials(tmp_path)


@pytest.fixture
def run(tmp_path, tracker, fakes):
    """Search, and give back ``best_params.json`` and ``trials.csv``."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.parquet").write_bytes(b"clips")

    def run(champion=None, continual=None, **changes):
        out, start = tmp_path / "results", {"champion": champion, "continual": continual}
        data, launcher = tmp_path / "data", Launcher(fakes.command)
        search(BASE, MODEL, search_params(**changes), data=data, out=out, launcher=launcher, **start)
        return json.loads((out / "best_params.json").read_text()), pd.read_csv(out / "trials.csv")

    return run


def test_the_best_job_is_found_and_the_default_is_among_them(run, fakes):
    best, trials = run(trials=6)
    assert len(fakes.told) == 6
    assert fakes.told[0]["job"] == JOB.model_dump(mode="json")
    assert fakes.told[0]["model"] == MODEL.model_dump(mode="json")
    assert best["value"] == trials["value"].min() < best["default_value"]
    assert best["num_trials"] == 6
    assert best["trial"] == trials["value"].idxmin()
    told = fakes.told[best["trial"]]
    assert (told["job"]["lr"], told["model"]["head"]["dropout"]) == (
        best["values"]["lr"],
        best["values"]["head.dropout"],
    )


def test_the_same_search_with_one_slot_gives_the_same_bytes(run, tmp_path, monkeypatch):
    written = []
    for home in ("one", "two"):
        monkeypatch.setenv("VIDEOLOOP_HOME", str(tmp_path / home))
        settings.cache_clear()
        run()
        written.append([path.read_bytes() for path in sorted((tmp_path / "results").iterdir())])
    assert written[0] == written[1]
    assert len(written[0]) == 3


def test_a_finished_search_is_not_run_again_and_a_longer_one_goes_on(run, fakes):
    first, _ = run(trials=3)
    again, _ = run(trials=3)
    assert again == first
    assert len(fakes.told) == 3
    longer, trials = run(trials=5)
    assert len(fakes.told) == len(trials) == longer["num_trials"] == 5


def test_other_data_start_afresh(run, fakes, tmp_path):
    run(trials=2)
    (tmp_path / "data" / "manifest.parquet").write_bytes(b"more clips")
    best, _ = run(trials=2)
    assert len(fakes.told) == 4
    assert best["num_trials"] == 2


def test_trials_that_break_down_are_noted_and_the_search_goes_on(run, fakes):
    fakes.behave({0.02: "crash"})
    best, trials = run(trials=8, warmup_trials=8)
    assert set(trials["state"]) == {"complete", "fail"}
    assert "no such luck" in trials["error"].dropna().iloc[0]
    assert best["num_trials"] == 8


@pytest.mark.parametrize("behaviour", ["diverge", "nan"])
def test_trials_that_diverge_are_pruned(run, fakes, behaviour):
    fakes.behave({0.02: behaviour})
    _, trials = run(trials=8, warmup_trials=8)
    assert set(trials["state"]) == {"complete", "pruned"}
    assert (trials.loc[trials["state"] == "pruned", "lr"] > 0.02).all()


def test_a_search_whose_trials_all_fail_says_why(run, fakes, tmp_path):
    fakes.behave({0: "refuse"})
    with pytest.raises(UserError, match=r"every trial.*failed.*params\.yaml: there is no such flavour"):
        run(trials=2)
    assert not (tmp_path / "results" / "best_params.json").exists()


def test_a_bad_trial_is_pruned_without_waiting_for_it(run, fakes):
    fakes.behave({0.05: "hang"})
    _, trials = run(trials=8, warmup_trials=1)
    hung = trials[trials["lr"] > 0.05]
    assert len(hung)
    assert set(hung["state"]) == {"pruned"}


def test_side_by_side_all_trials_are_run_and_none_twice(run, fakes):
    best, trials = run(trials=9, slots=3)
    assert len(fakes.told) == len(trials) == best["num_trials"] == 9
    assert len({(told["job"]["lr"], told["model"]["head"]["dropout"]) for told in fakes.told}) == 9


def test_no_trial_starts_when_the_time_is_used_up(run, fakes):
    best, _ = run(trials=5, time_budget_s=1e-6)
    assert len(fakes.told) == best["num_trials"] == 1
    best, _ = run(trials=5, time_budget_s=1e-6)
    assert len(fakes.told) == 1


def test_an_interrupted_search_goes_on_with_what_it_was_at(run, fakes, monkeypatch):
    def pulled(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.search._Search._tell", pulled)
        with pytest.raises(KeyboardInterrupt):
            run(trials=4)
    best, trials = run(trials=4)
    assert best["num_trials"] == len(trials) == 4
    assert fakes.told[0] | {"pid": 0} == fakes.told[1] | {"pid": 0}
    assert len(fakes.told) == 5
    assert trials["default"].sum() == 1


def test_an_error_of_the_search_stops_the_trials_that_run(run, fakes, monkeypatch):
    fakes.behave({0.0: "hang"})

    def broken(self, trial, epoch):
        if epoch["epoch"] == 2:
            raise ZeroDivisionError
        return True

    monkeypatch.setattr("tasks.search._Search._go_on", broken)
    with pytest.raises(ZeroDivisionError):
        run(trials=4, slots=2, job=JOB.model_copy(update={"method": "full"}).model_dump())


def test_every_trial_is_a_nested_run(run, fakes, tracker):
    fakes.behave({0.1: "crash", 0.03: "diverge"})
    _, trials = run(trials=8)
    ended = {"complete": "FINISHED", "pruned": "KILLED", "fail": "FAILED"}
    assert [child["status"] for child in tracker.runs] == [ended[state] for state in trials["state"]]
    first = tracker.runs[0]
    assert first["name"] == "trial 0"
    assert first["params"] == {"lr": 0.01, "head.dropout": 0.2}
    assert list(first["metrics"]) == [1, 2, 3, 4, 5]
    assert set(first["metrics"][5]) == {
        "train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds",
    }  # fmt: skip
    assert {"history.png", "importance.png", "best_params.json"} <= set(tracker.artifacts)


def test_only_jobs_of_the_whole_network_keep_checkpoints_and_they_are_cleared_away(run, fakes):
    run(trials=2)
    assert {told["checkpoint"] for told in fakes.told} == {None}
    run(trials=2, job=JOB.model_copy(update={"method": "full"}).model_dump())
    folders = [Path(told["checkpoint"]) for told in fakes.told[2:]]
    assert len(set(folders)) == 2
    assert not any(folder.exists() for folder in folders)


def test_features_are_cached_where_all_runs_find_them(run, fakes):
    run(trials=1)
    assert fakes.told[0]["feature_cache"] == str(settings().home / "features")
    assert Path(fakes.told[0]["data"]).is_absolute()


def test_a_wrong_space_stops_the_search_before_anything_starts(run, fakes):
    with pytest.raises(UserError, match=r"search\.space\.learning_rate"):
        run(space={"learning_rate": {"low": 0.1, "high": 1.0}})
    assert fakes.told == []


def test_an_empty_space_tries_the_default_alone(run, fakes, tmp_path):
    best, _ = run(trials=1, space={})
    assert best["values"] == {}
    assert (tmp_path / "results" / "importance.csv").read_text() == "parameter,importance\n"


def test_from_a_champion_fewer_are_tried_and_its_configuration_second(run, fakes, tmp_path):
    champion = write_champion(tmp_path / "champion", model=MODEL, job=JOB.model_copy(update={"lr": 0.025}))
    best, trials = run(champion=champion, trials=8, retrain_trials=3)
    assert best["num_trials"] == len(trials) == 3
    assert [told["job"]["lr"] for told in fakes.told[:2]] == [JOB.lr, 0.025]
    assert {told["champion"] for told in fakes.told} == {str(champion)}
    assert fakes.told[0]["continual"] == ContinualParams().model_dump(mode="json")


def test_another_champion_or_another_way_to_go_on_starts_afresh(run, fakes, tmp_path):
    one, two = (write_champion(tmp_path / str(seed), model=MODEL, job=JOB, seed=seed) for seed in (1, 2))
    run(champion=one, retrain_trials=1)
    run(champion=two, retrain_trials=1)
    run(champion=two, retrain_trials=1, continual=ContinualParams(vanished="drop"))
    assert len(fakes.told) == 3
    run(champion=two, retrain_trials=1)
    assert len(fakes.told) == 3


def test_without_a_champion_the_section_starts_no_other_search(run, fakes):
    run(trials=1)
    run(trials=1, continual=ContinualParams(vanished="drop"))
    assert len(fakes.told) == 1
    assert fakes.told[0]["champion"] is None


def test_no_data(tmp_path, tracker):
    with pytest.raises(UserError, match="videoloop ingest"):
        search(BASE, MODEL, search_params(), data=tmp_path, out=tmp_path / "results")
