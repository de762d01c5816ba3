"""Ingest from a bucket, end to end; what networks do to it is in tests/integration/test_bucket.py."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from tasks.ingest import IngestSummary, ingest
from tasks.params.data import BucketParams, IngestParams, WindowParams
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


def long_film(path: Path, *, seed: int = 0, **container: str) -> bytes:
    """Four seconds."""
    return write_video(path, pictures(40, seed=seed), container_options=container or None).read_bytes()


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


def cut(source: str | Path, data: Path, length_s: float) -> IngestSummary:
    params = PARAMS.model_copy(update={"windows": WindowParams(length_s=length_s)})
    where = source_at(source) if isinstance(source, str) else source
    return ingest(where, data, params, None, seed=0, has_labels=False, num_workers=1)


def test_windows_of_long_films_are_those_of_a_folder_and_the_films_are_fetched_once_for_them(
    films: Any, fetched: list[str], tmp_path: Path
) -> None:
    folder, data = tmp_path / "films", tmp_path / "data"
    for number in range(2):
        key = f"cam{number}/a.mp4"
        films.put_object(Bucket="films", Key=key, Body=long_film(folder / key, seed=number))
    for length_s in (0, 1.5):  # first whole, when nobody asks how long they are
        cut("s3://films", data, length_s)
        cut(folder, tmp_path / "same", length_s)
    assert fetched == ["cam0/a.mp4", "cam1/a.mp4"] * 2
    ours, theirs = (read_manifest(place / "manifest.parquet") for place in (data, tmp_path / "same"))
    pd.testing.assert_frame_equal(ours.drop(columns="uri"), theirs.drop(columns="uri"))
    assert len(ours) == 2 * (1 + 3)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    cut("s3://films", data, 1.5)
    assert len(fetched) == 4
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_a_film_that_does_not_say_how_long_it_is_is_refused_once(
    films: Any, fetched: list[str], tmp_path: Path
) -> None:
    films.put_object(Bucket="films", Key="cam0/a.mp4", Body=long_film(tmp_path / "a.mp4"))
    films.put_object(Bucket="films", Key="cam1/b.mkv", Body=long_film(tmp_path / "b.mkv", live="1"))
    for _ in range(2):
        [(path, reason)] = cut("s3://films", tmp_path / "data", 1.5).quarantined
        assert (path, "does not say how long it lasts" in reason) == ("s3://films/cam1/b.mkv", True)
    assert fetched == ["cam0/a.mp4", "cam1/b.mkv"]
