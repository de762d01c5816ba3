"""A search's study: in a database, so that it survives; under a name that says what its trials depend on."""

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import OperationalError

from models.errors import UserError
from models.file_digest import sha256_of
from models.spec import ModelParams
from tasks.decisions import engine
from tasks.params.training import SearchParams
from tasks.params.whole import BaseParams
from tasks.settings import Settings

logger = logging.getLogger(__name__)

_RANDOM_TRIALS = 4
"""TPE has nothing to go by in the first trials. Its usual ten would be a whole search of ours."""

_CODE = ("models", "tasks/job.py", "tasks/training_clips.py", "tasks/trial.py")
"""What a trial runs."""

# Attributes of trials in the database.
_DEFAULT, _CHAMPION, _REPLACES, _ERROR, _ACCURACY = "default", "champion", "replaces", "error", "val_accuracy"


def study_key(
    base: BaseParams, model: ModelParams, params: SearchParams, manifest: Path, start: str | None = None
) -> str:
    """Hash of all that decides what a trial yields and which trial comes next.

    Budgets and slots are left out: a search with more trials goes on with those that it has. ``start`` stands for what
    trials start from; see :func:`tasks.champion_note.start_key`.
    """
    weights = Path(model.weights)
    root = Path(__file__).parents[2]
    sources = sorted(
        path for name in _CODE for path in ([root / name] if name.endswith(".py") else root.glob(f"{name}/**/*.py"))
    )
    parts = [
        base.seed,
        model.model_dump(mode="json"),
        params.model_dump(mode="json", exclude={"trials", "retrain_trials", "time_budget_s", "slots"}),
        sha256_of(manifest),
        sha256_of(weights) if weights.is_file() else None,
        start,
        [[path.relative_to(root).as_posix(), sha256_of(path)] for path in sources],
        version("torch"),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextmanager
def open_study(
    name: str,
    space: Mapping[str, BaseDistribution],
    default: Mapping[str, Any],
    params: SearchParams,
    seed: int,
    config: Settings,
    champion: Mapping[str, Any] | None = None,
) -> Iterator["Study"]:
    """The study ``name``, with what an interrupted search left of it put right; one process has it at a time.

    Its first trial is of the values ``default``, its second of the values ``champion`` where they are others.

    Raises:
        UserError: The database cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with _alone(config.home / "studies" / f"{name}.lock"):
        # Optuna's documentation pairs TPE with Hyperband, from forty trials on: each of its brackets needs its own ten.
        # Successive halving judges the first trials by their first epochs. The median fits searches of eight to thirty.
        pruner = optuna.pruners.MedianPruner(
            n_startup_trials=params.warmup_trials, n_warmup_steps=params.job.epochs // 5 + 1
        )
        try:
            engine(config.database).connect().close()
            study = optuna.create_study(
                storage=optuna.storages.RDBStorage(config.database, engine_kwargs=_engine_options(config.database)),
                study_name=name,
                direction="minimize",
                pruner=pruner,
                load_if_exists=True,
            )
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise UserError(f"the database of studies cannot be used: {reason}; check VIDEOLOOP_DATABASE_URL") from None
        yield Study(study, space, default, seed, champion)


class Study:
    """Optuna's study as the search uses it; its methods may be called from several threads.

    A trial counts towards the budget when it came to an end of its own: complete, pruned, or failed with an error. One
    that was cut off together with the search does not count; its configuration is tried again.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Mapping[str, BaseDistribution],
        default: Mapping[str, Any],
        seed: int,
        champion: Mapping[str, Any] | None = None,
    ) -> None:
        self._study = study
        self._space = dict(space)
        self._seed = seed
        self._lock = Lock()
        self._recover()
        if not any(trial.user_attrs.get(_DEFAULT) for trial in self.trials()):
            study.enqueue_trial(dict(default), user_attrs={_DEFAULT: True})
        if champion:  # its values, not its score: that was reached on other data
            study.enqueue_trial(dict(champion), user_attrs={_CHAMPION: True}, skip_if_exists=True)

    @property
    def name(self) -> str:
        """Its name in the database."""
        return self._study.study_name

    def trials(self, *states: TrialState) -> list[FrozenTrial]:
        """Trials by number, of all states where none is given."""
        return self._study.get_trials(deepcopy=False, states=states or None)

    def ended(self) -> list[FrozenTrial]:
        """The trials that count."""
        ended = self.trials(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [trial for trial in ended if trial.state != TrialState.FAIL or _ERROR in trial.user_attrs]

    @property
    def default(self) -> FrozenTrial | None:
        """The default configuration's trial, once it has ended."""
        return next((trial for trial in self.ended() if trial.user_attrs.get(_DEFAULT)), None)

    def ask(self) -> Trial:
        """The next trial: what waits in the queue, else what TPE suggests.

        Each trial is drawn by a sampler with a seed of its own: one sampler with one seed would, started again by a
        resumed search, begin with the values that were tried first.
        """
        with self._lock:
            seed = (self._seed + len(self._study.get_trials(deepcopy=False))) % 2**32
            self._study.sampler = optuna.samplers.TPESampler(n_startup_trials=_RANDOM_TRIALS, seed=seed)
            return self._study.ask(self._space)

    def report(self, trial: Trial, epoch: int, loss: float) -> bool:
        """Note an epoch's loss; return whether ``trial`` should go on. The default configuration always should."""
        if not math.isfinite(loss):
            return False
        trial.report(loss, epoch)
        return is_default(trial) or not trial.should_prune()

    def complete(self, trial: Trial, value: float, accuracy: float) -> None:
        """End ``trial`` with its objective."""
        trial.set_user_attr(_ACCURACY, accuracy)
        self._study.tell(trial, value)

    def prune(self, trial: Trial) -> None:
        """End ``trial``, which does not look promising."""
        self._study.tell(trial, state=TrialState.PRUNED)

    def fail(self, trial: Trial, reason: str) -> None:
        """End ``trial``, which broke down by itself."""
        trial.set_user_attr(_ERROR, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def seconds_spent(self) -> float:
        """Time during which trials that count were running, side by side counted once."""
        spans = [(trial.datetime_start, trial.datetime_complete) for trial in self.ended()]
        seconds, reached = 0.0, datetime.min
        for start, end in sorted((start, end) for start, end in spans if start and end):
            seconds += max((end - max(start, reached)).total_seconds(), 0.0)
            reached = max(reached, end)
        return seconds

    def importances(self) -> dict[str, float]:
        """How much of the objective's variation each field explains (fANOVA, Hutter et al. 2014); largest first.

        Empty where fewer than two trials are complete, or all came out the same.
        """
        values = {trial.value for trial in self.trials(TrialState.COMPLETE)}
        if len(values) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self._seed)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def _recover(self) -> None:
        """Fail the trials that a killed search left running, and queue their configurations again.

        What is to be queued is read off the trials themselves, so being killed in here, too, loses and doubles nothing.
        """
        for trial in self.trials(TrialState.RUNNING):
            self._study.tell(trial.number, state=TrialState.FAIL)
        replaced = {trial.user_attrs.get(_REPLACES) for trial in self.trials()}
        for trial in self.trials(TrialState.FAIL):
            if _ERROR in trial.user_attrs or trial.number in replaced:
                continue
            logger.info("trial %d was interrupted: its configuration is tried again", trial.number)
            attributes = {_REPLACES: trial.number, _DEFAULT: bool(trial.user_attrs.get(_DEFAULT))}
            self._study.enqueue_trial(trial.params, user_attrs=attributes)


def is_default(trial: FrozenTrial | Trial) -> bool:
    """Whether the trial is of the default configuration."""
    return bool(trial.user_attrs.get(_DEFAULT))


def accuracy_of(trial: FrozenTrial) -> float | None:
    """Validation accuracy of a complete trial."""
    return trial.user_attrs.get(_ACCURACY)


def error_of(trial: FrozenTrial) -> str | None:
    """Why a failed trial failed."""
    return trial.user_attrs.get(_ERROR)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("another search works on the same study: waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _engine_options(url: str) -> dict[str, Any]:
    # Trials of several searches write to one SQLite file; a connection to PostgreSQL may be gone after a long trial.
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
