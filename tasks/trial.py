"""One trial of a search, in a process of its own: ``python -m tasks.trial``.

It reads its specification from stdin, one JSON object with the keys of :class:`Spec`, and writes one JSON object a line
on stdout: an epoch (the fields of :class:`models.loop.Epoch`), or why it gives up (``{"diverged": why}``,
``{"failed": why}``). It knows nothing of the search, of MLflow or of Prefect: its parent speaks to them. It dies when
its parent does.
"""

import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

from models.errors import DivergedError, UserError
from models.spec import ContinualParams, FineTuneParams, ModelParams
from tasks.process import die_with_parent


@dataclass(frozen=True)
class Spec:
    """What a trial is told.

    Attributes:
        model: Section ``model`` with the trial's values.
        job: The job with the trial's values.
        data: The dataset's folder.
        seed: Of the job.
        feature_cache: Folder of features that jobs share.
        checkpoint: Folder of the job's checkpoints; None for a job that is over before a checkpoint would pay.
        continual: Section ``continual``.
        champion: Folder of the model to start from; None for a cold start.
    """

    model: dict[str, Any]
    job: dict[str, Any]
    data: str
    seed: int
    feature_cache: str
    checkpoint: str | None
    continual: dict[str, Any] = field(default_factory=dict)
    champion: str | None = None


def run(spec: Spec, protocol: TextIO) -> int:
    """Run the job; return the exit code."""
    from tasks.job import job

    def say(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=protocol, flush=True)

    try:
        job(
            ModelParams.model_validate(spec.model),
            FineTuneParams.model_validate(spec.job),
            Path(spec.data),
            seed=spec.seed,
            continual=ContinualParams.model_validate(spec.continual),
            champion=Path(spec.champion) if spec.champion else None,
            checkpoint=Path(spec.checkpoint) if spec.checkpoint else None,
            feature_cache=Path(spec.feature_cache),
            on_epoch=lambda epoch: say(asdict(epoch)),
        )
    except DivergedError as error:
        say({"diverged": str(error)})
    except UserError as error:
        say({"failed": str(error)})
        return 2
    return 0


def main() -> int:
    """The process."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the search, which decides
    return run(Spec(**json.load(sys.stdin)), _own_stdout())


def _own_stdout() -> TextIO:
    """Stdout for the protocol alone: what libraries print goes to stderr."""
    protocol = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return protocol


if __name__ == "__main__":
    raise SystemExit(main())
