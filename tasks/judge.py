"""Is a new version better than the champion? Both answer for the same test clips; what counts is sources, not clips.

Legend: N clips.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.clips.loader import ClipLoader
from models.clips.manifest import labels_of, read_manifest
from models.errors import UserError
from models.predict import predict
from models.saved import load_model
from tasks import layout
from tasks.decisions import Decision, decision, decisions, record
from tasks.params import JudgeParams, Params
from tasks.register import content_key
from tasks.registry.champion import observe
from tasks.registry.client import find_version, reachable, registry
from tasks.registry.lock import alone_with
from tasks.registry.names import KEY, VERDICT
from tasks.registry.trust import verified_model
from tasks.statistics.bootstrap import Interval, is_rough, paired_source_bootstrap

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

_DIGITS = 6
_HEADING = "**Verdict**"

Outcome = Literal["first", "better", "not worse", "worse", "undecided"]


@dataclass(frozen=True)
class Verdict:
    """How a version compares with the champion.

    Attributes:
        version: The version that was judged.
        champion: The champion's version; None where there is none.
        outcome: ``better``: the interval of the difference lies above zero. ``not worse``: it lies above minus the
            tolerance. ``worse``: it lies below zero. ``undecided``: none of these. ``first``: nothing to compare with.
        difference: Accuracy of the version minus accuracy of the champion.
        low: Lower end of the difference's interval.
        high: Upper end.
        num_clips: Test clips that both answered for.
        num_sources: Their sources.
        text: The verdict as a sentence.
    """

    version: int
    champion: int | None
    outcome: Outcome
    difference: float | None
    low: float | None
    high: float | None
    num_clips: int
    num_sources: int
    text: str


def judge(workspace: Path, params: Params, version: int) -> Verdict:
    """Compare ``version``, which ``workspace`` made, with the champion on the current dataset's test clips.

    The verdict stands on the version as tags and in the decision log, once for the same versions, data and section
    ``judge`` of params.yaml.

    Raises:
        UserError: The version does not exist or was not made by this workspace, its results are missing, or the
            champion's files are not what was registered.
    """
    client, name = registry(), params.base.name
    judged = find_version(client, name, version)
    if judged.tags.get(KEY) != content_key(workspace):
        raise UserError(
            f"{name}: version {version} was not made from {workspace / 'dvc.lock'}; judge it in its own round"
        )
    with alone_with(name):
        champion = observe(client, name).current
    key = _key(name, version, champion, judged, params.judge)
    known = _last_judged(name, version) if champion == version else decision(key)
    if known:
        verdict = Verdict(**known.evidence)
    elif champion is None or champion == version:
        verdict = _first(version, champion)
    else:
        verdict = _compared(client, workspace, params, version, find_version(client, name, champion))
    if not known:
        record("judge", name, f"version {version}: {verdict.outcome}", verdict.text, asdict(verdict), key=key)
    _tag(client, name, verdict)
    return verdict


def _key(name: str, version: int, champion: int | None, judged: "ModelVersion", params: JudgeParams) -> str:
    terms = hashlib.sha256(json.dumps([judged.tags[KEY], params.model_dump()], sort_keys=True).encode()).hexdigest()
    return f"judge:{name}:{version}:{judged.source}:{champion}:{terms[:16]}"


def _last_judged(name: str, version: int) -> Decision | None:
    """What was said of a champion before it became that: against itself there is nothing to say."""
    rows = decisions(limit=None, subject=name, kind="judge")
    return next((row for row in rows if row.evidence["version"] == version), None)


def _first(version: int, champion: int | None) -> Verdict:
    reason = "it is the champion itself" if champion == version else "there is no champion"
    text = f"Version {version} has nothing to be compared with: {reason}."
    return Verdict(version, champion, "first", None, None, None, 0, 0, text)


def _compared(
    client: "MlflowClient", workspace: Path, params: Params, version: int, opponent: "ModelVersion"
) -> Verdict:
    clips = _test_clips(workspace)
    challenger_N = _challengers_correct(workspace, clips)
    champion_N, unknown = _champions_correct(client, workspace, params, opponent, clips)
    sources_N = clips["source_id"].to_numpy()
    interval = paired_source_bootstrap(
        challenger_N,
        champion_N,
        sources_N,
        resamples=params.judge.bootstrap,
        confidence=params.judge.confidence,
        seed=params.base.seed,
    )
    outcome = outcome_of(interval, params.judge.tolerance)
    num_sources = len(np.unique(sources_N))
    text = _sentence(version, int(opponent.version), outcome, interval, params.judge, len(clips), num_sources)
    if is_rough(sources_N):
        text += " So few sources make the interval rough."
    if unknown:
        text += f" The champion does not know {', '.join(unknown)}; clips of those count against it."
    return Verdict(
        version,
        int(opponent.version),
        outcome,
        round(interval.estimate, _DIGITS),
        round(interval.low, _DIGITS),
        round(interval.high, _DIGITS),
        len(clips),
        num_sources,
        text,
    )


def _test_clips(workspace: Path) -> pd.DataFrame:
    manifest = read_manifest(workspace / layout.MANIFEST)
    clips = manifest[(manifest["split"] == "test") & manifest["label"].notna()]
    if clips.empty:
        raise UserError(f"{workspace / layout.MANIFEST}: split: no labelled clip is in test; ingest more sources")
    return clips.sort_values("clip_id", ignore_index=True)


def _challengers_correct(workspace: Path, clips: pd.DataFrame) -> NDArray[np.bool_]:
    path = workspace / layout.PREDICTIONS
    try:
        predictions = pq.read_table(path, columns=["clip_id", "predicted"]).to_pandas().set_index("clip_id")
        predicted = predictions.loc[clips["clip_id"], "predicted"].to_numpy()
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: predictions for the test clips are missing ({error}); run `dvc repro`") from None
    correct_N: NDArray[np.bool_] = predicted == clips["label"].to_numpy()
    return correct_N


def _champions_correct(
    client: "MlflowClient", workspace: Path, params: Params, opponent: "ModelVersion", clips: pd.DataFrame
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which clips the champion gets right, and the labels it was never taught; its classes are matched by name."""
    model, card = load_model(verified_model(client, opponent))
    labels: list[str] = card["labels"]
    loader = ClipLoader(workspace / layout.DATA, clips, labels, model.clip_input, params.evaluate.batch_size)
    predicted = np.array(labels, dtype=object)[predict(model, loader).argmax(1)]
    unknown = [label for label in labels_of(clips) if label not in labels]
    correct_N: NDArray[np.bool_] = predicted == clips["label"].to_numpy()
    return correct_N, unknown


def outcome_of(interval: Interval, tolerance: float) -> Outcome:
    """What the interval of a difference in accuracy says; see :class:`Verdict`."""
    if interval.low > 0:
        return "better"
    if interval.low >= -tolerance:
        return "not worse"
    return "worse" if interval.high < 0 else "undecided"


def _sentence(
    version: int,
    champion: int,
    outcome: Outcome,
    interval: Interval,
    params: JudgeParams,
    num_clips: int,
    num_sources: int,
) -> str:
    verdict = {
        "better": f"Version {version} is better than champion {champion}",
        "not worse": f"Version {version} is not worse than champion {champion}, give or take {params.tolerance:g}",
        "worse": f"Version {version} is worse than champion {champion}",
        "undecided": f"Version {version} against champion {champion} is undecided",
    }[outcome]
    numbers = f"{interval.estimate:+.3f} ({params.confidence:.0%} interval {interval.low:+.3f} to {interval.high:+.3f})"
    return f"{verdict}: accuracy {numbers} on {num_clips} test clips of {num_sources} sources."


def _tag(client: "MlflowClient", name: str, verdict: Verdict) -> None:
    """Show the verdict where people promote: as tags, and as the first paragraph of the description."""
    with reachable():
        for field, value in asdict(verdict).items():
            if field != "version" and value is not None:
                tag = VERDICT if field == "outcome" else f"{VERDICT}.{field}"
                client.set_model_version_tag(name, str(verdict.version), tag, str(value))
        written = client.get_model_version(name, str(verdict.version)).description or ""
        paragraphs = [part for part in written.split("\n\n") if not part.startswith(_HEADING)]
        described = "\n\n".join([f"{_HEADING} {verdict.text}", *paragraphs])
        if described != written:
            client.update_model_version(name, str(verdict.version), described)
