import math
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from models.errors import UserError
from tasks.params.whole import BaseParams
from tasks.settings import Settings, settings
from tasks.studies.space import default_values, distributions
from tasks.studies.study import Study, accuracy_of, error_of, is_default, open_study, study_key
from tests.support.trials import MODEL, search_params

PARAMS = search_params()
DEFAULT = default_values(MODEL, PARAMS)


def opened(config=None, params=PARAMS, champion=None):
    return open_study("a-study", distributions(MODEL, params), DEFAULT, params, 0, config or settings(), champion)


def states(study):
    return [trial.state for trial in study.trials()]


def test_the_default_configuration_comes_first_and_once():
    with opened() as study:
        first = study.ask()
        assert is_default(first)
        assert first.params == DEFAULT
        study.complete(first, 1.0, 0.5)
        assert not is_default(study.ask())
    with opened() as study:
        assert not is_default(study.ask())


def test_a_champions_values_come_second_and_once():
    champion = {"lr": 0.03, "head.dropout": 0.4}
    with opened(champion=champion) as study:
        assert is_default(study.ask())
        assert study.ask().params == champion
    for _ in range(2):
        with opened(champion=champion) as study:  # both were cut off: they are queued again, and nothing beside them
            assert states(study).count(TrialState.WAITING) == 2
    with opened(champion=champion) as study:
        default, second = study.ask(), study.ask()
        assert is_default(default)
        assert second.params == champion
        study.complete(default, 1.0, 0.5)
        study.complete(second, 1.0, 0.5)
    with opened(champion=champion) as study:
        assert states(study).count(TrialState.WAITING) == 0


def test_a_champion_of_the_default_values_is_not_tried_twice():
    with opened(champion=DEFAULT) as study:
        assert states(study) == [TrialState.WAITING]


def test_a_champion_may_say_a_part():
    with opened(champion={"lr": 0.03}) as study:
        study.ask()
        assert study.ask().params["lr"] == 0.03


def test_a_study_remembers_how_its_trials_ended():
    with opened() as study:
        study.complete(study.ask(), 0.5, 0.75)
        study.prune(study.ask())
        study.fail(study.ask(), "out of memory")
    with opened() as study:
        complete, pruned, failed = study.ended()
        assert (complete.value, accuracy_of(complete)) == (0.5, 0.75)
        assert pruned.state == TrialState.PRUNED
        assert error_of(failed) == "out of memory"
        assert study.default is not None
        assert study.default.number == 0


def test_what_was_cut_off_does_not_count_and_is_tried_again():
    with opened() as study:
        default, other = study.ask(), study.ask()
        values = other.params
    with opened() as study:
        assert states(study) == [TrialState.FAIL] * 2 + [TrialState.WAITING] * 2
        assert study.ended() == []
        again, other = study.ask(), study.ask()
        assert is_default(again)
        assert (again.params, other.params) == (default.params, values)
        study.complete(again, 1.0, 0.5)
        study.complete(other, 2.0, 0.5)
    with opened() as study:
        assert len(study.ended()) == 2
        assert states(study).count(TrialState.WAITING) == 0


def test_recovery_that_is_itself_cut_off_loses_and_doubles_nothing(monkeypatch):
    with opened() as study:
        study.ask()
        study.ask()

    def killed(*_, **__):
        raise KeyboardInterrupt

    for allowed in (0, 1):
        with monkeypatch.context() as patch:
            enqueue = study._study.__class__.enqueue_trial
            calls = iter([enqueue] * allowed + [killed])
            patch.setattr("optuna.study.Study.enqueue_trial", lambda *a, calls=calls, **k: next(calls)(*a, **k))
            with pytest.raises(KeyboardInterrupt), opened():
                pass
    with opened() as study:
        assert states(study).count(TrialState.WAITING) == 2


def test_suggestions_depend_on_the_history_and_not_on_interruptions():
    def suggested(names, interruptions):
        found = []
        config = Settings(home=settings().home / names)
        for _ in range(interruptions + 1):
            with opened(config) as study:
                for _ in range(6 // (interruptions + 1)):
                    trial = study.ask()
                    found.append(trial.params)
                    study.complete(trial, abs(trial.params["lr"] - 0.01), 0.5)
        return found

    whole = suggested("whole", 0)
    assert suggested("in-three-parts", 2) == whole
    assert len({tuple(values.items()) for values in whole}) == 6


def test_the_default_configuration_is_never_pruned_and_others_after_the_warm_up():
    with opened() as study:
        for value in (0.1, 0.1):
            trial = study.ask()
            assert all(study.report(trial, epoch, value) for epoch in range(1, 6))
            study.complete(trial, value, 0.5)
        bad = study.ask()
        assert study.report(bad, 1, 9.0)  # the first fifth of the epochs says little
        assert not study.report(bad, 2, 9.0)
    params = search_params(warmup_trials=0)
    with open_study("other", distributions(MODEL, params), DEFAULT, params, 0, settings()) as study:
        default, other = study.ask(), study.ask()
        assert all(study.report(other, epoch, 0.1) for epoch in range(1, 6))
        study.complete(other, 0.1, 0.9)
        assert all(study.report(default, epoch, 9.0) for epoch in range(1, 6))


def test_a_loss_that_is_no_number_ends_a_trial():
    with opened() as study:
        trial = study.ask()
        assert not study.report(trial, 1, float("nan"))
        assert not study.report(trial, 1, float("inf"))


def test_time_spent_counts_trials_side_by_side_once():
    start = datetime(2026, 1, 1)
    spans = [(0, 10), (5, 12), (6, 7), (20, 25)]
    trials = [
        SimpleNamespace(datetime_start=start + timedelta(seconds=a), datetime_complete=start + timedelta(seconds=b))
        for a, b in spans
    ]

    class Fixed(Study):
        def __init__(self):
            pass

        def ended(self):
            return trials

    assert Fixed().seconds_spent() == 17.0


def test_importances_need_two_results_that_differ():
    with opened() as study:
        assert study.importances() == {}
        study.complete(study.ask(), 1.0, 0.5)
        study.complete(study.ask(), 1.0, 0.5)
        assert study.importances() == {}


def test_the_field_that_decides_is_the_most_important():
    with opened() as study:
        for _ in range(10):
            trial = study.ask()
            study.complete(trial, math.log10(trial.params["lr"]), 0.5)
        found = study.importances()
    assert list(found) == ["lr", "head.dropout"]
    assert sum(found.values()) == pytest.approx(1.0)


def test_the_key_follows_what_trials_depend_on_and_not_the_budget(tmp_path):
    manifest = tmp_path / "manifest.parquet"
    manifest.write_bytes(b"one")
    base = BaseParams(name="demo")
    key = study_key(base, MODEL, PARAMS, manifest)
    assert study_key(base, MODEL, search_params(trials=50, time_budget_s=9.0, slots=4), manifest) == key
    changed = {
        study_key(base.model_copy(update={"seed": 1}), MODEL, PARAMS, manifest),
        study_key(base, MODEL.model_copy(update={"flavour": "other"}), PARAMS, manifest),
        study_key(base, MODEL, search_params(warmup_trials=7), manifest),
        study_key(base, MODEL, PARAMS, manifest, "start"),
        study_key(base, MODEL, search_params(space={"lr": {"low": 1e-5, "high": 1.0}}), manifest),
    }
    manifest.write_bytes(b"two")
    changed.add(study_key(base, MODEL, PARAMS, manifest))
    assert len(changed - {key}) == 6


def test_other_weights_in_the_same_file_are_another_study(tmp_path):
    manifest, weights = tmp_path / "manifest.parquet", tmp_path / "weights.safetensors"
    manifest.write_bytes(b"one")
    model = MODEL.model_copy(update={"weights": str(weights)})
    keys = set()
    for content in (b"a", b"b"):
        weights.write_bytes(content)
        keys.add(study_key(BaseParams(name="demo"), model, PARAMS, manifest))
    assert len(keys) == 2


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite:////nonexistent/x.db", "postgresql+psycopg://x:secret@/x?host=/none"]
)
def test_a_database_that_cannot_be_used(url):
    config = Settings(home=settings().home, database_url=url)
    with pytest.raises(UserError, match="VIDEOLOOP_DATABASE_URL") as raised, opened(config):
        pass
    assert "secret" not in str(raised.value)
