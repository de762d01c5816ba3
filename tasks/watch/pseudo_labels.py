"""A round lets the champion label video that came in and that nobody has labelled, where params.yaml allows it.

Only what it is right about often enough, on its reference, by the lower bound of an interval over sources. That is no
promise where the world has changed, so that nothing is labelled before a watch has looked or after an alarm. And it
never confirms itself: what it was trained on, pseudo-labels of earlier champions included, it does not label.

Legend: N clips.
"""

import hashlib
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.clips.manifest import PSEUDO, SCHEMA, read_manifest
from models.errors import UserError
from tasks.decisions import Decision, decision, record
from tasks.labelling.outputs import Outputs
from tasks.labelling.pseudo import Threshold, calibrated_threshold, pseudo_label
from tasks.labelling.table import read_label_table
from tasks.layout import MANIFEST, PERSON_LABELS
from tasks.params.whole import Params
from tasks.video.clips import Recipe
from tasks.watch.adopt import adopt
from tasks.watch.champion import Champion, champion_if_any, reference_of
from tasks.watch.incoming import seen_by
from tasks.watch.memory import past_findings

logger = logging.getLogger(__name__)

KIND = "pseudo"

_EMPTY = np.empty((0, 1), np.float32)
_NOTHING = Outputs(pd.DataFrame({"clip_id": []}, dtype=object), _EMPTY, _EMPTY, [])


def take_pseudo_labels(data: Path, params: Params) -> str:
    """Let the champion label clips that came in, once for what people have labelled; a row of the decision log says so.

    Nothing is labelled where people have labelled nothing that the champion does not know, and with the same labels of
    people the same clips are labelled, whatever came in since: a model's own guesses start no training. Switched off,
    pseudo-labels that the dataset has are taken back.

    Args:
        data: The dataset's folder, with what people have labelled.
        params: All of params.yaml.

    Returns:
        What was done, for people; empty where nothing was.

    Raises:
        UserError: MLflow does not answer, or the dataset or what came in is damaged.
    """
    if not params.pseudo.enabled:
        return _taken_back(data, params)
    champion = champion_if_any(params.base.name)
    by_people = _labelled_by_people(read_manifest(data / MANIFEST.name))
    if champion is None or set(by_people["clip_id"]) <= champion.clip_ids:
        return ""
    decided = _decided(data, champion, by_people, params)
    wanted, split, seed = decided.evidence["clips"], params.split, params.base.seed
    adopt(data, params.ingest, split, seed=seed, wanted=wanted)
    clips = _came_in(champion)
    outputs = seen_by(champion, clips[clips["clip_id"].isin(wanted)]) if wanted else _NOTHING
    done = pseudo_label(outputs, data, decided.evidence["confidence"], split, seed=seed)
    logger.info("pseudo-labels: %d clips, %d withheld, %d taken back", done.clips, done.withheld, done.removed)
    return f"{decided.what}: {decided.why}"


def _taken_back(data: Path, params: Params) -> str:
    clips = read_manifest(data / MANIFEST.name)
    pseudo = clips.loc[clips["label_origin"] == PSEUDO, "clip_id"].tolist()
    if not pseudo:
        return ""
    pseudo_label(_NOTHING, data, 1.0, params.split, seed=params.base.seed)
    what, why = f"the pseudo-labels of {len(pseudo)} clips are taken back", "pseudo.enabled is false in params.yaml"
    record(KIND, params.base.name, what, why, {"clips": pseudo}, key=_key(params, "off", pseudo))
    return f"{what}: {why}"


def _decided(data: Path, champion: Champion, by_people: pd.DataFrame, params: Params) -> Decision:
    """What the champion labels for what people have labelled: decided once."""
    key = _key(params, champion.version, champion.weights, by_people[["clip_id", "label"]].to_numpy().tolist())
    if known := decision(key):
        return known
    evidence: dict[str, Any] = {"version": champion.version, "clips": [], "confidence": 1.0}
    found = _threshold(champion, params)
    if isinstance(found, str):
        return record(KIND, params.base.name, "no clips are labelled by the model", found, evidence, key=key)
    clips = _sure(data, champion, by_people, params, found.confidence)
    evidence |= {"clips": clips, "confidence": found.confidence, "reference": asdict(found)}
    why = (
        f"champion {champion.version} is right about {found.precision.estimate:.1%} of {found.clips} clips of "
        f"{found.sources} sources in its reference of which it is at least {found.confidence:.3f} sure, and about "
        f"{found.precision.low:.1%} at least; pseudo.precision asks for {params.pseudo.precision:.1%}"
    )
    what = f"{len(clips)} clips are labelled by the model, to train on"
    return record(KIND, params.base.name, what, why, evidence, key=key)


def _key(params: Params, *content: object) -> str:
    told = json.dumps([*content, params.pseudo.model_dump(mode="json")], sort_keys=True)
    return f"{KIND}:{params.base.name}:{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _labelled_by_people(dataset: pd.DataFrame) -> pd.DataFrame:
    """Clips whose label comes from people or from a source of video, in the order of their identities."""
    return dataset[dataset["label"].notna() & (dataset["label_origin"] != PSEUDO)].sort_values("clip_id")


def _threshold(champion: Champion, params: Params) -> Threshold | str:
    """From which confidence on the champion may label, or why it may not."""
    if champion.multi_label:
        return f"champion {champion.version} names any number of labels a clip, and a model does not label such clips"
    if champion.recipe != Recipe.of(params.ingest):
        return "the champion's video was stored otherwise than section ingest of params.yaml says"
    if why_not := _may_have_changed(champion):
        return why_not
    try:
        reference = reference_of(champion)
    except UserError as error:
        return str(error)
    held_out = reference.part(((reference.clips["split"] != "train") & reference.clips["label"].notna()).to_numpy())
    found = calibrated_threshold(
        held_out.confidence(),
        held_out.said() == held_out.clips["label"].to_numpy(),
        held_out.clips["source_id"].to_numpy(),
        target=params.pseudo.precision,
        level=params.pseudo.confidence,
        resamples=params.pseudo.bootstrap,
        seed=params.base.seed,
    )
    return found or (
        f"no confidence of champion {champion.version} is right {params.pseudo.precision:.1%} of the time for certain, "
        f"on {len(held_out.clips)} clips of {held_out.clips['source_id'].nunique()} sources in its reference"
    )


def _may_have_changed(champion: Champion) -> str:
    """Why the world may not be that of the reference any more, if so: whatever is not known counts as a change."""
    past = past_findings(champion)
    if not past:
        return f"no watch of champion {champion.version} has ended whose memory can be read; run `videoloop watch`"
    alarms = [findings.alarm for findings in past if findings.alarm]
    return f"the watch of champion {champion.version} has raised an alarm ({alarms[-1]})" if alarms else ""


def _sure(data: Path, champion: Champion, by_people: pd.DataFrame, params: Params, threshold: float) -> list[str]:
    """Clips that came in which the champion may label, drawn where there are more than ``pseudo.clips``."""
    clips = _came_in(champion)
    labelled = {*read_label_table(data.parent / PERSON_LABELS.name), *by_people["clip_id"]}
    fit_N = clips["label"].isna() & ~clips["clip_id"].isin(list(labelled | champion.clip_ids))
    if params.split.by != "time":
        tested_on = by_people.loc[by_people["split"].isin(["val", "test"]), "source_id"]
        fit_N &= ~clips["source_id"].isin(tested_on)
    if not fit_N.any():
        return []
    outputs = seen_by(champion, clips[fit_N])
    sure_N = np.isfinite(outputs.probability_NK).all(1) & (outputs.confidence() >= threshold)
    places_N = np.flatnonzero(sure_N & np.isin(outputs.said(), by_people["label"].unique()))
    drawn_N = np.random.default_rng([params.base.seed, 2]).permutation(places_N)[: params.pseudo.clips]
    return sorted(outputs.clips["clip_id"].iloc[drawn_N])


def _came_in(champion: Champion) -> pd.DataFrame:
    """The manifest of what came in, by identity."""
    path = champion.incoming / MANIFEST.name
    clips = read_manifest(path) if path.exists() else pd.DataFrame({name: [] for name in SCHEMA.names}, dtype=object)
    return clips.sort_values("clip_id")
