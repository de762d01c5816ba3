"""What the watch is measured against: labels and a retraining every week, whatever happens.

Each retraining is what is usual where nobody watches: afresh, from the weights that round one began with, on all clips
that have a label by then. It has its own dataset, begun with round one's, and keeps what the flow would do besides
training out of its bill: no search (round one's values are taken), no evaluation, no judge. Labels are of clips drawn
at random, as many as a request has.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from infra.demo.calendar import Shot
from infra.demo.diary import Score
from infra.demo.scores import clips_of, score
from models.files import replacing_folder
from models.saved import CARD, CLIPS, WEIGHTS, load_model, read_card, save_model
from models.spec import FineTuneParams
from tasks.job import job
from tasks.labelling.table import read_label_table, write_label_table
from tasks.layout import DATA, PERSON_LABELS
from tasks.params.whole import Params
from tasks.registry.client import find_version, registry
from tasks.registry.names import COMMIT, MODEL_FOLDER
from tasks.registry.trust import verified_files
from tasks.training_clips import labelled_clip_ids
from tasks.watch.adopt import adopt
from tasks.watch.champion import Champion, watched_version
from tasks.watch.outputs import outputs_of
from tasks.workspace import checkout_data, commit_workspace

EVERY_DAYS = 7


class Weekly:
    """A model that is retrained every week.

    Args:
        params: All of params.yaml.
        first: Round one's version, which it begins with.
        folder: Where its dataset and models are kept.
    """

    def __init__(self, params: Params, first: int, folder: Path) -> None:
        self._params = params
        self._folder = folder
        self._first: Champion = watched_version(params.base.name, first)

    def score(self, day: int, shots: Sequence[Shot], now: datetime) -> Score:
        """How the model of ``day`` answers."""
        model, card = load_model(self._model(day))
        clips = clips_of(self._first, shots, now)
        made = outputs_of(model, card["labels"], self._first.incoming, clips)
        return score(replace(made, clips=clips), shots)

    def retrain(self, day: int, week: Sequence[Shot], now: datetime, num_labels: int) -> tuple[int, float]:
        """Label clips of the week before the end of ``day`` and train on all; return the labels and the seconds.

        What was done already is not done again.
        """
        out = self._folder / f"model-{day:03}"
        if out.exists():
            return tuple(read_card(out)["weekly"])
        data, params = self._data(), self._params
        given = self._labels(week, now, num_labels)
        write_label_table(read_label_table(data.parent / PERSON_LABELS) | given, data.parent / PERSON_LABELS)
        adopt(data, params.ingest, params.split, seed=params.base.seed)
        began = time.monotonic()
        trained, labels, _ = job(
            params.model,
            FineTuneParams.model_validate(read_card(self._first.folder)["fine_tune"]),
            data,
            seed=params.base.seed,
        )
        seconds = time.monotonic() - began
        cost = len(given), round(seconds, 1)
        save_model(out, trained, params.model, labels, {"weekly": cost}, labelled_clip_ids(data))
        return cost

    def _model(self, day: int) -> Path:
        """The model that answers on ``day``: the last that was trained before."""
        made = [path for path in sorted(self._folder.glob("model-*")) if int(path.name.rpartition("-")[2]) < day]
        if made:
            return made[-1]
        client, files = registry(), [f"{MODEL_FOLDER}/{name}" for name in (WEIGHTS, CARD, CLIPS)]
        return verified_files(client, find_version(client, self._first.name, self._first.version), files) / MODEL_FOLDER

    def _data(self) -> Path:
        data = self._folder / DATA
        if not data.exists():
            found = find_version(registry(), self._first.name, self._first.version)
            with commit_workspace(found.tags[COMMIT]) as work:
                checkout_data(work)
                with replacing_folder(data) as unfinished:
                    shutil.copytree(work.root / DATA, unfinished, dirs_exist_ok=True)
        return data

    def _labels(self, week: Sequence[Shot], now: datetime, num_labels: int) -> dict[str, str]:
        clips = clips_of(self._first, week, now).sort_values("clip_id", ignore_index=True)
        truth = {(shot.source_id, shot.captured_at): shot.label for shot in week}
        rng = np.random.default_rng([self._params.base.seed, len(clips)])
        chosen: pd.DataFrame = clips.iloc[np.sort(rng.permutation(len(clips))[:num_labels])]
        places = zip(chosen["clip_id"], chosen["source_id"], chosen["at"], strict=True)
        return {clip_id: truth[source, at.to_pydatetime()] for clip_id, source, at in places}
