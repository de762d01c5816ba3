"""The clips that a challenger is judged on: the old world, which the champion's dataset had, and what came since.

A clip that was trained or validated on says nothing. Splits promise that none of those is in the test; here that is
checked against what was written down: the champion's reference, which names clips with their splits at that time, and
the manifest.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd
import pyarrow.parquet as pq

from models.clips.manifest import read_manifest
from models.errors import UserError
from models.saved import CLIPS, read_clip_ids
from tasks import layout
from tasks.gate.listed import listed
from tasks.params.data import SplitParams
from tasks.params.watch import WatchParams
from tasks.registry.names import MODEL_FOLDER, REFERENCE
from tasks.registry.trust import verified_files
from tasks.report.environment import visible
from tasks.watch.window import group_of, may_measure

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

World = Literal["new", "old"]
_MOST_NAMED = 5


@dataclass(frozen=True)
class Past:
    """What was written down of the clips that a champion was made with.

    Attributes:
        clip_ids: The labelled clips of its dataset; None for a version that was registered without the list.
        splits: Columns ``clip_id``, ``source_id`` and ``split``, of clips of its dataset; empty without a reference.
    """

    clip_ids: frozenset[str] | None
    splits: pd.DataFrame


@dataclass(frozen=True)
class HeldOut:
    """Labelled test clips.

    Attributes:
        clips: Those that count, by ``clip_id``; the manifest's columns, ``world`` (``new`` or ``old``) and ``group``.
        chosen: So many new ones are left out, as people were asked for them because the champion was unsure.
        leaked: So many are left out, as they were not held out from the champion.
        leaked_sources: Where these come from.
    """

    clips: pd.DataFrame
    chosen: int = 0
    leaked: int = 0
    leaked_sources: tuple[str, ...] = ()

    @property
    def left_out(self) -> int:
        """Test clips that do not count."""
        return self.chosen + self.leaked

    def leak(self, champion: int) -> str | None:
        """Says which clips were not held out from ``champion``, if any."""
        if not self.leaked:
            return None
        sources = listed([*map(visible, self.leaked_sources)], _MOST_NAMED)
        return (
            f"{self.leaked} test clips of {sources} were trained or validated on, as the reference of champion "
            f"{champion} or the manifest says, and do not count; see what changed in section split or base.seed of "
            "params.yaml, and whether a model had pseudo-labelled them before people labelled them"
        )


def past_of(client: "MlflowClient", champion: "ModelVersion") -> Past:
    """What the package of ``champion`` says of its clips.

    Raises:
        UserError: A file is not what was registered.
    """
    clips, reference = f"{MODEL_FOLDER}/{CLIPS}", f"{MODEL_FOLDER}/{REFERENCE}"
    folder = verified_files(client, champion, (), (clips, reference))
    columns = ["clip_id", "source_id", "split"]
    if (folder / reference).exists():
        splits = pq.read_table(folder / reference, columns=columns).to_pandas()
    else:
        splits = pd.DataFrame({name: [] for name in columns}, dtype=object)
    return Past(read_clip_ids(folder / MODEL_FOLDER) if (folder / clips).exists() else None, splits)


def held_out(workspace: Path, past: Past | None, split: SplitParams, watch: WatchParams) -> HeldOut:
    """The labelled test clips of ``workspace`` and their worlds.

    Without a champion all are new. Where a champion has no list of its clips all are old.

    Args:
        workspace: The round's folder.
        past: Of the champion, if there is one.
        split: Section ``split``: by source, a source that was trained on is no test for any of its clips.
        watch: Section ``watch``, for its groups.

    Raises:
        UserError: There is no labelled test clip.
    """
    manifest = read_manifest(workspace / layout.MANIFEST)
    labelled = manifest[manifest["label"].notna()]
    clips = labelled[labelled["split"] == "test"].sort_values("clip_id", ignore_index=True)
    if clips.empty:
        raise UserError(f"{workspace / layout.MANIFEST}: split: no labelled clip is in test; ingest more sources")
    clips = clips.assign(
        group=[group_of(source, watch) for source in clips["source_id"]],
        world=[_world(clip_id, past) for clip_id in clips["clip_id"]],
    )
    if past is None:
        return HeldOut(clips)
    recorded = pd.concat([past.splits, labelled[["clip_id", "source_id", "split"]]])
    seen = recorded[recorded["split"].isin(["train", "val"])]
    leaked_N = clips["clip_id"].isin(seen["clip_id"])
    if split.by == "source":
        leaked_N |= clips["source_id"].isin(seen["source_id"])
    chosen_N = ~leaked_N & (clips["world"] == "new") & ~may_measure(clips["clip_id"])
    return HeldOut(
        clips[~leaked_N & ~chosen_N].reset_index(drop=True),
        int(chosen_N.sum()),
        int(leaked_N.sum()),
        tuple(sorted(clips.loc[leaked_N, "source_id"].unique())),
    )


def _world(clip_id: str, past: Past | None) -> World:
    if past is None:
        return "new"
    return "old" if past.clip_ids is None or clip_id in past.clip_ids else "new"
