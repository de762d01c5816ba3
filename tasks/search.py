"""Search for the best fine-tuning job: ``python -m tasks.search``."""

import hashlib
import json
import logging
import math
import shutil
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from models.errors import UserError
from models.spec import ContinualParams, ModelParams
from tasks import layout
from tasks.champion_note import champion_folder, start_key
from tasks.feature_cache import feature_cache
from tasks.initial_weights import with_local_weights
from tasks.overrides import apply_overrides
from tasks.params.training import SearchParams
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.pretrained import started_from
from tasks.process import run_stage
from tasks.settings import settings
from tasks.slots import Slots, StoppedError, open_slots
from tasks.studies.launch import End, Epoch, Launcher, Outcome
from tasks.tracking import Tracker, tracked
from tasks.trial import Spec

if TYPE_CHECKING:
    from optuna.trial import Trial

    from tasks.studies.study import Study

logger = logging.getLogger(__name__)


def search(
    base: BaseParams,
    model: ModelParams,
    params: SearchParams,
    *,
    continual: ContinualParams | None = None,
    champion: Path | None = None,
    data: Path = layout.DATA,
    out: Path = layout.SEARCH,
    launcher: Launcher | None = None,
) -> None:
    """Try fine-tuning jobs, each in a process of its own, and write which was best.

    The study is in ``settings().database`` under a name that says what its trials depend on: an interrupted search
    goes on where it was, and one whose data, model, space or code have changed starts afresh. The default
    configuration is always among the trials, and the first; a champion's comes second, and then fewer are tried.

    Trials that run side by side end in an order that nobody controls, and what TPE suggests depends on what has ended:
    two searches with more than one slot may try different values. What a search found is recorded as a file, so all
    that comes after it can be reproduced.

    Args:
        base: Name and seed.
        model: The network.
        params: The search.
        continual: How trials go on from a champion without forgetting; default: as the section's defaults say.
        champion: Folder of the model that trials start from; None for a cold start.
        data: The dataset's folder.
        out: Folder of ``best_params.json``, ``trials.csv`` and ``importance.csv``.
        launcher: Starts the trials.

    Raises:
        UserError: The space is wrong, the database or the slots cannot be used, or no trial came to its end.
    """
    from tasks.studies.space import champion_values, default_values, distributions
    from tasks.studies.study import open_study, study_key

    config = settings()
    continual = continual or ContinualParams()
    model = model if champion else with_local_weights(model)
    space, default = distributions(model, params), default_values(model, params)
    key = study_key(base, model, params, _demand_manifest(data), start_key(continual, champion))
    name, slots = f"{base.name}-{key[:20]}", open_slots(config, params.slots)
    incumbent = champion_values(champion, space) if champion else {}
    study_options = (name, space, default, params, base.seed, config)
    with open_study(*study_options, incumbent) as study, tracked("search", base.name) as tracker:
        num_trials = params.retrain_trials if champion else params.trials
        tracker.params({"study": name, "trials": num_trials, "slots": slots.size, **_named("default", default)})
        template = Spec(
            model=model.model_dump(mode="json"),
            job=params.job.model_dump(mode="json"),
            data=str(data.resolve()),
            seed=base.seed,
            feature_cache=str(feature_cache().resolve()),
            checkpoint=None,
            continual=continual.model_dump(mode="json"),
            champion=str(champion.resolve()) if champion else None,
        )
        _Search(study, model, params, num_trials, template, slots, launcher or Launcher(), tracker).run()
        _report(study, out, tracker)


def main() -> None:
    """The stage."""
    params = load_params()
    champion = champion_folder(params.continual)
    search(params.base, started_from(params.model), params.search, continual=params.continual, champion=champion)


class _Search:
    """Trials until the budget is used up."""

    def __init__(
        self,
        study: "Study",
        model: ModelParams,
        params: SearchParams,
        num_trials: int,
        template: Spec,
        slots: Slots,
        launcher: Launcher,
        tracker: Tracker,
    ) -> None:
        self._study = study
        self._model = model
        self._params = params
        self._template = template
        self._slots = slots
        self._launcher = launcher
        self._tracker = tracker
        self._stopped = Event()
        self._lock = Lock()
        self._left = num_trials - len(study.ended())
        spent = study.seconds_spent()
        self._deadline = time.monotonic() + params.time_budget_s - spent if params.time_budget_s else math.inf

    def run(self) -> None:
        """Run the trials that are left."""
        if self._study.default is None and self._uses_features:
            self._left -= 1
            self._one()  # alone: it fills the cache of features for all that follow
        num_workers = min(self._slots.size, self._left)
        if num_workers < 1:
            return
        with ThreadPoolExecutor(num_workers, thread_name_prefix="trial") as workers:
            try:
                running = [workers.submit(self._work) for _ in range(num_workers)]
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stopped.set()
                self._launcher.stop()
        for worker in running:
            worker.result()

    @property
    def _uses_features(self) -> bool:
        return self._params.job.method == "head" or self._params.job.head_epochs > 0

    def _work(self) -> None:
        while self._may_start():
            try:
                self._one()
            except StoppedError:
                return

    def _may_start(self) -> bool:
        with self._lock:
            if self._stopped.is_set() or self._left < 1:
                return False
            if time.monotonic() >= self._deadline:
                logger.info("search.time_budget_s is used up, %d trials are left out", self._left)
                self._left = 0
                return False
            self._left -= 1
            return True

    def _one(self) -> None:
        trial = self._study.ask()
        started_ms = int(time.time() * 1000)
        with self._slots.hold(f"trial {trial.number}", self._stopped) as visit:
            spec = self._spec(trial.params)
            outcome = self._launcher.run(spec, lambda epoch: self._go_on(trial, epoch))
            visit.state, visit.message = outcome.end.value, outcome.reason
        self._tell(trial, outcome)
        if spec.checkpoint:
            shutil.rmtree(spec.checkpoint, ignore_errors=True)
        self._log(trial, outcome, started_ms)

    def _spec(self, values: Mapping[str, Any]) -> Spec:
        model, job = apply_overrides(self._model, self._params.job, values)
        # A trial on cached features takes seconds and starts again; one of the whole network goes on where it was.
        key = hashlib.sha256(json.dumps([self._study.name, values], sort_keys=True).encode()).hexdigest()
        checkpoints = settings().home.resolve() / "checkpoints"
        return replace(
            self._template,
            model=model.model_dump(mode="json"),
            job=job.model_dump(mode="json"),
            checkpoint=str(checkpoints / f"trial-{key[:32]}") if job.method != "head" else None,
        )

    def _go_on(self, trial: "Trial", epoch: Epoch) -> bool:
        return self._study.report(trial, epoch["epoch"], epoch["val_loss"])

    def _tell(self, trial: "Trial", outcome: Outcome) -> None:
        if outcome.end is End.COMPLETE:
            best = min(outcome.epochs, key=lambda epoch: epoch["val_loss"])
            self._study.complete(trial, best["val_loss"], best["val_accuracy"])
            logger.info(
                "trial %d: validation loss %.4f, accuracy %.3f, %s",
                trial.number, best["val_loss"], best["val_accuracy"], _in_words(trial.params),
            )  # fmt: skip
        elif outcome.end is End.PRUNED:
            self._study.prune(trial)
            logger.info("trial %d: pruned (%s), %s", trial.number, outcome.reason, _in_words(trial.params))
        else:
            self._study.fail(trial, outcome.reason)
            logger.warning("trial %d failed, the search goes on: %s", trial.number, outcome.reason)

    def _log(self, trial: "Trial", outcome: Outcome, started_ms: int) -> None:
        """Show the trial as a nested MLflow run, in three requests once it is over."""
        tags = {"videoloop.trial": str(trial.number), "videoloop.end": outcome.end.value}
        child = self._tracker.child(f"trial {trial.number}", tags, started_ms=started_ms)
        names = ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "seconds")
        metrics = {epoch["epoch"]: {name: epoch[name] for name in names} for epoch in outcome.epochs}
        child.log(metrics=metrics, params=trial.params)
        child.end({End.COMPLETE: "FINISHED", End.PRUNED: "KILLED", End.FAILED: "FAILED"}[outcome.end])


def _report(study: "Study", out: Path, tracker: Tracker) -> None:
    from tasks.studies import results

    best = results.best_params(study)
    trials, importance = results.trial_table(study), results.importance_table(study.importances())
    results.write_csv(trials, out / layout.TRIALS.name)
    results.write_csv(importance, out / layout.IMPORTANCE.name)
    results.write_json(best, out / layout.BEST_PARAMS.name)
    tracker.metrics({"val_loss": best["value"], "val_accuracy": best["val_accuracy"], "num_trials": best["num_trials"]})
    tracker.params(_named("best", best["values"]))
    with tempfile.TemporaryDirectory() as folder:
        results.draw_history(trials, Path(folder) / "history.png")
        results.draw_importance(importance, Path(folder) / "importance.png")
        tracker.artifact(Path(folder), "search")
    tracker.artifact(out, "search")


def _demand_manifest(data: Path) -> Path:
    manifest = data / layout.MANIFEST.name
    if not manifest.is_file():
        raise UserError(f"{manifest}: there is no dataset here; run `videoloop ingest` or `dvc checkout data.dvc`")
    return manifest


def _named(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _in_words(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()
    )


if __name__ == "__main__":
    run_stage(main)
