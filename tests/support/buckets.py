"""A bucket with films, and what an undisturbed ingest makes of it."""

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from models.clips.manifest import read_manifest
from models.clips.shards import verify_shard
from tasks.ingest import ingest
from tasks.params.data import BucketParams, IngestParams, SplitParams
from tasks.sources.address import S3Address
from tests.support.videos import pictures, write_video

NAME = "films"
CAMERAS = ("cam0", "cam1", "cam2", "cam3")


def fill(client: Any, folder: Path, *, labels: Sequence[str] = ("run", "walk"), versions: bool = True) -> int:
    """Put one film a class and camera into the bucket, and one object that is no film; return how many films."""
    client.create_bucket(Bucket=NAME)
    if versions:
        client.put_bucket_versioning(Bucket=NAME, VersioningConfiguration={"Status": "Enabled"})
    names = [(label, camera) for label in labels for camera in CAMERAS]
    for number, (label, camera) in enumerate(names):
        film = write_video(folder / f"{number}.mp4", pictures(8, seed=number)).read_bytes()
        client.put_object(Bucket=NAME, Key=f"set/{label}/{camera}/1.mp4", Body=film)
    client.put_object(Bucket=NAME, Key="set/walk/cam0/text.mp4", Body=b"no film")
    return len(names)


def copy_folder(client: Any, folder: Path, bucket: str, prefix: str) -> None:
    """Put every file of a folder into the bucket, below ``prefix``."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        key = f"{prefix}/{path.relative_to(folder).as_posix()}"
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def take(data: Path, *, deadline_s: float = 60.0) -> None:
    """Ingest the bucket with small shards, little room and one decoder."""
    bucket = BucketParams(deadline_s=deadline_s, spool_mb=0.05, connections=4)
    params = IngestParams(
        short_side=32, max_fps=10, min_duration_s=0.5, max_duration_s=5, clips_per_shard=3, bucket=bucket
    )
    ingest(S3Address(NAME, "set"), data, params, SplitParams(val=0.25, test=0.25), seed=0, num_workers=1)


def forked(work: Callable[[], None]) -> int:
    """Do ``work`` in a process of its own, which has all libraries already; return its number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which here have all ended
        child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def content_of(data: Path) -> dict[str, bytes]:
    """Every file of a dataset."""
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


def demand_whole(data: Path, num_films: int) -> None:
    """Fail unless every film is in the dataset once, in shards that are what their names say."""
    manifest = read_manifest(data / "manifest.parquet")
    assert len(manifest) == manifest["uri"].nunique() == manifest["clip_id"].nunique() == num_films
    assert all(verify_shard(data / "shards" / shard) for shard in manifest["shard"].unique())
