"""Is a new version better than the champion? Both answer for the same test clips; what counts is sources, not clips.

Legend: N clips.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from models.build import VideoModel
from models.clips.label_sets import is_multi_label
from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of
from models.errors import UserError
from models.predict import predict
from models.saved import load_model, read_card
from tasks import layout
from tasks.decisions import Decision, decision, decisions, record
from tasks.evaluation.measure import ACCURACY, MEAN_AVERAGE_PRECISION
from tasks.gate.compare import Answers, slices, worlds
from tasks.gate.cost import Contender, Measure, cost_of
from tasks.gate.floors import demand_known_floors, idle_floors
from tasks.gate.latency import median_latencies_ms
from tasks.gate.limits import breaches, tolerated
from tasks.gate.listed import listed
from tasks.gate.outcome import MOST_CLAUSES, outcome_of, sentences
from tasks.gate.ranked import Ranked
from tasks.gate.show import show
from tasks.gate.verdict import Verdict
from tasks.gate.worlds import HeldOut, held_out, past_of
from tasks.params.whole import Params
from tasks.register import content_key
from tasks.registry.champion import observe
from tasks.registry.client import find_version, registry
from tasks.registry.lock import alone_with
from tasks.registry.names import KEY
from tasks.registry.trust import verified_model
from tasks.report.environment import visible
from tasks.statistics.bootstrap import is_rough

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def judge(workspace: Path, params: Params, version: int, *, measure: Measure = median_latencies_ms) -> Verdict:
    """Compare ``version``, which ``workspace`` made, with the champion on the current dataset's test clips.

    The verdict stands in the decision log, once for the same versions, data and section ``judge`` of params.yaml; and
    on the version and on the report that MLflow shows.

    Args:
        workspace: The round's folder.
        params: Its parameters.
        version: Which.
        measure: How latencies are measured.

    Raises:
        UserError: The version does not exist or was not made by this workspace, its results are missing, a floor is of
            a class or group that does not exist, or the champion's files are not what was registered.
    """
    client, name = registry(), params.base.name
    judged = find_version(client, name, version)
    if judged.tags.get(KEY) != content_key(workspace):
        raise UserError(
            f"{name}: version {version} was not made from {workspace / 'dvc.lock'}; judge it in its own round"
        )
    with alone_with(name):
        champion = observe(client, name).current
    key = _key(name, version, champion, judged, params)
    known = _last_judged(name, version) if champion == version else decision(key)
    if known is None:
        demand_known_floors(workspace, params.judge, params.watch)
        if champion is None or champion == version:
            verdict = _first(workspace, params, version, champion, measure)
        else:
            verdict = _compared(client, workspace, params, version, find_version(client, name, champion), measure)
        known = record("judge", name, f"version {version}: {verdict.outcome}", verdict.text, asdict(verdict), key=key)
    verdict = Verdict.read(known.evidence)
    show(client, name, verdict, workspace, params.judge)
    return verdict


def _key(name: str, version: int, champion: int | None, judged: "ModelVersion", params: Params) -> str:
    # Who promotes changes nothing about what is found.
    rules = {**params.judge.model_dump(exclude={"promote"}), "groups": params.watch.groups}
    terms = hashlib.sha256(json.dumps([judged.tags[KEY], rules], sort_keys=True).encode()).hexdigest()
    return f"judge:{name}:{version}:{judged.source}:{champion}:{terms[:16]}"


def _last_judged(name: str, version: int) -> Decision | None:
    """What was said of a champion before it became that: against itself there is nothing to say."""
    rows = decisions(limit=None, subject=name, kind="judge")
    return next((row for row in rows if row.evidence["version"] == version), None)


def _first(workspace: Path, params: Params, version: int, champion: int | None, measure: Measure) -> Verdict:
    """A verdict without a comparison: limits are looked at and said, and block nothing, as nothing else is there."""
    clips = held_out(workspace, None, params.split, params.watch).clips
    ours_N = _challengers_answers(workspace, clips)
    model, _ = _loaded(workspace / layout.MODEL)
    cost = cost_of(Contender.of_round(model, workspace), workspace, clips, measure)
    parts = slices(clips, ours_N, None, params.judge, seed=params.base.seed)
    reason = "it is the champion itself" if champion == version else "there is no champion"
    text = f"Version {version} has nothing to be compared with: {reason}."
    if beyond := breaches(parts, cost, params.judge):
        text += f" Beyond a limit, and not blocked for that: {listed(beyond, MOST_CLAUSES, '; ')}."
    if idle := idle_floors(parts, params.judge):
        text += f" {_idle(idle)}"
    return Verdict(version, champion, "first", text, params.judge.tolerance, params.judge.confidence, slices=parts,
                   cost=cost, measure=_measured_by(clips))  # fmt: skip


def _compared(
    client: "MlflowClient",
    workspace: Path,
    params: Params,
    version: int,
    opponent: "ModelVersion",
    measure: Measure,
) -> Verdict:
    rules, seed, champion = params.judge, params.base.seed, int(opponent.version)
    test = held_out(workspace, past_of(client, opponent), params.split, params.watch)
    if test.clips.empty:
        return _nothing_held_out(version, champion, test, params)
    ours_N, measured_by = _challengers_answers(workspace, test.clips), _measured_by(test.clips)
    theirs = _Opponent.load(verified_model(client, opponent, to_answer=True))
    theirs_N = theirs.answers(workspace, test.clips, params.evaluate.batch_size)
    found = worlds(test.clips, ours_N, theirs_N, rules, seed=seed)
    parts = slices(test.clips, ours_N, theirs_N, rules, seed=seed)
    model, _ = _loaded(workspace / layout.MODEL)
    opponent_serves = Contender.registered(theirs.model, theirs.folder)
    cost = cost_of(Contender.of_round(model, workspace), workspace, test.clips, measure, opponent_serves)
    new, old = found.get("new"), found.get("old")
    blocks = [*filter(None, [test.leak(champion)]), *breaches(parts, cost, rules)]
    said = sentences(
        version,
        champion,
        new,
        old,
        tolerance=rules.tolerance,
        confidence=rules.confidence,
        blocks=blocks,
        measure=measured_by,
    )
    notes = _notes(test, theirs.unknown(test.clips))
    if low := tolerated(parts):
        notes.append(f"Below a floor, as the champion is: {listed(low, MOST_CLAUSES, '; ')}.")
    if idle := idle_floors(parts, rules):
        notes.append(_idle(idle))
    return Verdict(
        version,
        champion,
        outcome_of(new, old, rules.tolerance, blocks),
        " ".join([said, *notes]),
        rules.tolerance,
        rules.confidence,
        new,
        old,
        found["all"],
        parts,
        cost,
        tuple(blocks),
        test.left_out,
        measured_by,
    )


def _nothing_held_out(version: int, champion: int, test: HeldOut, params: Params) -> Verdict:
    """No test clip counts: of two versions that cannot be compared none is called better."""
    rules, blocks = params.judge, [*filter(None, [test.leak(champion)])]
    text = sentences(
        version, champion, None, None, tolerance=rules.tolerance, confidence=rules.confidence, blocks=blocks
    )
    return Verdict(
        version, champion, outcome_of(None, None, rules.tolerance, blocks), " ".join([text, *_notes(test, [])]),
        rules.tolerance, rules.confidence, blocks=tuple(blocks), left_out=test.left_out,
    )  # fmt: skip


def _notes(test: HeldOut, unknown: list[str]) -> list[str]:
    notes: list[str] = []
    if any(is_rough(clips["source_id"]) for _, clips in test.clips.groupby("world")):
        notes.append("So few sources make the interval rough.")
    if unknown:
        names = listed([*map(visible, unknown)], MOST_CLAUSES)
        notes.append(f"The champion does not know {names}; clips of those count against it.")
    if test.chosen:
        notes.append(f"{test.chosen} new clips do not count: people were asked for them where a model was unsure.")
    return notes


def _idle(names: list[str]) -> str:
    return f"There is no test clip for the floor of {listed(names, MOST_CLAUSES)}."


def _measured_by(clips: pd.DataFrame) -> str:
    return (MEAN_AVERAGE_PRECISION if is_multi_label(clips) else ACCURACY).name


def _challengers_answers(workspace: Path, clips: pd.DataFrame) -> Answers:
    path, column = workspace / layout.PREDICTIONS, "probabilities" if is_multi_label(clips) else "predicted"
    try:
        predictions = pq.read_table(path, columns=["clip_id", column]).to_pandas().set_index("clip_id")
        predicted = predictions.loc[clips["clip_id"], column].to_numpy()
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: predictions for the test clips are missing ({error}); run `dvc repro`") from None
    if is_multi_label(clips):
        return Ranked.of(clips, np.stack(predicted), read_card(workspace / layout.MODEL)["labels"], labels_of(clips))
    correct_N: NDArray[np.bool_] = predicted == clips["label"].to_numpy()
    return correct_N


@dataclass(frozen=True)
class _Opponent:
    """The champion, whose classes are matched by name."""

    model: VideoModel
    folder: Path
    labels: list[str]

    @classmethod
    def load(cls, folder: Path) -> "_Opponent":
        model, labels = _loaded(folder)
        return cls(model, folder, labels)

    def answers(self, workspace: Path, clips: pd.DataFrame, batch_size: int) -> Answers:
        """What it says of ``clips``.

        Raises:
            UserError: It does not answer what is asked.
        """
        if self.model.multi_label != is_multi_label(clips):
            raise UserError(
                "params.yaml: base.name: of its champion and the dataset one has a single class a clip and the other "
                "any number of labels: they cannot be compared; give the new model a name of its own"
            )
        device = next(self.model.parameters()).device
        loader = ClipLoader(
            workspace / layout.DATA, clips, self.labels, self.model.clip_input, batch_size, device=device
        )
        probabilities_NK = predict(self.model, loader)
        if self.model.multi_label:
            return Ranked.of(clips, probabilities_NK, self.labels, labels_of(clips))
        predicted = np.array(self.labels, dtype=object)[probabilities_NK.argmax(1)]
        correct_N: NDArray[np.bool_] = predicted == clips["label"].to_numpy()
        return correct_N

    def unknown(self, clips: pd.DataFrame) -> list[str]:
        """The labels that it was never taught."""
        return [label for label in labels_of(clips) if label not in self.labels]


def _loaded(folder: Path) -> tuple[VideoModel, list[str]]:
    """A model on the device that would serve it, and its labels."""
    model, card = load_model(folder)
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), list(card["labels"])
