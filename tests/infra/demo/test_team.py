import csv
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest

from infra.demo import team
from models.errors import UserError
from tasks.decisions import record
from tasks.gate.verdict import Verdict
from tests.support.registries import own_home
from tests.support.verdicts import comparison
from tests.support.verdicts import verdict as made_verdict

AT = datetime(2026, 1, 30, 12, tzinfo=UTC)


def write_request(folder, count):
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["clip_id", "source_id", "captured_at", "predicted", "confidence", "label"])
        writer.writeheader()
        for number in range(count):
            at = AT + timedelta(seconds=number)
            writer.writerow({
                "clip_id": f"c{number}", "source_id": "cam-01", "captured_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "predicted": "run", "confidence": "0.5", "label": "",
            })  # fmt: skip
    return folder


def truth(labels):
    return {("cam-01", AT + timedelta(seconds=number)): label for number, label in enumerate(labels)}


def test_people_name_what_is_shown_and_stop_at_so_many_of_a_class(tmp_path):
    request = write_request(tmp_path / "request", 4)
    answers = team.fill_in(request, truth(["walk", "walk", "run", "walk"]), most_per_class=2)
    with answers.file.open() as file:
        rows = [(row["clip_id"], row["label"]) for row in csv.DictReader(file)]
    assert rows == [("c0", "walk"), ("c1", "walk"), ("c2", "run")]
    assert answers.labels == 3
    assert (request / "labels.csv").read_text().count("walk") == 0


@pytest.fixture
def round_(tmp_path, monkeypatch):
    """A round that ends when it is told to, and what the server says of it."""
    states: list[bool] = []
    started: list[str] = []
    ended: list[str] = []
    monkeypatch.setattr(team, "_ASK_EVERY_S", 0)
    monkeypatch.setattr(team, "is_answered", lambda key: key in ended)
    monkeypatch.setattr(team, "is_taken_up", lambda _key: states.pop(0))
    monkeypatch.setattr(team, "train", lambda decision: (started.append(decision), ended.append(decision)))
    with own_home(tmp_path / "home"):
        record("answer", "actions", "", "", {"version": 2, "hours": 0.5, "training_s": 60.0}, key="answer:watch:1")
        yield states, started, ended


def test_a_round_that_the_event_started_is_waited_for(round_, monkeypatch):
    states, started, ended = round_
    states += [False, True, True]
    monkeypatch.setattr(team.time, "sleep", lambda _s: states or ended.append("watch:1"))
    assert team.retrain("watch:1") == (60.0, 1800.0)
    assert started == []
    assert team.version_of("watch:1") == 2


def test_a_round_that_no_event_started_is_started_here_once(round_, monkeypatch):
    states, started, _ = round_
    states += [False, False]
    monkeypatch.setattr(team, "_PATIENCE_S", -1)
    team.retrain("watch:1")
    team.retrain("watch:1")
    assert started == ["watch:1"]


def test_a_round_that_failed_is_said(round_):
    states, started, _ = round_
    states += [True, False]
    with pytest.raises(UserError, match="the retraining failed"):
        team.retrain("watch:1")
    assert started == []


@pytest.mark.parametrize(("outcome", "promoted"), [("better", [2]), ("blocked", []), ("worse", [])])
def test_people_promote_by_what_the_judge_says(tmp_path, monkeypatch, outcome, promoted):
    made = []
    monkeypatch.setattr(team, "promote", lambda _name, version, **_why: made.append(version))
    with own_home(tmp_path / "home"):
        record("judge", "actions", "", "", asdict(made_verdict(outcome, version=2)), key="judge:2")
        verdict = team.promote_if_better("actions", 2)
        assert team.promote_if_better("actions", 3) is None
    assert verdict is not None
    assert verdict.text == "as judged"
    assert made == promoted


SURE, LIKELY, SLIGHT = comparison(0.01, 0.02, 0.2), comparison(-0.1, 0.1, 0.3), comparison(-0.1, 0.02, 0.3)


@pytest.mark.parametrize(
    ("outcome", "new", "old", "promotes"),
    [
        ("undecided", SURE, comparison(-0.2, -0.1, 0.1), True),
        ("undecided", LIKELY, comparison(-0.2, -0.02, 0.1), True),
        ("undecided", LIKELY, comparison(-0.2, -0.03, 0.1), False),
        ("undecided", LIKELY, None, True),
        ("undecided", SLIGHT, comparison(-0.1, 0.1, 0.2), False),
        ("undecided", None, comparison(-0.1, 0.1, 0.2), False),
        ("not worse", LIKELY, comparison(-0.01, 0.0, 0.1), True),
        ("not worse", SLIGHT, comparison(-0.01, 0.0, 0.1), False),
        ("blocked", SURE, comparison(0.0, 0.1, 0.2), False),
        ("worse", SURE, comparison(-0.3, -0.2, -0.1), False),
        ("first", None, None, False),
    ],
)
def test_people_promote_what_is_not_surely_better_where_it_gains_on_new_video(outcome, new, old, promotes):
    blocks = ("slow",) if outcome == "blocked" else ()
    assert team.would_promote(made_verdict(outcome, new=new, old=old, blocks=blocks)) is promotes


def test_what_was_judged_before_the_gate_is_promoted_where_it_was_better():
    row = {
        "version": 2, "champion": 1, "outcome": "better", "difference": 0.1, "low": 0.0, "high": 0.2, "num_clips": 9,
        "num_sources": 3, "text": "as judged",
    }  # fmt: skip
    assert team.would_promote(Verdict.read(row))
    assert not team.would_promote(Verdict.read({**row, "outcome": "undecided"}))
