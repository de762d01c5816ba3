"""The profile as a page: one file that needs nothing else, the same bytes for the same dataset."""

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from models.clips.label_sets import is_multi_label, one_row_a_label
from models.clips.manifest import SPLITS, labels_of, read_manifest
from models.clips.shards import ClipStore, Shards
from models.files import replacing
from tasks import layout
from tasks.profile import contents
from tasks.remote_shards import shards_of
from tasks.report.environment import page_environment
from tasks.report.facts import spread
from tasks.report.results import read_quarantine

_ASKING = 16


def profile(name: str, out: Path, *, data: Path = layout.DATA) -> None:
    """Write the page about the dataset in ``data``.

    Args:
        name: Of the dataset, for its heading.
        out: The page.
        data: The dataset's folder.

    Raises:
        UserError: There is no dataset, or a shard is missing or damaged.
    """
    clips = read_manifest(data / layout.MANIFEST.name)
    refused = read_quarantine(data / layout.QUARANTINE.name)
    shards = shards_of(data)
    classes = contents.grouped(one_row_a_label(clips, nothing=True), "label")
    by_split = {group.name: group for group in contents.grouped(clips, "split")}
    page = (
        page_environment(Path(__file__).parent)
        .get_template("template.html.j2")
        .render(
            name=name,
            num_clips=len(clips),
            num_sources=clips["source_id"].nunique(),
            num_unlabelled=int(clips["label"].isna().sum()),
            hours=float((clips["end_s"] - clips["start_s"]).sum() / 3600),
            days=contents.days_of(clips),
            megabytes=_num_bytes(shards, clips["shard"].unique()) / 1e6,
            split_names=SPLITS,
            splits=[by_split[split] for split in SPLITS if split in by_split],
            classes=classes[: contents.MOST_CLASSES],
            num_classes=len(labels_of(clips)),
            multi_label=is_multi_label(clips),
            sources=contents.grouped(clips, "source_id")[: contents.MOST_SOURCES],
            over_time=contents.over_time(clips),
            facts=spread(clips),
            kinds=contents.kinds(clips),
            sheets=contents.sheets(clips, ClipStore(shards), labels_of(clips)),
            reasons=contents.reasons(refused)[: contents.MOST_REASONS],
            refused=list(zip(refused["path"], refused["reason"], strict=True))[: contents.MOST_REFUSED],
            num_refused=len(refused),
            manifest_sha256=hashlib.sha256((data / layout.MANIFEST.name).read_bytes()).hexdigest(),
        )
    )
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _num_bytes(shards: Shards, names: Iterable[str]) -> int:
    with ThreadPoolExecutor(_ASKING) as executor:
        return sum(executor.map(shards.num_bytes, names))
