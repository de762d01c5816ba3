import json
import shutil

import pytest
import requests
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore

from models.errors import UserError
from tasks import layout
from tasks import register as module
from tasks.decisions import decisions
from tasks.register import register
from tasks.registry.client import registry, versions_of
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round

COMMIT, DATASET = "c" * 40, "d" * 32 + ".dir"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(place):
    with own_home(place) as home:
        yield home


@pytest.fixture(scope="module")
def registered(place, tmp_path_factory):
    """A round that was registered as version 1 of ``actions``."""
    root = write_round(tmp_path_factory.mktemp("round") / "root")
    with own_home(place):
        assert register(root, params_of(), commit=COMMIT, dataset_version=DATASET) == 1
    return root


def test_the_version_names_where_it_comes_from(registered):
    version = registry().get_model_version("actions", "1")
    card = json.loads((registered / layout.MODEL_CARD).read_text())
    assert version.tags["videoloop.commit"] == COMMIT
    assert version.tags["videoloop.dataset"] == DATASET
    assert version.tags["videoloop.key"] == module.sha256_of(registered / "dvc.lock")
    assert version.tags["videoloop.weights_sha256"] == card["weights_sha256"]
    assert "0.750" in version.description
    assert f"runs/{version.run_id}/artifacts/report.html" in version.description


def test_the_run_carries_dataset_metrics_and_report(registered):
    version = registry().get_model_version("actions", "1")
    run = registry().get_run(version.run_id)
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("actions", DATASET)
    assert json.loads(dataset.dataset.source)["commit"] == COMMIT
    assert run.data.metrics["accuracy"] == 0.75
    assert run.data.metrics["gain.over_majority"] == 0.25
    assert run.info.status == "FINISHED"
    assert [entry.path for entry in registry().list_artifacts(version.run_id)] == ["report.html"]
    model = registry().get_logged_model(version.source.removeprefix("models:/"))
    assert {metric.key: metric.value for metric in model.metrics}["accuracy"] == 0.75


def test_registration_is_in_the_decision_log_once(registered):
    register(registered, params_of(), commit=COMMIT, dataset_version=DATASET)
    (row,) = decisions(None, "actions", "register")
    assert row.evidence["version"] == 1
    assert row.evidence["commit"] == COMMIT


def test_the_same_state_is_the_same_version_and_another_state_another(registered, tmp_path):
    assert register(registered, params_of(), commit="e" * 40, dataset_version=DATASET) == 1
    other = write_round(tmp_path / "other", seed=1)
    assert register(other, params_of(), commit=COMMIT, dataset_version=DATASET) == 2
    assert register(registered, params_of(), commit=COMMIT, dataset_version=DATASET) == 1
    assert sorted(versions_of(registry(), "actions")) == [1, 2]


@pytest.mark.parametrize("moment", ["_log_results", "_create_version", "_recorded"])
def test_a_registration_that_was_killed_goes_on_to_one_version(home, tmp_path, monkeypatch, moment):
    root, params = write_round(tmp_path / "root"), params_of(f"killed-at{moment}")

    class Killed(BaseException):
        pass

    def kill(*arguments, **named):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, moment, kill)
        with pytest.raises(Killed):
            register(root, params, commit=COMMIT, dataset_version=DATASET)
    logged_before = _logged(params)
    assert register(root, params, commit=COMMIT, dataset_version=DATASET) == 1
    assert list(versions_of(registry(), params.base.name)) == [1]
    assert len(decisions(None, params.base.name, "register")) == 1
    # What was logged completely is not logged again.
    assert len(_logged(params)) == len(logged_before) + (moment == "_log_results")


def _logged(params):
    experiment = registry().get_experiment_by_name(params.base.name)
    return registry().search_logged_models([experiment.experiment_id])


def test_when_the_answer_to_the_creation_is_lost_the_version_is_found(home, tmp_path, monkeypatch):
    from mlflow.exceptions import MlflowException

    root, params = write_round(tmp_path / "root"), params_of("lost-answer")
    create = SqlAlchemyStore.create_model_version

    def lose_the_answer(self, *arguments, **named):
        create(self, *arguments, **named)
        raise MlflowException("the connection was reset")

    monkeypatch.setattr(SqlAlchemyStore, "create_model_version", lose_the_answer)
    assert register(root, params, commit=COMMIT, dataset_version=DATASET) == 1
    assert list(versions_of(registry(), "lost-answer")) == [1]


def test_a_creation_that_failed_is_tried_again(home, tmp_path, monkeypatch):
    from mlflow.exceptions import MlflowException

    root, params = write_round(tmp_path / "root"), params_of("failed-once")
    create, calls = SqlAlchemyStore.create_model_version, []

    def fail_once(self, *arguments, **named):
        calls.append(1)
        if len(calls) == 1:
            raise MlflowException("busy")
        return create(self, *arguments, **named)

    monkeypatch.setattr(SqlAlchemyStore, "create_model_version", fail_once)
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    assert register(root, params, commit=COMMIT, dataset_version=DATASET) == 1
    assert len(calls) == 2


def test_a_deleted_version_is_registered_again_under_a_new_number(registered, tmp_path):
    root, params = write_round(tmp_path / "root"), params_of("deleted")
    register(root, params, commit=COMMIT, dataset_version=DATASET)
    registry().delete_model_version("deleted", "1")
    assert register(root, params, commit=COMMIT, dataset_version=DATASET) == 2


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("dvc.lock", "dvc repro"),
        (str(layout.MODEL), "there is no model here"),
        (str(layout.REPORT), "there is no report"),
        (str(layout.METRICS), "no readable metrics"),
        (str(layout.MANIFEST), "there is no dataset here"),
    ],
)
def test_results_that_are_missing_are_named_and_nothing_is_registered(home, tmp_path, missing, words):
    root, params = write_round(tmp_path / "root"), params_of("incomplete")
    path = root / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(UserError, match=words):
        register(root, params, commit=COMMIT, dataset_version=DATASET)
    with pytest.raises(UserError, match="no such model"):
        versions_of(registry(), "incomplete")


def test_weights_that_were_exchanged_are_not_registered(home, tmp_path):
    root = write_round(tmp_path / "root")
    shutil.copy(write_round(tmp_path / "other", seed=1) / layout.WEIGHTS, root / layout.WEIGHTS)
    with pytest.raises(UserError, match="not the weights that"):
        register(root, params_of("exchanged"), commit=COMMIT, dataset_version=DATASET)


@pytest.mark.integration
def test_the_clients_own_retry_after_a_lost_answer_makes_no_second_version(tmp_path):
    """Behind a proxy that takes the first creation to the server and drops its answer."""
    from tests.support.servers import ForgetfulProxy, mlflow_server

    root = write_round(tmp_path / "root")
    with (
        mlflow_server(tmp_path / "server") as server,
        ForgetfulProxy(server, "/model-versions/create") as proxy,
        own_home(tmp_path / "home", proxy.url),
    ):
        assert register(root, params_of(), commit=COMMIT, dataset_version=DATASET) == 1
        assert proxy.forgotten == 1
        found = requests.get(f"{server}/api/2.0/mlflow/model-versions/search", timeout=10).json()
    assert [each["version"] for each in found["model_versions"]] == ["1"]
