"""The whole of a watch, on a champion that is right about all of its reference."""

import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from tasks.decisions import decisions
from tasks.watch.champion import champion_of
from tasks.watch.decide import REPAIRED
from tasks.watch.memory import memory_file
from tasks.watch.place import incoming_folder
from tasks.watch.watch import _decided, answer, past_decisions, unanswered, watch
from tests.support.registries import own_home
from tests.support.rounds import LABELS
from tests.support.watched import FIRST_DAY, NAME, TRAINED_ON, Clips, add_champion, cameras, comes_in, watch_params

NOW = FIRST_DAY + timedelta(days=10)
STRANGE = Clips(cameras(40, 60), days=(8,), strange=True)
USUAL = Clips(cameras(40, 60), days=(8,))

pytestmark = pytest.mark.usefixtures("watched")


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def test_an_unchanged_world_raises_no_alarm():
    comes_in(USUAL, wrong=False)
    found = watch(watch_params(), NOW)
    assert (found.action, found.decision.what) == ("nothing", "nothing to do")
    assert found.findings.alarm is None


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
    answer(NAME, found.decision.key, version=2, hours=0.5, training_s=60.0)
    assert unanswered(NAME, 1) == []


def test_drift_of_unknown_harm_asks_for_labels_once():
    comes_in(STRANGE)
    found = watch(watch_params(request_clips=10), NOW)
    assert found.action == "label"
    assert len(list((Path(found.decision.evidence["request"]) / "clips").iterdir())) == 10
    again = watch(watch_params(request_clips=10), at(1))
    assert (again.action, again.decision.what) == ("nothing", "wait for labels")


def test_labels_of_clips_that_were_chosen_as_unsure_teach_and_do_not_measure(watched):
    comes_in(STRANGE, wrong=True, share=0.9)
    unmeasured = [f"{camera}-8-{number}-strange" for camera in cameras(40, 60) for number in (0, 1, 2)]
    request = watched / "requests" / "request-1"
    request.mkdir(parents=True)
    (request / "chosen.json").write_text(json.dumps(unmeasured))
    overall = watch(watch_params(), NOW).findings.overall
    assert overall.labelled == 72
    assert [harm.clips for harm in overall.harm if harm.how == "measured"] == [18]


def test_labels_of_sources_that_are_held_out_do_not_teach():
    """The champion's dataset has 12 cameras to train on and 24 to test on."""
    comes_in(Clips(cameras(8, 40), days=(8,), strange=True), wrong=True)
    overall = watch(watch_params(), NOW).findings.overall
    assert (overall.labelled, overall.teaching) == (128, 4 * (4 + 4))


def test_people_are_asked_about_one_broken_camera_that_the_others_hide(watched):
    champion = comes_in(CHANGED[0], Clips(cameras(40, 60), days=(8, 9)), wrong=False)
    found = watch(watch_params(first_looks=0), NOW)
    broken = found.findings.groups[0].model_copy(update={"evidence": 500.0})
    findings = found.findings.model_copy(update={"key": "broken", "alarm": "2026-01-09", "groups": (broken,)})
    data = incoming_folder(champion.recipe)
    clips = read_manifest(data / "manifest.parquet")
    clips.loc[clips["source_id"].eq(broken.name) & clips.index.isin(clips.index[::2]), "label"] = None
    write_manifest(clips, data / "manifest.parquet")
    findings = findings.model_copy(update={"groups": (broken.model_copy(update={"labelled": 0}),)})
    decided = _decided(champion, findings, watch_params())
    assert decided.evidence["about"] == [broken.name]
    asked = pd.read_csv(Path(decided.evidence["request"]) / "labels.csv")
    assert set(asked["source_id"]) == {broken.name}
    assert past_decisions(NAME)[-1].about == (broken.name,)


def test_a_request_draws_from_sources_that_judge_and_chooses_from_those_that_train():
    """The champion's dataset has 12 cameras to train on and 24 to test on."""
    comes_in(Clips(cameras(0, 20), days=(8,), strange=True))
    found = watch(watch_params(request_clips=20, request_at_random=10, request_from_test=0.8), NOW)
    rows = pd.read_csv(Path(found.decision.evidence["request"]) / "labels.csv")
    camera = rows["source_id"].str.removeprefix("cam").astype(int)
    assert (camera[:10] >= 12).sum() == 8
    assert (camera[10:] < 12).all()


def test_harm_on_sources_that_were_not_trained_on_is_not_hidden_by_the_others(watched):
    champion = comes_in(Clips(cameras(0, 36), days=(8,), strange=True), wrong=False)
    data = incoming_folder(champion.recipe)
    clips = read_manifest(data / "manifest.parquet")
    is_new = clips["source_id"].isin(cameras(32, 36))
    clips.loc[is_new, "label"] = [LABELS[label == LABELS[0]] for label in clips.loc[is_new, "label"]]
    write_manifest(clips, data / "manifest.parquet")
    found = watch(watch_params(tolerance=0.13), NOW)
    unlike, whole = [harm for harm in found.findings.overall.harm if harm.how == "measured"]
    assert (unlike.of, unlike.clips, whole.of, whole.clips) == ("sources that were not trained on", 96, "", 144)
    assert unlike.after.estimate == pytest.approx(20 / 24)
    assert whole.after.estimate == pytest.approx(32 / 36)
    assert found.decision.what != "benign drift: no retraining"


CHANGED = (Clips(cameras(40, 60), days=range(8)), Clips(cameras(40, 60), days=(8, 9), strange=True))


def test_harm_is_what_has_become_of_days_since_the_change():
    comes_in(*CHANGED, wrong=True)
    found = watch(watch_params(first_looks=0, window_days=14), NOW)
    assert all(group.since is None for group in found.findings.groups if not group.changed)
    num_days = {"2026-01-09": 2, "2026-01-10": 1}[found.findings.since]
    assert found.findings.overall.clips == 20 * 4 * 10
    assert [harm.clips for harm in found.findings.overall.harm if harm.how == "measured"] == [20 * 4 * num_days]


def test_the_interval_of_measured_accuracy_is_one_of_shares():
    data = incoming_folder(comes_in(STRANGE, wrong=False, share=0.1).recipe) / "manifest.parquet"
    clips = read_manifest(data)
    is_wrong = clips["source_id"] == "cam40"
    clips.loc[is_wrong, "label"] = [LABELS[label == LABELS[0]] for label in clips.loc[is_wrong, "label"]]
    write_manifest(clips, data)
    (measured,) = [harm for harm in watch(watch_params(), NOW).findings.overall.harm if harm.how == "measured"]
    assert measured.drop.low < 0
    assert (measured.after.low, measured.after.estimate, measured.after.high) == (pytest.approx(0, abs=0.05), 0.5, 1)


def test_people_are_asked_about_days_since_the_change():
    comes_in(*CHANGED)
    found = watch(watch_params(first_looks=0, window_days=14, request_clips=20), NOW)
    assert found.action == "label"
    asked = pd.read_csv(Path(found.decision.evidence["request"]) / "labels.csv")
    assert len(asked) == 20
    assert asked["captured_at"].min() >= found.findings.since >= "2026-01-09"


def test_nobody_is_asked_about_days_before_the_change_once_all_since_have_labels():
    comes_in(*CHANGED, wrong=True)
    unlabel = incoming_folder(champion_of(NAME).recipe) / "manifest.parquet"
    clips = read_manifest(unlabel)
    clips.loc[clips["captured_at"] < FIRST_DAY + timedelta(days=8), "label"] = None
    write_manifest(clips, unlabel)
    found = watch(watch_params(first_looks=0, window_days=14, min_labels=1000), NOW)
    assert (found.action, found.decision.what) == ("nothing", "wait for video")
    assert found.decision.why.endswith("every clip since the change has a label")


def test_drift_without_harm_is_benign():
    comes_in(STRANGE, wrong=False)
    found = watch(watch_params(), NOW)
    assert (found.action, found.decision.what) == ("nothing", "benign drift: no retraining")


def test_a_harm_that_retraining_did_not_repair_does_not_loop():
    comes_in(STRANGE, wrong=True, share=0.5)
    first = watch(watch_params(), NOW)
    assert first.action == "retrain"
    answer(NAME, first.decision.key, version=2, hours=0.5, training_s=60.0)
    later = watch(watch_params(cooldown_days=1), at(3))
    assert later.action == "label"
    assert "made version 2, which is not champion" in later.decision.why
    assert len(decisions(None, NAME, "watch")) == 2


@pytest.mark.parametrize(("wrong", "decided"), [(True, "retrain"), (False, REPAIRED)])
def test_a_new_champion_inherits_the_alarm_that_it_was_made_to_repair_until_that_is_measured(
    watched, tmp_path, wrong, decided
):
    with own_home(Path(shutil.copytree(watched, tmp_path / "own"))):
        comes_in(STRANGE, wrong=True)
        first = watch(watch_params(), NOW)
        version = add_champion(tmp_path / "champion", seed=1)
        answer(NAME, first.decision.key, version=version, hours=0.1, training_s=60.0)
        comes_in(Clips(cameras(40, 60), days=(8, 10), strange=True), wrong=wrong)
        found = watch(watch_params(cooldown_days=0), at(1))
        later = watch(watch_params(cooldown_days=0), at(2))
    assert found.findings.alarm == f"{first.findings.alarm}, under version 1"
    assert found.findings.inherited.version == 1
    assert found.decision.what == decided
    assert (later.findings.inherited is None) is (decided == REPAIRED)


def test_labels_that_people_gave_count(tmp_path):
    comes_in(STRANGE)
    assert watch(watch_params(), NOW).action == "label"
    labels = [f"cam{camera}-8-{number}-strange,left" for camera in range(40, 60) for number in range(2)]
    (tmp_path / "person_labels.csv").write_text("\n".join(["clip_id,label", *labels]) + "\n")
    found = watch(watch_params(), at(1))
    assert found.findings.overall.labelled == 40
    (request, *_) = past_decisions(NAME)
    assert 20 <= request.labels <= 40


def test_the_sequential_test_counts_a_day_once_and_only_when_it_is_over():
    comes_in(Clips(cameras(40, 46), days=(7, 8, 9, 10)))
    first = watch(watch_params(first_looks=0), NOW + timedelta(hours=1))
    state = memory_file(first.champion).read_text()
    assert "2026-01-10" in state
    assert "2026-01-11" not in state.partition('"past"')[0].partition('"seen"')[2]
    again = watch(watch_params(first_looks=0, window_days=6), NOW + timedelta(hours=2))
    assert again.findings.overall.evidence == first.findings.overall.evidence


def test_clips_that_made_the_champion_are_left_out():
    comes_in(USUAL, Clips([TRAINED_ON], days=(8,)))
    found = watch(watch_params(), NOW)
    assert found.findings.overall.clips == 80
    assert found.findings.notes == ("4 clips are left out, as they are in the dataset that made the champion",)


def test_other_parameters_of_the_sequential_test_begin_it_anew_and_say_so():
    comes_in(USUAL)
    watch(watch_params(), NOW)
    found = watch(watch_params(false_alarm=0.02), at(1))
    assert found.findings.overall.limit == 100.0
    assert "begins anew" in found.findings.notes[0]


def test_an_alarm_outlives_other_parameters():
    comes_in(STRANGE, wrong=True)
    before = watch(watch_params(), NOW).findings.alarm
    assert before is not None
    after = watch(watch_params(false_alarm=0.02), at(1))
    assert after.findings.alarm == before


class TestBadInput:
    """Each a sentence in the decision log, and nothing else."""

    def halted(self, now: datetime = NOW) -> str:
        found = watch(watch_params(), now)
        assert (found.action, found.decision.what) == ("nothing", "nothing was judged")
        assert found.findings.halted == found.decision.why
        return found.decision.why

    def test_no_clips(self):
        assert "the window has no clips" in self.halted()

    def test_no_clips_of_late(self):
        comes_in(USUAL)
        assert "the window has no clips" in self.halted(at(100))

    def test_all_clips_look_the_same(self, monkeypatch):
        comes_in(USUAL)
        monkeypatch.setattr("tasks.watch.incoming.outputs_of", _same)
        assert "all 80 clips of the window look the same" in self.halted()

    def test_clips_without_finite_features_are_left_out(self, monkeypatch):
        comes_in(USUAL)
        monkeypatch.setattr("tasks.watch.incoming.outputs_of", _broken)
        found = watch(watch_params(), NOW)
        assert found.findings.alarm is None
        assert found.findings.overall.clips == 79
        assert found.findings.notes[0] == "1 clips are left out, as the champion's answer to them is not finite"

    def test_one_source(self):
        comes_in(Clips(cameras(40, 41), days=(7, 8), strange=True), wrong=True)
        found = watch(watch_params(), NOW)
        assert (found.action, found.findings.alarm) == ("nothing", None)
        assert all("too few" in test.says for test in found.findings.overall.tests)

    def test_the_clock_goes_back(self):
        comes_in(STRANGE, wrong=True)
        watch(watch_params(), NOW)
        memory = memory_file(watch(watch_params(), NOW).champion).read_text()
        assert "the clock went back: the last watch was at 2026-01-11 12:00" in self.halted(at(-1))
        assert memory_file(watch(watch_params(), NOW).champion).read_text() == memory

    def test_clips_of_the_future_are_left_out(self):
        comes_in(USUAL, Clips(cameras(60, 61), days=(30,)))
        found = watch(watch_params(), NOW)
        assert found.findings.overall.clips == 80
        assert "4 clips say that they were recorded after this watch" in found.findings.notes[0]

    def test_a_damaged_memory(self):
        champion = comes_in(USUAL)
        memory_file(champion).parent.mkdir(parents=True)
        memory_file(champion).write_text("{")
        assert "the watch's memory is damaged" in self.halted()

    def test_no_such_source(self, tmp_path):
        with pytest.raises(UserError, match="there is no such file or folder"):
            watch(watch_params(), NOW, tmp_path / "nowhere")

    def test_a_source_without_video_is_told_about(self, tmp_path):
        (tmp_path / "day").mkdir()
        found = watch(watch_params(), NOW, tmp_path / "day")
        assert "the window has no clips" in found.decision.why
        assert "no video here" in found.findings.notes[0]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"with_reference": False}, "version 2 of actions has no reference"),
        ({"reference_of_seed": 5}, "the reference of version 2 of actions was made by another model"),
    ],
)
def test_a_champion_without_a_reference_of_its_own_is_not_judged(how, says, watched, tmp_path):
    with own_home(Path(shutil.copytree(watched, tmp_path / "own"))):
        add_champion(tmp_path / "champion", **how)
        comes_in(STRANGE, wrong=True)
        found = watch(watch_params(), NOW)
        assert says in found.decision.why
        assert "run a round and promote its version" in found.decision.why
        assert found.action == "nothing"


def test_without_a_champion_there_is_nothing_to_watch():
    params = watch_params()
    nobody = params.model_copy(update={"base": params.base.model_copy(update={"name": "nobody"})})
    assert watch(nobody, NOW) is None
    assert decisions(None, "nobody", "watch") == []


_KILLED = """
import json, os, signal, sys
from datetime import datetime
import tasks.watch.watch as module
from tasks.decisions import decisions
from tests.support.watched import watch_params

def in_a_process_of_its_own(work):
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    work()
    os._exit(0)

def watch():
    return module.watch(watch_params(), datetime.fromisoformat(sys.argv[1]))

def killed():
    place, name = sys.argv[2].rsplit(".", 1)
    setattr(sys.modules[place], name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    watch()

def again():
    found = watch()
    rows = len(decisions(None, found.champion.name, "watch"))
    print(json.dumps([found.action, rows, len(found.findings.overall.tests)]), flush=True)

assert os.waitstatus_to_exitcode(in_a_process_of_its_own(killed)) == -signal.SIGKILL
assert in_a_process_of_its_own(again) == 0
"""


@pytest.mark.parametrize(
    "moment", ["tasks.watch.incoming.write_outputs", "tasks.watch.watch.remember", "tasks.watch.watch.record"]
)
def test_a_killed_watch_decides_once_when_it_is_done_again(moment):
    comes_in(STRANGE, wrong=True)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, NOW.isoformat(), moment],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["retrain", 1, 3]


def test_a_new_champion_is_watched_from_the_beginning(watched, tmp_path):
    comes_in(STRANGE, wrong=True)
    assert watch(watch_params(), NOW).action == "retrain"
    home = tmp_path / "own"
    shutil.copytree(watched, home)
    with own_home(home):
        add_champion(tmp_path / "second", seed=1)
        found = watch(watch_params(warm_up_days=5), at(1))
        assert found.findings.version == 2
        assert found.findings.days_watched == 0
        assert "watched for 0.0 of 5 days" in found.decision.why


def _same(model, labels, data, clips):
    from tasks.watch.outputs import outputs_of

    found = outputs_of(model, labels, data, clips)
    found.embedding_ND[:] = found.embedding_ND[0]
    return found


def _broken(model, labels, data, clips):
    from tasks.watch.outputs import outputs_of

    found = outputs_of(model, labels, data, clips)
    found.embedding_ND[0, 0] = np.nan
    return found
