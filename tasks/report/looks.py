"""Where the model looked in some clips, at which frames, and what it has seen that is like its mistakes.

Legend: N clips, D features, T frames, C channels, H height, W width.
"""

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel
from models.clips.loader import ClipLoader
from models.clips.sampling import frame_indices
from models.clips.shards import ClipStore, Shards
from models.explain.frames import frame_importance, stretches
from models.explain.grad_cam import grad_cam
from models.explain.overlay import overlay
from models.inference import one_thread_each
from models.saved import load_model
from tasks import layout
from tasks.labelling.film import encode_film
from tasks.labelling.outputs import Outputs
from tasks.report.results import Round
from tasks.report.sections import tested
from tasks.report.sheets import Picture, contact_sheet, picture_of
from tasks.watch.outputs import read_watched

_MOST_STRETCHES = 8
_NEIGHBOURS, _NEIGHBOUR_WIDTH = 3, 64
_GAP = 2


@dataclass(frozen=True)
class Neighbour:
    """A training clip that is like another one to the model.

    Attributes:
        picture: Its frames.
        label: What it is.
        source: Where it comes from.
        similarity: Cosine between both clips' features, from which the mean over training clips was taken off.
    """

    picture: Picture
    label: str
    source: str
    similarity: float


@dataclass(frozen=True)
class Look:
    """A clip as the model saw it.

    Attributes:
        film: Its frames with where the model looked for the most probable class, as a ``data:`` address of an MP4.
        strip: A frame of each stretch, and below it the same with where the model looked.
        lost: Probability that the prediction loses where each stretch stands still; negative where it gains.
        label: What the clip is.
        predicted: What it was taken for.
        confidence: Probability of that.
        correct: Whether they are the same.
        source: Where it comes from.
        clip_id: Which clip it is.
        neighbours: Of a mistake: the training clips that are most like it, the nearest first.
    """

    film: str
    strip: Picture
    lost: list[float]
    label: str
    predicted: str
    confidence: float
    correct: bool
    source: str
    clip_id: str
    neighbours: list[Neighbour]


def looks(found: Round, workspace: Path, number: int, *, shards: Shards) -> list[Look]:
    """The surest mistakes and as many right clips, each of another class while there are any.

    Args:
        found: Results of the round.
        workspace: Root of its data and model.
        number: Clips, at most.
        shards: Of its data.

    Raises:
        UserError: The model, a shard or the reference is missing or damaged.
    """
    if not number:
        return []
    model, card = load_model(workspace / layout.MODEL)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    chosen = _chosen(tested(found), number).merge(found.manifest[["clip_id", "shard", "row"]], on="clip_id")
    loader = ClipLoader(
        workspace / layout.DATA, chosen, card["labels"], model.clip_input, batch_size=1, device=device, shards=shards
    )
    store, reference = ClipStore(shards), read_watched(workspace / layout.REFERENCE)[0]
    model.to(device)
    with one_thread_each():
        return [
            _look(model, batch.clip_BCTHW, clip, store, _neighbours(clip, reference, found, store))
            for batch, clip in zip(loader.epoch(0), chosen.to_dict("records"), strict=True)
        ]


def _chosen(test: pd.DataFrame, number: int) -> pd.DataFrame:
    surest = test.sort_values(["confidence", "clip_id"], ascending=[False, True])
    wrong, right = surest[~surest["correct"]], surest[surest["correct"]]
    of_its_class_N = right.groupby("label").cumcount()
    right = right.loc[of_its_class_N.sort_values(kind="stable").index]
    num_wrong = min(len(wrong), max(number // 2, number - len(right)))
    return pd.concat([wrong.head(num_wrong), right.head(number - num_wrong)], ignore_index=True)


def _look(
    model: VideoModel,
    clip_1CTHW: Tensor,
    clip: dict[Any, Any],
    store: ClipStore,
    neighbours: list[Neighbour],
) -> Look:
    wanted = int(np.argmax(clip["probabilities"]))
    map_THW = grad_cam(model, clip_1CTHW, torch.tensor([wanted], device=clip_1CTHW.device))[0]
    seen_THWC = overlay(clip_1CTHW[0], map_THW, model.clip_input)
    plain_THWC = overlay(clip_1CTHW[0], torch.zeros_like(map_THW), model.clip_input)
    parts = stretches(len(seen_THWC), _MOST_STRETCHES)
    middle = [part[len(part) // 2] for part in parts]
    times_s = store.times(clip["shard"], clip["row"])
    return Look(
        _film(seen_THWC, times_s[frame_indices(times_s, model.clip_input)]),
        picture_of(np.concatenate([_row(plain_THWC[middle]), _row(seen_THWC[middle])])),
        frame_importance(model, clip_1CTHW[0], wanted, _MOST_STRETCHES).tolist(),
        clip["label"],
        clip["predicted"],
        clip["confidence"],
        clip["correct"],
        clip["source_id"],
        clip["clip_id"],
        neighbours,
    )


def _row(frames_THWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    padded_THWC = np.pad(frames_THWC, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=128)
    return np.concatenate(list(padded_THWC), axis=1)


def _film(frames_THWC: NDArray[np.uint8], times_s: NDArray[np.float64]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        encode_film(frames_THWC, times_s, path)
        return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _neighbours(clip: dict[Any, Any], reference: Outputs, found: Round, store: ClipStore) -> list[Neighbour]:
    """The training clips in the reference that are most like a mistake."""
    is_it_N = (reference.clips["clip_id"] == clip["clip_id"]).to_numpy()
    trained = reference.part(((reference.clips["split"] == "train") & reference.clips["label"].notna()).to_numpy())
    if clip["correct"] or not is_it_N.any() or trained.clips.empty:
        return []
    mean_D = trained.embedding_ND.mean(0)
    others_ND, own_D = trained.embedding_ND - mean_D, reference.embedding_ND[is_it_N][0] - mean_D
    norms_N = np.linalg.norm(others_ND, axis=1) * np.linalg.norm(own_D)
    cosine_N = (others_ND @ own_D) / np.maximum(norms_N, np.finfo(np.float32).tiny)
    nearest = np.argsort(-cosine_N, kind="stable")[:_NEIGHBOURS]
    places = found.manifest.set_index("clip_id")[["shard", "row"]]

    def neighbour(at: int) -> Neighbour:
        near = trained.clips.iloc[at]
        shard, row = places.loc[near["clip_id"]]
        sheet = contact_sheet(store, shard, row, columns=3, rows=1, width=_NEIGHBOUR_WIDTH)
        return Neighbour(sheet, near["label"], near["source_id"], float(cosine_N[at]))

    return [neighbour(int(at)) for at in nearest]
