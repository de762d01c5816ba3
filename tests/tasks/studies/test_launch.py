import os
import threading
import time

import pytest

from tasks.slots import StoppedError
from tasks.studies.launch import End, Launcher
from tasks.trial import Spec
from tests.support.trials import JOB, MODEL, FakeTrials


@pytest.fixture
def fakes(tmp_path):
    return FakeTrials(tmp_path)


@pytest.fixture
def spec():
    return Spec(MODEL.model_dump(mode="json"), JOB.model_dump(mode="json"), "data", 0, "features", None)


def go_on(epoch):
    return True


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_trial_is_told_its_job_and_heard_epoch_by_epoch(fakes, spec):
    heard = []
    outcome = Launcher(fakes.command).run(spec, lambda epoch: heard.append(epoch["epoch"]) or True)
    assert outcome.end is End.COMPLETE
    assert [epoch["epoch"] for epoch in outcome.epochs] == heard == [1, 2, 3, 4, 5]
    (told,) = fakes.told
    assert told["job"] == spec.job
    assert gone(told["pid"])


@pytest.mark.parametrize(
    ("behaviour", "end", "reason"),
    [
        ("crash", End.FAILED, "exit code 1: no such luck"),
        ("kill", End.FAILED, "memory"),
        ("refuse", End.FAILED, "params.yaml: there is no such flavour"),
        ("diverge", End.PRUNED, "the loss is inf"),
    ],
)
def test_a_trial_that_ends_badly_says_why(fakes, spec, behaviour, end, reason):
    fakes.behave({0: behaviour})
    outcome = Launcher(fakes.command).run(spec, go_on)
    assert outcome.end is end
    assert reason in outcome.reason


def test_a_line_that_is_no_message_is_passed_over(fakes, spec):
    fakes.behave({0: "noise"})
    outcome = Launcher(fakes.command).run(spec, go_on)
    assert (outcome.end, len(outcome.epochs)) == (End.COMPLETE, 5)


def test_a_command_that_says_nothing_has_failed(spec):
    assert Launcher(["true"]).run(spec, go_on).end is End.FAILED


def test_a_trial_that_is_not_promising_is_killed_at_once(fakes, spec):
    fakes.behave({0: "hang"})
    outcome = Launcher(fakes.command).run(spec, lambda epoch: epoch["epoch"] < 2)
    assert (outcome.end, outcome.reason) == (End.PRUNED, "not promising after epoch 2")
    assert gone(fakes.told[0]["pid"])


def test_an_error_in_the_listener_leaves_no_process(fakes, spec):
    def broken(epoch):
        raise ZeroDivisionError

    fakes.behave({0: "hang"})
    with pytest.raises(ZeroDivisionError):
        Launcher(fakes.command).run(spec, broken)
    assert gone(fakes.told[0]["pid"])


def test_stop_kills_what_runs_and_refuses_what_comes(fakes, spec):
    fakes.behave({0: "hang"})
    launcher = Launcher(fakes.command)
    ended = []

    def run():
        try:
            launcher.run(spec, go_on)
        except StoppedError:
            ended.append("stopped")

    thread = threading.Thread(target=run)
    thread.start()
    while not fakes.told:
        time.sleep(0.01)
    launcher.stop()
    thread.join(timeout=10)
    assert ended == ["stopped"]
    with pytest.raises(StoppedError):
        launcher.run(spec, go_on)
    assert len(fakes.told) == 1
