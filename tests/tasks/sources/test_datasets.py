"""Datasets as they are published, in a bucket: what is read there is what is read of the same files in a folder."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from tasks.layouts.claim import Claim
from tasks.params.data import BucketParams, IngestParams, LayoutName, SplitParams
from tasks.sources import lists
from tasks.sources.address import S3Address
from tasks.sources.bucket import Bucket
from tasks.sources.keys import Contents, read_contents
from tasks.video.sources import read_claims
from tests.support import layouts
from tests.support.buckets import copy_folder
from tests.support.layouts import cvat_export, empty

GIVEN = SplitParams(by="given", val=0.3)


def cvat(root: Path) -> Path:
    for name in ("1.mp4", "2.mp4"):
        empty(root / "films" / name)
    (root / "annotations.xml").write_text(cvat_export({"1.mp4": [(0, "walk")], "2.mp4": [(3, "run")]}))
    return root


def label_studio(root: Path) -> Path:
    tasks = []
    for number, label in enumerate(("walk", "run"), start=1):
        empty(root / "films" / f"{number}.mp4")
        choice = {"type": "choices", "from_name": "what", "to_name": "video", "value": {"choices": [label]}}
        annotations = [{"id": number, "result": [choice], "was_cancelled": False}]
        video = f"/data/upload/1/0123abcd-{number}.mp4"
        tasks.append({"id": number, "data": {"video": video}, "annotations": annotations})
    (root / "export.json").write_text(json.dumps(tasks))
    return root


def contents_of(address: S3Address, spool: Path, layout: LayoutName = "auto", **more: Any) -> Contents:
    bucket = Bucket(address.bucket, BucketParams())
    return read_contents(address, bucket, spool, IngestParams(layout=layout), has_labels=True, split=GIVEN, **more)


def said(claims: list[Claim], prefix: str = "") -> list[tuple[object, ...]]:
    return [
        (claim.uri.removeprefix(prefix), claim.label, claim.source_id, claim.segment, claim.split) for claim in claims
    ]


@pytest.mark.parametrize(
    "make", [layouts.ucf101, layouts.hmdb51, layouts.kinetics, layouts.something, cvat, label_studio]
)
def test_a_bucket_is_read_as_the_folder_that_was_copied_there(
    make: Callable[[Path], Path], films: Any, tmp_path: Path
) -> None:
    folder = make(tmp_path / "source")
    copy_folder(films, folder, "films", "my set")
    contents = contents_of(S3Address("films", "my set"), tmp_path)
    assert said(contents.claims, "s3://films/my set/") == said(read_claims(folder, split=GIVEN))
    assert {contents.objects[claim.path].key for claim in contents.claims} == {
        claim.uri.removeprefix("s3://films/") for claim in contents.claims
    }


def test_the_address_of_a_list_will_do(films: Any, tmp_path: Path) -> None:
    copy_folder(films, cvat(tmp_path / "source"), "films", "set")
    contents = contents_of(S3Address("films", "set/annotations.xml"), tmp_path)
    assert said(contents.claims) == said(contents_of(S3Address("films", "set"), tmp_path).claims)


def test_what_is_said_names_addresses(films: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = layouts.ucf101(tmp_path / "source")
    (folder / "UCF-101/YoYo/v_YoYo_g05_c01.avi").unlink()
    copy_folder(films, folder, "films", "set")
    with caplog.at_level(logging.INFO):
        contents_of(S3Address("films", "set"), tmp_path / "spool")
    assert (
        "s3://films/set: read as UCF101 by testlist01.txt, trainlist01.txt, classInd.txt; official split 1"
        in caplog.text
    )
    assert "s3://films/set/ucfTrainTestlist/trainlist01.txt: row 6: v_YoYo_g05_c01" in caplog.text
    films.put_object(Bucket="films", Key="set/ucfTrainTestlist/classInd.txt", Body=b"YoYo\n")
    with pytest.raises(UserError, match=r"^s3://films/set/ucfTrainTestlist/classInd.txt: row 1: 'YoYo' is not a num"):
        contents_of(S3Address("films", "set"), tmp_path / "spool")
    assert str(tmp_path) not in caplog.text


def test_a_wanted_layout_that_is_not_there(films: Any, tmp_path: Path) -> None:
    films.put_object(Bucket="films", Key="set/walk/1.mp4", Body=b"film")
    with pytest.raises(UserError, match=r"^s3://films/set: UCF101 has trainlist01.txt and .*, and none is here"):
        contents_of(S3Address("films", "set"), tmp_path, "ucf101")
    with pytest.raises(UserError, match=r"^s3://films/set: there is no table here; name it clips.csv or"):
        contents_of(S3Address("films", "set"), tmp_path, "table")


def test_notes_beside_each_video_are_not_all_looked_into(
    films: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lists, "_MOST_LISTS", 1)
    folder = cvat(tmp_path / "source")
    for number in (1, 2):
        (folder / "films" / f"{number}.json").write_text("{}")
    copy_folder(films, folder, "films", "set")
    contents = contents_of(S3Address("films", "set"), tmp_path)
    assert {claim.label for claim in contents.claims} == {"films"}
    assert "s3://films/set: 3 files of 0 MB might be a dataset's lists, too many to look into; --layout" in caplog.text
    forced = contents_of(S3Address("films", "set"), tmp_path, "cvat")
    assert {claim.label for claim in forced.claims} == {"walk", "run"}


def test_keys_that_are_no_paths_are_no_videos_of_a_dataset(films: Any, tmp_path: Path) -> None:
    copy_folder(films, cvat(tmp_path / "source"), "films", "set")
    for key in ("set/films//1.mp4", "set/../1.mp4", "set/.trash/2.mp4"):
        films.put_object(Bucket="films", Key=key, Body=b"film")
    keys = [found.key for found in contents_of(S3Address("films", "set"), tmp_path).objects.values()]
    assert sorted(keys) == ["set/films/1.mp4", "set/films/2.mp4"]
