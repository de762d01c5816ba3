import pandas as pd
import pytest

from models.errors import UserError
from tasks.settings import settings
from tasks.studies import results
from tasks.studies.space import default_values, distributions
from tasks.studies.study import open_study
from tests.support.trials import MODEL, search_params

PARAMS = search_params()


@pytest.fixture
def study():
    default = default_values(MODEL, PARAMS)
    with open_study("a-study", distributions(MODEL, PARAMS), default, PARAMS, 0, settings()) as study:
        yield study


def test_the_best_trial_and_what_the_default_would_have_given(study):
    for value in (0.5, 0.25, 0.75):
        study.complete(study.ask(), value, 1 - value)
    study.prune(study.ask())
    best = results.best_params(study)
    assert best == {
        "objective": "val_loss",
        "trial": 1,
        "value": 0.25,
        "val_accuracy": 0.75,
        "values": dict(sorted(study.trials()[1].params.items())),
        "default_value": 0.5,
        "num_trials": 4,
    }
    assert list(best["values"]) == ["head.dropout", "lr"]


def test_of_equals_the_first_is_the_best(study):
    for _ in range(3):
        study.complete(study.ask(), 0.5, 0.5)
    assert results.best_params(study)["trial"] == 0


def test_the_table_has_a_row_for_each_trial_that_counts(study):
    study.complete(study.ask(), 0.5, 0.75)
    study.fail(study.ask(), "no luck")
    study.prune(study.ask())
    study.complete(study.ask(), 0.25, 0.8)
    study.ask()  # still running
    table = results.trial_table(study)
    assert list(table["trial"]) == [0, 1, 2, 3]
    assert list(table["state"]) == ["complete", "fail", "pruned", "complete"]
    assert list(table["default"]) == [True, False, False, False]
    assert list(table["best_so_far"]) == [0.5, 0.5, 0.5, 0.25]
    assert list(table["value"].dropna()) == [0.5, 0.25]
    assert list(table["error"].dropna()) == ["no luck"]
    assert table[["lr", "head.dropout"]].notna().all(axis=None)


def test_nothing_complete_says_why(study):
    with pytest.raises(UserError, match=r"diverged or was pruned; lower search\.job\.lr"):
        results.best_params(study)
    study.fail(study.ask(), "first")
    study.fail(study.ask(), "second")
    with pytest.raises(UserError, match="the last one because: second"):
        results.best_params(study)


@pytest.mark.parametrize("num_complete", [0, 1, 5])
def test_pictures_are_drawn_of_any_number_of_trials(study, tmp_path, num_complete):
    for number in range(num_complete):
        study.complete(study.ask(), float(number), 0.5)
    study.prune(study.ask())
    results.draw_history(results.trial_table(study), tmp_path / "history.png")
    results.draw_importance(results.importance_table(study.importances()), tmp_path / "importance.png")
    for name in ("history.png", "importance.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_an_empty_importance_table_keeps_its_columns(tmp_path):
    results.write_csv(results.importance_table({}), tmp_path / "importance.csv")
    assert list(pd.read_csv(tmp_path / "importance.csv")) == ["parameter", "importance"]
