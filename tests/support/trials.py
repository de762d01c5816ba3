"""Trials that take no time: a script that speaks a trial's protocol, and does what its learning rate says."""

import json
import sys
from pathlib import Path
from typing import Any

from models.spec import FineTuneParams, ModelParams
from tasks.params.training import SearchParams

MODEL = ModelParams.model_validate({"family": "c3d", "flavour": "debug", "head": {"name": "linear", "dropout": 0.2}})
JOB = FineTuneParams(method="head", epochs=5, lr=0.01, early_stopping_patience=0)

_SCRIPT = """
import json, math, os, sys, time
spec = json.load(sys.stdin)
lr, how = spec["job"]["lr"], json.load(open({how!r}))
with open({log!r}, "a") as log:
    log.write(json.dumps(dict(spec, pid=os.getpid())) + "\\n")
behaviour = next((what for above, what in sorted(how.items(), reverse=True) if lr > float(above)), "learn")
for epoch in range(1, spec["job"]["epochs"] + 1):
    loss = abs(math.log10(lr) + 3) + spec["model"]["head"]["dropout"] + 1 / epoch
    if behaviour == "crash":
        sys.exit("no such luck")
    if behaviour == "kill":
        os.kill(os.getpid(), 9)
    if behaviour == "diverge":
        print(json.dumps(dict(diverged="the loss is inf")), flush=True)
        sys.exit(0)
    if behaviour == "refuse":
        print(json.dumps(dict(failed="params.yaml: there is no such flavour")), flush=True)
        sys.exit(2)
    if behaviour == "nan":
        loss = math.nan
    if behaviour == "noise":
        print("not a message", flush=True)
    if behaviour == "slow":
        time.sleep(0.4)
    if behaviour == "hang" and epoch == 3:
        time.sleep(600)
    message = dict(epoch=epoch, phase="head", train_loss=loss, train_accuracy=0.5, val_loss=loss,
                   val_accuracy=1 / (1 + loss), lr=lr, seconds=0.0)
    print(json.dumps(message), flush=True)
"""


class FakeTrials:
    """The command of such trials, what they are to do, and what they were told.

    Attributes:
        command: Starts one.
    """

    def __init__(self, folder: Path) -> None:
        self._how, self._log = folder / "how.json", folder / "log.jsonl"
        script = folder / "fake_trial.py"
        script.write_text(_SCRIPT.format(how=str(self._how), log=str(self._log)))
        self.command = (sys.executable, "-S", str(script))
        self.behave({})

    def behave(self, how: dict[float, str]) -> None:
        """What happens above each learning rate, as ``crash``, ``kill``, ``diverge``, ``nan``, ``slow`` or ``hang``."""
        self._how.write_text(json.dumps(how))

    @property
    def told(self) -> list[dict[str, Any]]:
        """The specification of each trial that started, and its ``pid``."""
        return [json.loads(line) for line in self._log.read_text().splitlines()] if self._log.exists() else []


def search_params(**changes: Any) -> SearchParams:
    """A search of four trials, one at a time, over the learning rate and the head's dropout."""
    space = {"lr": {"low": 1e-4, "high": 1.0, "log": True}, "head.dropout": {"low": 0.0, "high": 0.5}}
    content = {"trials": 4, "slots": 1, "warmup_trials": 2, "job": JOB.model_dump(), "space": space}
    return SearchParams.model_validate(content | changes)
