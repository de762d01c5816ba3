from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tasks.params.watch import WatchParams
from tasks.watch.decide import REPAIRED, Past, decide
from tasks.watch.findings import OVERALL, Figure, Findings, Group, Harm, Inherited

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


def group(*known: Harm, name: str = OVERALL, evidence: float = 500.0, labelled: int = 30, clips: int = 90) -> Group:
    return Group(
        name=name, sources=9, clips=clips, labelled=labelled, teaching=labelled, evidence=evidence, limit=200.0,
        harm=known,
    )  # fmt: skip


def findings(*known: Harm, alarm: str | None = ALARM, days: float = 30.0, version: int = 3,
             labelled: int = 30, groups: tuple[Group, ...] = (), halted: str = "") -> Findings:  # fmt: skip
    return Findings(
        key="k", name="actions", version=version, now=NOW, alarm=alarm, days_watched=days, halted=halted,
        overall=group(*known, labelled=labelled), groups=groups,
    )  # fmt: skip


def retrained(
    days_ago: float, *, version: int = 3, answered: int | None = 4, hours: float | None = 1.0, teaching: int = 5,
    alarm: str = ALARM,
):  # fmt: skip
    key, now = f"watch:actions:{version}:{days_ago}", NOW - timedelta(days=days_ago)
    return Past(key, version, "retrain", now, teaching, answered, hours, alarm=alarm, teaching=teaching)


def asked(
    days_ago: float, *, labelled: int = 0, version: int = 3, alarm: str = ALARM, about: tuple[str, ...] = ()
) -> Past:
    now = NOW - timedelta(days=days_ago)
    return Past("a", version, "label", now, labelled, request="requests/request-1", alarm=alarm, about=about)


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
    assert decide(findings(BAD), [retrained(2.5, alarm="another")], PARAMS).action == "retrain"


def test_the_cooldown_doubles_with_each_retraining_about_the_same_change():
    assert "the cooldown is 4 days" in decide(findings(BAD), [retrained(3.5)], PARAMS).why
    assert decide(findings(BAD), [retrained(4.5)], PARAMS).action == "retrain"
    first, second = retrained(12, version=1, answered=2), retrained(7.5, version=2, answered=3, alarm=f"{ALARM}, under")
    found = findings(BAD, alarm=f"{ALARM}, under", days=7).model_copy(
        update={"inherited": Inherited(version=1, alarm=ALARM, since="2026-02-24")}
    )
    assert "the cooldown is 8 days" in decide(found, [first, second], PARAMS).why
    assert decide(found, [first, replace(second, now=NOW - timedelta(days=8.5))], PARAMS).action == "retrain"


def test_nobody_is_asked_for_labels_that_would_wait_for_the_end_of_a_cooldown():
    assert decide(findings(BAD, labelled=5), [retrained(3.5)], PARAMS).what == "wait: cooldown"
    assert decide(findings(BAD, labelled=5), [retrained(4.5)], PARAMS).action == "label"
    assert decide(findings(WIDE, labelled=5), [retrained(3.5)], PARAMS).action == "label"


def test_people_are_asked_about_no_more_clips_in_a_week_than_they_have_time_for():
    params = WatchParams(request_clips=60, request_clips_per_week=100)
    assert decide(findings(WIDE), [], params).clips == 60
    earlier = [replace(asked(6, version=1), clips=50, labels=3), replace(asked(8, version=1), clips=60)]
    assert decide(findings(WIDE), earlier, params).clips == 50
    choice = decide(findings(WIDE), [*earlier, replace(asked(1, version=1), clips=50, labels=3)], params)
    assert (choice.action, choice.what) == ("nothing", "wait: labelling budget")
    assert "100 clips in seven days" in choice.why


def test_the_budget_of_runs_is_that_of_seven_days():
    choice = decide(findings(BAD), [retrained(6, alarm="another"), retrained(3, alarm="another")], PARAMS)
    assert choice.what == "wait: budget"
    assert "watch.runs_per_week" in choice.why
    earlier = [retrained(8, alarm="another"), retrained(3, alarm="another")]
    assert decide(findings(BAD), earlier, PARAMS).action == "retrain"
    assert decide(findings(BAD), [], WatchParams(runs_per_week=0)).what == "wait: budget"


def test_the_budget_of_hours_counts_what_the_next_one_would_take():
    params = WatchParams(hours_per_week=3)
    assert decide(findings(BAD), [retrained(5, hours=1.4)], params).action == "retrain"
    assert "watch.hours_per_week" in decide(findings(BAD), [retrained(5, hours=1.6)], params).why


class TestNotRepaired:
    def test_a_version_that_is_not_champion_is_not_made_again_from_the_same_labels(self):
        choice = decide(findings(BAD), [retrained(5, teaching=25)], PARAMS)
        assert choice.action == "label"
        assert "made version 4, which is not champion" in choice.why
        assert "30 labelled clips since the change can teach and retraining needs 45" in choice.why
        assert decide(findings(BAD, labelled=45), [retrained(5, teaching=25)], PARAMS).action == "retrain"

    def test_labels_that_slid_out_of_the_window_are_not_waited_for(self):
        assert decide(findings(BAD), [retrained(6.9, teaching=25)], PARAMS).action == "label"
        assert decide(findings(BAD), [retrained(7, teaching=25)], PARAMS).action == "retrain"

    def test_the_champion_that_it_made_is_retrained_on_labels_that_it_was_not_made_with(self):
        made_it = retrained(5, version=2, answered=3, teaching=25)
        choice = decide(findings(BAD, days=2, labelled=19), [made_it], PARAMS)
        assert choice.action == "label"
        assert "has not repaired it" in choice.why
        assert decide(findings(BAD, days=2, labelled=20), [made_it], PARAMS).action == "retrain"

    def test_a_later_change_is_another(self):
        made_it = retrained(20, version=2, answered=3, teaching=100)
        choice = decide(findings(BAD, days=19, labelled=19), [made_it], PARAMS)
        assert choice.action == "label"
        assert "repaired" not in choice.why

    @pytest.mark.parametrize("other", [{"version": 1, "answered": 2}, {"alarm": "2026-01-01"}])
    def test_a_retraining_about_another_champion_or_alarm_asks_no_more_labels(self, other):
        assert decide(findings(BAD), [retrained(3, teaching=100, **other)], PARAMS).action == "retrain"


def test_labels_that_cannot_teach_start_no_retraining():
    found = findings(BAD, labelled=100)
    found = found.model_copy(update={"overall": found.overall.model_copy(update={"teaching": 19})})
    choice = decide(found, [], PARAMS)
    assert choice.action == "label"
    assert "19 labelled clips since the change can teach and retraining needs 20" in choice.why


def test_labels_are_asked_for_once_until_some_come():
    choice = decide(findings(UNKNOWN, labelled=0), [asked(2)], PARAMS)
    assert (choice.action, choice.what) == ("nothing", "wait for labels")
    assert "requests/request-1" in choice.why
    assert decide(findings(UNKNOWN, labelled=8), [asked(2)], PARAMS).action == "label"
    assert decide(findings(UNKNOWN, labelled=0), [asked(2, version=2)], PARAMS).action == "label"


@pytest.mark.parametrize("known", [UNKNOWN, BAD])
def test_labels_that_did_not_come_or_slid_out_of_the_window_are_asked_for_again(known):
    assert decide(findings(known, labelled=5), [asked(6.9, labelled=8)], PARAMS).what == "wait for labels"
    assert decide(findings(known, labelled=5), [asked(7, labelled=8)], PARAMS).action == "label"


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


class TestHandful:
    """Labels that are right, and too few to show that there is no harm."""

    @pytest.mark.parametrize(("clips", "action"), [(2, "label"), (14, "label"), (15, "nothing")])
    def test_half_of_those_drawn_at_random_are_enough(self, clips, action):
        choice = decide(findings(few(clips)), [], PARAMS)
        assert choice.action == action
        assert ("fewer than 15 labels that measure do not show" in choice.why) == (action == "label")

    def test_they_do_not_overrule_an_estimate(self):
        assert decide(findings(harm(0.3, how="estimated"), few(2)), [], PARAMS).action == "retrain"

    def test_on_sources_that_were_not_trained_on_they_are_too_few_too(self):
        assert decide(findings(like(few(2)), GOOD), [], PARAMS).action == "label"

    def test_they_may_show_harm(self):
        assert decide(findings(BAD.model_copy(update={"clips": 5})), [], PARAMS).action == "retrain"


def few(clips: int) -> Harm:
    return GOOD.model_copy(update={"clips": clips})


class TestOneBrokenCamera:
    """A group that has changed and of which it is not known whether it hurts, where all sources together are well."""

    LOBBY = group(Harm(how="measured", says="of one source", clips=4), name="lobby", labelled=4, clips=8)

    def test_people_are_asked_about_it(self):
        choice = decide(findings(GOOD, groups=(self.LOBBY,)), [], PARAMS)
        assert (choice.action, choice.about) == ("label", ("lobby",))
        assert choice.why.endswith("of lobby alone it is not known whether it hurts")

    def test_once_and_then_the_reason_names_it(self):
        found = findings(GOOD, groups=(self.LOBBY,))
        assert decide(found, [asked(6.9, about=("lobby",))], PARAMS).what == "wait for labels"
        choice = decide(found, [asked(7, about=("lobby",))], PARAMS)
        assert choice.what == "benign drift: no retraining"
        assert "of lobby alone it is not known whether it hurts; labels were asked for on 2026-03-03" in choice.why

    def test_a_second_one_is_asked_about_too(self):
        yard = self.LOBBY.model_copy(update={"name": "yard"})
        choice = decide(findings(GOOD, groups=(self.LOBBY, yard)), [asked(2, about=("lobby",))], PARAMS)
        assert choice.about == ("yard",)

    def test_nobody_is_asked_about_what_the_window_does_not_have(self):
        gone = group(name="lobby", clips=0, labelled=0)
        choice = decide(findings(GOOD, groups=(gone,)), [], PARAMS)
        assert choice.what == "benign drift: no retraining"
        assert "of lobby alone it is not known" in choice.why

    @pytest.mark.parametrize("known", [GOOD, BAD])
    def test_labels_that_tell_end_it(self, known):
        choice = decide(findings(GOOD, groups=(group(known, name="lobby"),)), [], PARAMS)
        assert choice.action == ("nothing" if known is GOOD else "retrain")
        assert "not known" not in choice.why

    def test_one_that_has_not_changed_is_not_asked_about(self):
        still = self.LOBBY.model_copy(update={"evidence": 2.0})
        assert decide(findings(GOOD, groups=(still,)), [], PARAMS).what == "benign drift: no retraining"

    def test_the_estimate_alone_is_not_the_last_word_on_it(self):
        found = findings(SEEMS_GOOD, groups=(self.LOBBY,))
        assert decide(found, [], PARAMS).about == ()
        assert decide(found, [asked(7)], PARAMS).about == ("lobby",)


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


def test_a_champion_that_was_made_to_repair_is_said_to_have_once_labels_have_measured_it():
    inherited = Inherited(version=2, alarm=ALARM, since="2026-01-09")
    choice = decide(findings(GOOD).model_copy(update={"inherited": inherited}), [], PARAMS)
    assert (choice.action, choice.what) == ("nothing", REPAIRED)
    assert decide(findings(BAD).model_copy(update={"inherited": inherited}), [], PARAMS).action == "retrain"


def test_people_who_answer_are_asked_again_though_their_labels_slide_out_of_the_window():
    few = findings(BAD, labelled=10)
    last = asked(1, labelled=60)
    assert decide(few, [last], PARAMS).what == "wait for labels"
    assert decide(few, [replace(last, labels=40)], PARAMS).what == "ask for labels"
