from datetime import UTC, datetime, timedelta

import pytest

from tasks.params import WatchParams
from tasks.watch.decide import Past, decide
from tasks.watch.findings import OVERALL, Figure, Findings, Group, Harm

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ALARM = "2026-03-09"
PARAMS = WatchParams()


def harm(drop: float, width: float = 0.02, how: str = "measured") -> Harm:
    after = Figure(estimate=0.9 - drop, low=0.9 - drop - width, high=0.9 - drop + width)
    return Harm(
        how=how, before=0.9, after=after, drop=Figure(estimate=drop, low=drop - width, high=drop + width), clips=50
    )


UNKNOWN = Harm(how="estimated", says="confidence says too little.")
BAD, GOOD, WIDE = harm(0.3), harm(0.01), harm(0.1, width=0.3)
SEEMS_GOOD = harm(0.01, how="estimated")


def group(*known: Harm, name: str = OVERALL, evidence: float = 500.0, labelled: int = 30) -> Group:
    return Group(name=name, sources=9, clips=90, labelled=labelled, evidence=evidence, limit=200.0, harm=known)


def findings(*known: Harm, alarm: str | None = ALARM, days: float = 30.0, version: int = 3,
             labelled: int = 30, groups: tuple[Group, ...] = (), halted: str = "") -> Findings:  # fmt: skip
    return Findings(
        key="k", name="actions", version=version, now=NOW, alarm=alarm, days_watched=days, halted=halted,
        overall=group(*known, labelled=labelled), groups=groups,
    )  # fmt: skip


def retrained(
    days_ago: float, *, version: int = 3, answered: int | None = 4, hours: float | None = 1.0, labelled: int = 5
):
    key = f"watch:actions:{version}:{days_ago}"
    return Past(key, version, "retrain", NOW - timedelta(days=days_ago), labelled, answered, hours)


def asked(days_ago: float, *, labelled: int = 0, version: int = 3, alarm: str = ALARM) -> Past:
    now = NOW - timedelta(days=days_ago)
    return Past("a", version, "label", now, labelled, request="requests/request-1", alarm=alarm)


@pytest.mark.parametrize(
    ("found", "action", "what"),
    [
        (findings(BAD, halted="no clips"), "nothing", "nothing was judged"),
        (findings(BAD, alarm=None), "nothing", "nothing to do"),
        (findings(BAD, days=0.5), "nothing", "wait for the end of the warm-up"),
        (findings(GOOD), "nothing", "benign drift: no retraining"),
        (findings(BAD), "retrain", "retrain"),
        (findings(harm(0.3, how="estimated")), "retrain", "retrain"),
        (findings(harm(0.3, how="estimated"), GOOD), "nothing", "benign drift: no retraining"),
        (findings(SEEMS_GOOD, GOOD), "nothing", "benign drift: no retraining"),
        (findings(SEEMS_GOOD), "label", "ask for labels"),
        (findings(SEEMS_GOOD, BAD), "retrain", "retrain"),
        (findings(SEEMS_GOOD, WIDE), "label", "ask for labels"),
        (findings(UNKNOWN), "label", "ask for labels"),
        (findings(WIDE), "label", "ask for labels"),
        (findings(), "label", "ask for labels"),
        (findings(BAD, labelled=19), "label", "ask for labels"),
    ],
)
def test_drift_and_harm_together_retrain(found, action, what):
    choice = decide(found, [], PARAMS)
    assert (choice.action, choice.what) == (action, what)


def test_a_changed_group_that_hurts_is_enough():
    lobby = group(BAD, name="lobby")
    choice = decide(findings(GOOD, groups=(lobby, group(GOOD, name="yard", evidence=2.0))), [], PARAMS)
    assert choice.action == "retrain"
    assert "in lobby: accuracy measured on 50 clips is 0.600" in choice.why


def test_a_group_that_hurts_and_has_not_changed_is_not():
    yard = group(BAD, name="yard", evidence=2.0)
    assert decide(findings(GOOD, groups=(yard,)), [], PARAMS).what == "benign drift: no retraining"


def test_a_retraining_that_has_not_ended_is_waited_for():
    choice = decide(findings(BAD), [retrained(0.1, answered=None, hours=None)], PARAMS)
    assert (choice.action, choice.what) == ("nothing", "wait for the retraining")


def test_one_about_an_earlier_champion_is_not_waited_for():
    choice = decide(findings(BAD), [retrained(5, version=2, answered=None, hours=None)], PARAMS)
    assert choice.action == "retrain"


def test_cooldown():
    choice = decide(findings(BAD), [retrained(1.5)], PARAMS)
    assert (choice.action, choice.what) == ("nothing", "wait: cooldown")
    assert decide(findings(BAD), [retrained(2.5)], PARAMS).action == "retrain"


def test_the_budget_of_runs_is_that_of_seven_days():
    choice = decide(findings(BAD), [retrained(6), retrained(3)], PARAMS)
    assert choice.what == "wait: budget"
    assert "watch.runs_per_week" in choice.why
    assert decide(findings(BAD), [retrained(8), retrained(3)], PARAMS).action == "retrain"
    assert decide(findings(BAD), [], WatchParams(runs_per_week=0)).what == "wait: budget"


def test_the_budget_of_hours_counts_what_the_next_one_would_take():
    params = WatchParams(hours_per_week=3)
    assert decide(findings(BAD), [retrained(3, hours=1.4)], params).action == "retrain"
    assert "watch.hours_per_week" in decide(findings(BAD), [retrained(3, hours=1.6)], params).why


def test_a_retraining_that_did_not_repair_is_not_repeated_on_the_same_labels():
    choice = decide(findings(BAD), [retrained(3, version=2, labelled=25)], PARAMS)
    assert choice.action == "label"
    assert "has not repaired it" in choice.why
    choice = decide(findings(BAD), [retrained(3, labelled=25)], PARAMS)
    assert "made version 4, which is not champion" in choice.why
    assert decide(findings(BAD, labelled=45), [retrained(3, labelled=25)], PARAMS).action == "retrain"


def test_labels_are_asked_for_once_until_some_come():
    choice = decide(findings(UNKNOWN, labelled=0), [asked(2)], PARAMS)
    assert (choice.action, choice.what) == ("nothing", "wait for labels")
    assert "requests/request-1" in choice.why
    assert decide(findings(UNKNOWN, labelled=8), [asked(2)], PARAMS).action == "label"
    assert decide(findings(UNKNOWN, labelled=0), [asked(2, version=2)], PARAMS).action == "label"


def like(known: Harm) -> Harm:
    return known.model_copy(update={"of": "sources that were not trained on"})


@pytest.mark.parametrize(
    ("known", "action", "what"),
    [
        ((like(BAD), GOOD), "retrain", "retrain"),
        ((like(GOOD), BAD), "retrain", "retrain"),
        ((like(GOOD), GOOD), "nothing", "benign drift: no retraining"),
        ((like(WIDE), GOOD), "label", "ask for labels"),
        ((SEEMS_GOOD, like(GOOD), WIDE), "label", "ask for labels"),
    ],
)
def test_measured_twice_either_shows_harm_and_only_both_show_that_there_is_none(known, action, what):
    choice = decide(findings(*known), [], PARAMS)
    assert (choice.action, choice.what) == (action, what)


def test_which_sources_measured_it_is_said():
    why = decide(findings(like(BAD), GOOD), [], PARAMS).why
    assert "accuracy measured on 50 clips of sources that were not trained on is 0.600" in why


class TestEstimateAlone:
    """What confidence alone calls benign: people are asked once, and given time."""

    def test_people_are_asked_and_the_reason_says_why(self):
        choice = decide(findings(SEEMS_GOOD, labelled=0), [], PARAMS)
        assert choice.action == "label"
        assert choice.why.endswith("instead of 0.900, which an estimate alone cannot call benign")

    def test_it_may_call_drift_benign_when_their_time_is_over(self):
        found = findings(SEEMS_GOOD, labelled=0)
        assert decide(found, [asked(6.9)], PARAMS).what == "wait for labels"
        choice = decide(found, [asked(7.1)], PARAMS)
        assert (choice.action, choice.what) == ("nothing", "benign drift: no retraining")
        assert "by the estimate alone: labels were asked for on 2026-03-03 (requests/request-1)" in choice.why
        assert "watch.patience_days (7)" in choice.why
        assert decide(found, [asked(1.1)], WatchParams(patience_days=1)).what == "benign drift: no retraining"

    @pytest.mark.parametrize("more", [[], [Harm(how="measured", says="of one source", clips=8)]])
    def test_labels_that_do_not_measure_make_no_second_request(self, more):
        found = findings(SEEMS_GOOD, *more, labelled=8)
        assert decide(found, [asked(2)], PARAMS).what == "wait for labels"
        assert decide(found, [asked(8)], PARAMS).what == "benign drift: no retraining"

    def test_a_measurement_that_cannot_tell_is_enlarged_as_long_as_people_answer(self):
        assert decide(findings(SEEMS_GOOD, WIDE, labelled=8), [asked(8)], PARAMS).action == "label"
        unanswered = [asked(8), asked(2, labelled=8)]
        assert decide(findings(SEEMS_GOOD, WIDE, labelled=8), unanswered, PARAMS).what == "wait for labels"
        unanswered = [asked(16), asked(8, labelled=8)]
        choice = decide(findings(SEEMS_GOOD, WIDE, labelled=8), unanswered, PARAMS)
        assert choice.what == "benign drift: no retraining"
        assert "accuracy measured on 50 clips is 0.800" in choice.why

    def test_another_champion_or_alarm_is_asked_about_anew(self):
        for before in (asked(8, version=2), asked(8, alarm="2026-01-01")):
            assert decide(findings(SEEMS_GOOD), [before], PARAMS).action == "label"
