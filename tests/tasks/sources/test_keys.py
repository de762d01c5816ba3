from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from tasks.params.data import BucketParams, IngestParams
from tasks.sources.address import source_at
from tasks.sources.bucket import Bucket
from tasks.sources.keys import Contents, read_contents
from tasks.video.clips import Segment


def put(films: Any, *keys: str, content: bytes = b"bytes") -> None:
    for key in keys:
        films.put_object(Bucket="films", Key=key, Body=content)


def contents_of(text: str, tmp_path: Path, *, has_labels: bool = True) -> Contents:
    address = source_at(text)
    assert not isinstance(address, Path)
    return read_contents(
        address, Bucket(address.bucket, BucketParams()), tmp_path, IngestParams(), has_labels=has_labels
    )


def found(contents: Contents) -> list[tuple[str, str | None, str]]:
    return [(claim.uri, claim.label, claim.source_id) for claim in contents.claims]


def test_a_prefix_is_read_as_a_folder_and_sources_have_the_same_names(films: Any, tmp_path: Path) -> None:
    put(films, "set/walk/cam1/1.mp4", "set/run/2.mp4", "set/notes.txt", "set/.hidden/3.mp4", "settings/walk/4.mp4")
    put(films, "set/", "set/walk/", content=b"")
    expected = [("s3://films/set/run/2.mp4", "run", "run/2.mp4"), ("s3://films/set/walk/cam1/1.mp4", "walk", "cam1")]
    assert found(contents_of("s3://films/set", tmp_path)) == expected
    assert found(contents_of("s3://films/set/", tmp_path)) == expected
    unlabelled = contents_of("s3://films/set", tmp_path, has_labels=False)
    assert [claim[1:] for claim in found(unlabelled)] == [(None, "run"), (None, "walk")]


def test_videos_outside_of_a_class_are_counted_and_said_once(
    films: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    put(films, "set/1.mp4", "set/2.mp4", "set/walk/3.mp4")
    assert len(contents_of("s3://films/set", tmp_path).claims) == 1
    assert "2 videos that lie outside of a class's folder are left out: 1.mp4, 2.mp4" in caplog.messages
    assert "s3://films/set: read as a folder per class" in caplog.messages


def test_many_objects_come_in_pages(films: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")
    put(films, *(f"walk/{number}.mp4" for number in range(5)))
    assert len(contents_of("s3://films", tmp_path).objects) == 5


def test_keys_are_names_and_never_paths_of_this_machine(films: Any, tmp_path: Path) -> None:
    odd = ["walk/a b.mp4", "walk//1.mp4", "walk/\u202eü\n%2F+&?#.mp4", "walk/" + "l" * 1000 + ".mp4"]
    hostile = ["walk/../../../etc/1.mp4", "../1/2.mp4", "1.mp4/2.mp4"]
    put(films, *odd, *hostile, "walk/ends/")
    put(films, "walk/empty.mp4", content=b"")
    contents = contents_of("s3://films", tmp_path)
    by_uri = {claim.uri.removeprefix("s3://films/"): claim for claim in contents.claims}
    assert set(by_uri) == {*odd, *hostile, "walk/empty.mp4"}
    assert all(claim.path.parent == tmp_path and len(claim.path.name) < 60 for claim in contents.claims)
    assert {contents.objects[by_uri[key].path].key for key in odd} == set(odd)
    reasons = {key: str(contents.refused[by_uri[key].path]) for key in (*hostile, "walk/empty.mp4")}
    assert all("in its key" in reasons[key] for key in hostile[:2])
    assert "cannot be the name of a class" in reasons["1.mp4/2.mp4"]
    assert reasons["walk/empty.mp4"] == "is empty (0 bytes)"


def test_a_table_names_keys_and_what_is_not_there_yet_waits(films: Any, tmp_path: Path) -> None:
    put(films, "set/films/1.mp4", "other/2.mp4")
    rows = "films/1.mp4,walk,cam,1.5,3\ns3://films/other/2.mp4,run,,,\nfilms/3.mp4,run,,,\n"
    put(films, "set/clips.csv", content=f"path,label,source_id,start_s,end_s\n{rows}".encode())
    contents = contents_of("s3://films/set", tmp_path)
    assert found(contents) == found(contents_of("s3://films/set/clips.csv", tmp_path))
    assert found(contents) == [
        ("s3://films/set/films/1.mp4", "walk", "cam"),
        ("s3://films/set/films/3.mp4", "run", "films/3.mp4"),
        ("s3://films/other/2.mp4", "run", "s3://films/other/2.mp4"),
    ]
    assert contents.claims[0].segment == Segment(1.5, 3.0)
    assert [str(refused) for refused in contents.refused.values()] == ["is not in the bucket, or not yet"]
    assert sorted(entry.key for entry in contents.objects.values()) == ["other/2.mp4", "set/films/1.mp4"]


def test_a_table_names_what_lies_here_as_find_writes_it(films: Any, tmp_path: Path) -> None:
    put(films, "set/films/1.mp4")
    put(films, "set/clips.csv", content=b"path,label\n./films/1.mp4,walk\n")
    contents = contents_of("s3://films/set", tmp_path)
    assert found(contents) == [("s3://films/set/films/1.mp4", "walk", "./films/1.mp4")]
    assert [entry.key for entry in contents.objects.values()] == ["set/films/1.mp4"]


def test_a_table_that_contradicts_itself_names_its_address_and_row(films: Any, tmp_path: Path) -> None:
    put(films, "clips.csv", content=b"path,label\ns3://elsewhere/1.mp4,walk\n")
    with pytest.raises(UserError, match=r"s3://films/clips.csv: row 2: s3://elsewhere/1.mp4 lies in another bucket"):
        contents_of("s3://films", tmp_path)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://films/none", r"s3://films/none: no video here; expected s3://films/none/<class>/<file>.mp4"),
        ("s3://films/clips.csv", r"s3://films/clips.csv: there is no such object"),
        ("s3://missing/set", r"s3://missing: S3 says 404 NoSuchBucket .*; correct the bucket's name, or the endpoint"),
    ],
)
def test_what_is_not_there_is_said_with_a_remedy(films: Any, tmp_path: Path, address: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        contents_of(address, tmp_path)


def test_an_object_that_is_still_being_uploaded_is_named(
    films: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(films, "walk/1.mp4")
    films.create_multipart_upload(Bucket="films", Key="walk/2.mp4")
    assert len(contents_of("s3://films", tmp_path).claims) == 1
    assert "s3://films/walk/2.mp4 is still being uploaded; the next ingest takes it" in caplog.text
