"""Ingest from a bucket, end to end; what networks do to it is in tests/integration/test_bucket.py."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from models.errors import UserError
from tasks.ingest import IngestSummary, ingest
from tasks.params.data import BucketParams, IngestParams
from tasks.sources.address import source_at
from tasks.sources.bucket import Bucket, Fetched, StoredObject
from tests.support.videos import pictures, write_video

PARAMS = IngestParams(short_side=32, max_fps=10, min_duration_s=0.5, max_duration_s=5, clips_per_shard=2)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Three films of 0.8 s."""
    folder = tmp_path_factory.mktemp("films")
    return [write_video(folder / f"{n}.mp4", pictures(8, seed=n)).read_bytes() for n in range(3)]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys of the objects that are fetched, in order."""
    keys: list[str] = []
    fetch = Bucket.fetch

    def noting(self: Bucket, wanted: StoredObject, path: Path) -> Fetched:
        keys.append(wanted.key)
        return fetch(self, wanted, path)

    monkeypatch.setattr(Bucket, "fetch", noting)
    return keys


def put(films: Any, **objects: bytes) -> None:
    for name, content in objects.items():
        films.put_object(Bucket="films", Key=f"walk/{name}.mp4", Body=content)


def take(data: Path, **bucket: float) -> IngestSummary:
    params = PARAMS.model_copy(update={"bucket": BucketParams(**bucket)})
    return ingest(source_at("s3://films"), data, params, None, seed=0, num_workers=1)


def test_a_key_is_fetched_once_for_each_content_that_it_has(
    films: Any, film: list[bytes], fetched: list[str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    put(films, a=film[0], b=film[1], copy=film[0], text=b"no video")
    first = take(data)
    refused = ["s3://films/walk/copy.mp4", "s3://films/walk/text.mp4"]
    assert (first.clips, [path for path, _ in first.quarantined]) == (2, refused)
    assert sorted(fetched) == ["walk/a.mp4", "walk/b.mp4", "walk/copy.mp4", "walk/text.mp4"]
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    fetched.clear()
    assert take(data).quarantined == first.quarantined
    assert fetched == []
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    put(films, b=film[2])
    assert take(data).new_clips == 1
    assert fetched == ["walk/b.mp4"]
    assert sorted(read_manifest(data / "manifest.parquet")["uri"]) == [
        "s3://films/walk/a.mp4",
        "s3://films/walk/b.mp4",
        "s3://films/walk/b.mp4",
    ]


def test_stored_as_a_folder_with_the_same_names_is(films: Any, film: list[bytes], tmp_path: Path) -> None:
    put(films, a=film[0], b=film[1])
    take(tmp_path / "data")
    folder = tmp_path / "films"
    (folder / "walk").mkdir(parents=True)
    for name, content in zip("ab", film, strict=False):
        (folder / "walk" / f"{name}.mp4").write_bytes(content)
    ingest(folder, tmp_path / "same", PARAMS, None, seed=0, num_workers=1)
    ours, theirs = (read_manifest(tmp_path / name / "manifest.parquet") for name in ("data", "same"))
    pd.testing.assert_frame_equal(ours.drop(columns="uri"), theirs.drop(columns="uri"))
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "ledger.parquet",
        "manifest.parquet",
        "quarantine.parquet",
        "shards",
    ]


def test_what_lies_here_at_a_time_is_bounded(
    films: Any, film: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(films, a=film[0], b=film[1], c=film[2], huge=bytes(3 * len(film[0])))
    fetch, most = Bucket.fetch, [0]

    def watching(self: Bucket, wanted: StoredObject, path: Path) -> Fetched:
        found = fetch(self, wanted, path)
        most[0] = max(most[0], sum(file.stat().st_size for file in path.parent.iterdir()))
        return found

    monkeypatch.setattr(Bucket, "fetch", watching)
    spool_mb = 1.5 * max(map(len, film)) / 1e6
    summary = take(tmp_path / "data", spool_mb=spool_mb)
    assert summary.clips == 3
    assert 0 < most[0] <= spool_mb * 1e6
    [(path, reason)] = summary.quarantined
    assert path == "s3://films/walk/huge.mp4"
    assert "more than ingest.bucket.spool_mb" in reason


def test_layouts_that_need_a_disk_are_refused_with_a_remedy(tmp_path: Path) -> None:
    params = PARAMS.model_copy(update={"layout": "ucf101"})
    with pytest.raises(UserError, match=r"s3://films/: a bucket is read as .* not as ucf101; copy the dataset"):
        ingest(source_at("s3://films"), tmp_path / "data", params, None, seed=0)
