"""Ingest from a real server of S3 through a network that fails; bench/s3_faults.py does more of it."""

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from models.clips.manifest import read_manifest
from models.errors import UserError
from tasks.ingest import ingest
from tasks.params.data import BucketParams, IngestParams, SplitParams, WindowParams
from tasks.sources.address import S3Address
from tests.support.buckets import content_of, copy_folder, demand_whole, fill, forked, take
from tests.support.layouts import ucf101
from tests.support.s3 import Schedule, client_of, faulty_proxy, moto_server, speak_to
from tests.support.videos import pictures, write_video

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that holds a bucket of films."""
    folder = tmp_path_factory.mktemp("s3")
    with moto_server(folder) as url:
        fill(client_of(url), folder)
        yield url


@pytest.mark.parametrize("seed", [1, 2])
def test_every_object_comes_once_and_whole_through_a_network_that_fails(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    speak_to(s3, monkeypatch)
    take(tmp_path / "undisturbed")
    schedule = Schedule(seed, share=0.4)
    with faulty_proxy(s3, schedule) as url:
        speak_to(url, monkeypatch)
        take(tmp_path / "data")
    assert sum(count for fault, count in schedule.done.items() if fault) > 3
    demand_whole(tmp_path / "data", 8)
    assert content_of(tmp_path / "data") == content_of(tmp_path / "undisturbed")


def test_a_dataset_as_published_with_long_films_is_what_it_is_in_a_folder(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def write(path: Path) -> Path:
        written.append(write_video(path, pictures(25, seed=len(written)), codec="mpeg4"))
        return path

    folder = ucf101(tmp_path / "source", write)
    client_of(s3).create_bucket(Bucket="published")
    copy_folder(client_of(s3), folder, "published", "ucf")
    bucket, windows = BucketParams(spool_mb=0.2, connections=4), WindowParams(length_s=1, labelled=True)
    params = IngestParams(short_side=32, min_duration_s=0.5, clips_per_shard=4, bucket=bucket, windows=windows)
    found = []
    with faulty_proxy(s3, Schedule(1, share=0.2)) as url:
        speak_to(url, monkeypatch)
        for name, source in (("here", folder), ("there", S3Address("published", "ucf"))):
            ingest(source, tmp_path / name, params, SplitParams(by="given"), seed=0, num_workers=1)
            found.append(read_manifest(tmp_path / name / "manifest.parquet"))
    here, there = found
    pd.testing.assert_frame_equal(here.drop(columns="uri"), there.drop(columns="uri"))
    assert (len(there), set(there["split"])) == (20, {"train", "val", "test"})


def test_a_server_that_stays_away_ends_the_ingest_with_a_sentence(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with faulty_proxy(s3, Schedule(0, share=1.0, faults=("503",))) as url:
        speak_to(url, monkeypatch)
        with pytest.raises(UserError, match=r"s3://films: no answer for 0.3 s \(503 SlowDown\); run the same command"):
            take(tmp_path / "data", deadline_s=0.3)
    assert not (tmp_path / "data" / "manifest.parquet").exists()


def test_an_ingest_that_is_killed_at_any_instant_is_taken_up(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    speak_to(s3, monkeypatch)
    started = time.monotonic()
    take(tmp_path / "undisturbed")
    lasted_s = time.monotonic() - started
    chance = random.Random(0)
    for _ in range(3):
        child = forked(lambda: take(tmp_path / "data"))
        time.sleep(chance.uniform(0.1, lasted_s))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    take(tmp_path / "data")
    demand_whole(tmp_path / "data", 8)
    assert content_of(tmp_path / "data") == content_of(tmp_path / "undisturbed")
