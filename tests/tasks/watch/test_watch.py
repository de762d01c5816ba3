"""The whole of a watch, on a champion that is right about its reference."""

from datetime import datetime, timedelta

import pytest

from tasks.decisions import decisions
from tasks.watch import watch as module
from tasks.watch.watch import answer, unanswered, watch
from tests.support.registries import own_home
from tests.support.watched import FIRST_DAY, NAME, Clips, add_champion, cameras, comes_in, watch_params

NOW = FIRST_DAY + timedelta(days=10)
STRANGE = Clips(cameras(40, 60), days=(8,), strange=True)
USUAL = Clips(cameras(40, 60), days=(8,))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    with own_home(home):
        add_champion(tmp_path_factory.mktemp("champion"))
    return home


@pytest.fixture(autouse=True)
def home(place, tmp_path, monkeypatch):
    """The champion's registry, and a decision log and a watch of the test's own."""
    with own_home(place) as home:
        monkeypatch.setenv("VIDEOLOOP_DATABASE_URL", f"sqlite:///{tmp_path / 'log.db'}")
        from tasks.settings import settings

        settings.cache_clear()
        import shutil

        for folder in ("watch", "incoming", "requests"):
            shutil.rmtree(home / folder, ignore_errors=True)
        yield home


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_an_unchanged_world_raises_no_alarm():
    comes_in(USUAL, wrong=False)
    found = watch(watch_params(), NOW)
    assert found.action == "nothing"
    assert found.findings.alarm is None
    assert found.decision.what == "nothing to do"


def test_harmful_drift_with_labels_retrains_once():
    comes_in(STRANGE, wrong=True)
    found = watch(watch_params(), NOW)
    assert found.action == "retrain"
    assert found.findings.alarm.startswith("2026-01-11 by embeddings (MMD), p = 0.0002")
    assert "accuracy measured on 80 clips is 0.000" in found.decision.why
    again = watch(watch_params(), NOW)
    assert again.decision == found.decision
    assert [row.key for row in unanswered(NAME, 1)] == [found.decision.key]
    later = watch(watch_params(), at(1))
    assert (later.action, later.decision.what) == ("nothing", "wait for the retraining")


def test_drift_of_unknown_harm_asks_for_labels_once():
    comes_in(STRANGE)
    found = watch(watch_params(request_clips=10), NOW)
    assert found.action == "label"
    assert len(list((module.requests_folder() / found.decision.evidence["request"] / "clips").iterdir())) == 10
    again = watch(watch_params(request_clips=10), at(1))
    assert (again.action, again.decision.what) == ("nothing", "wait for labels")


def test_drift_without_harm_is_benign():
    comes_in(STRANGE, wrong=False)
    found = watch(watch_params(), NOW)
    assert (found.action, found.decision.what) == ("nothing", "benign drift: no retraining")


def test_a_harm_that_retraining_did_not_repair_does_not_loop():
    comes_in(STRANGE, wrong=True, share=0.5)
    first = watch(watch_params(), NOW)
    assert first.action == "retrain"
    answer(NAME, first.decision.key, version=2, hours=0.5)
    later = watch(watch_params(cooldown_days=1), at(3))
    assert later.action == "label"
    assert "made version 2, which is not champion" in later.decision.why
    assert len(decisions(None, NAME, "watch")) == 2
