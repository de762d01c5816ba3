import io
import json
import os
import subprocess
import sys

import pytest

from models.errors import DivergedError, UserError
from models.loop import Epoch
from tasks.trial import Spec, run
from tests.support.trials import JOB, MODEL

EPOCH = Epoch(1, "head", 0.5, 0.6, 0.7, 0.8, 0.01, 2.0)


@pytest.fixture
def spec():
    return Spec(MODEL.model_dump(mode="json"), JOB.model_dump(mode="json"), "/data", 3, "/features", None)


def said(spec, job, monkeypatch):
    """The exit code of a trial that does ``job``, and its messages."""
    monkeypatch.setattr("tasks.job.job", job)
    protocol = io.StringIO()
    return run(spec, protocol), [json.loads(line) for line in protocol.getvalue().splitlines()]


def test_the_job_is_the_one_of_the_specification(spec, monkeypatch):
    asked = {}

    def job(model, params, data, **options):
        asked.update(options, model=model, params=params, data=data)

    assert said(spec, job, monkeypatch) == (0, [])
    assert (asked["model"], asked["params"]) == (MODEL, JOB)
    assert (str(asked["data"]), str(asked["feature_cache"])) == ("/data", "/features")
    assert (asked["seed"], asked["checkpoint"]) == (3, None)


def test_each_epoch_is_a_line(spec, monkeypatch):
    code, messages = said(spec, lambda *_, on_epoch, **__: on_epoch(EPOCH), monkeypatch)
    assert code == 0
    assert messages == [
        {
            "epoch": 1, "phase": "head", "train_loss": 0.5, "train_accuracy": 0.6,
            "val_loss": 0.7, "val_accuracy": 0.8, "lr": 0.01, "seconds": 2.0,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(DivergedError("inf"), 0, {"diverged": "inf"}), (UserError("no data"), 2, {"failed": "no data"})],
)
def test_what_a_person_can_mend_is_said(spec, monkeypatch, error, code, message):
    def job(*_, **__):
        raise error

    assert said(spec, job, monkeypatch) == (code, [message])


def test_other_errors_end_the_process(spec, monkeypatch):
    def job(*_, **__):
        raise MemoryError

    with pytest.raises(MemoryError):
        said(spec, job, monkeypatch)


def test_stdout_belongs_to_the_protocol():
    code = (
        "import os, sys; from tasks import trial\n"
        "protocol = trial._own_stdout()\n"
        "print('chatter'); sys.stdout.flush(); os.write(1, b'chatter of a library')\n"
        "print('message', file=protocol, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout == "message\n"
    assert "chatter of a library" in done.stderr
