import hashlib
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from tasks.params.data import BucketParams
from tasks.process import readable
from tasks.sources.bucket import Bucket, StoredObject
from tasks.video.clips import Refused


def put(films: Any, key: str, content: bytes, **more: str) -> None:
    films.put_object(Bucket="films", Key=key, Body=content, **more)


def bucket() -> Bucket:
    return Bucket("films", BucketParams(deadline_s=1.0))


def only(films: Any) -> StoredObject:
    [found] = bucket().listed("")
    return found


def test_an_object_is_fetched_whole_with_its_version(films: Any, tmp_path: Path) -> None:
    films.put_bucket_versioning(Bucket="films", VersioningConfiguration={"Status": "Enabled"})
    content = b"frames" * 500_000
    put(films, "1.mp4", content, ChecksumAlgorithm="CRC32")
    fetched = bucket().fetch(only(films), tmp_path / "1")
    assert (tmp_path / "1").read_bytes() == content
    assert fetched.sha256 == hashlib.sha256(content).hexdigest()
    assert fetched.version_id == films.head_object(Bucket="films", Key="1.mp4")["VersionId"]


def test_an_object_in_parts_has_no_md5_and_is_fetched_all_the_same(films: Any, tmp_path: Path) -> None:
    upload = {"Bucket": "films", "Key": "1.mp4"}
    upload["UploadId"] = films.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": films.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, b"a" * (5 << 20)), (2, b"b"))
    ]
    films.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert only(films).etag.endswith('-2"')
    assert bucket().fetch(only(films), tmp_path / "1").found.size == (5 << 20) + 1


def test_an_object_that_was_overwritten_since_it_was_listed_is_read_as_it_is_now(films: Any, tmp_path: Path) -> None:
    put(films, "1.mp4", b"before")
    listed = only(films)
    put(films, "1.mp4", b"after")
    fetched = bucket().fetch(listed, tmp_path / "1")
    assert (tmp_path / "1").read_bytes() == b"after"
    assert fetched.found == only(films)


def test_an_object_that_has_grown_waits_because_there_may_be_no_room(films: Any, tmp_path: Path) -> None:
    put(films, "1.mp4", b"before")
    listed = only(films)
    put(films, "1.mp4", b"much longer than before")
    with pytest.raises(Refused, match="changed while it was read; the next ingest takes it") as refused:
        bucket().fetch(listed, tmp_path / "1")
    assert not refused.value.lasting


def test_an_object_that_was_removed_since_it_was_listed_is_told_of(films: Any, tmp_path: Path) -> None:
    put(films, "1.mp4", b"before")
    listed = only(films)
    films.delete_object(Bucket="films", Key="1.mp4")
    with pytest.raises(Refused, match="was removed after it was listed") as refused:
        bucket().fetch(listed, tmp_path / "1")
    assert not refused.value.lasting
    assert bucket().find("1.mp4") is None


def test_a_full_disk_is_no_fault_of_s3_and_is_said_in_a_sentence(
    films: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    put(films, "1.mp4", b"frames")
    full = Path("/dev/full")  # whatever is written there finds no room
    assert readable(lambda: bucket().fetch(only(films), full)) == 2
    assert "the disk is full; free some space and run the same command again" in capsys.readouterr().err


def test_what_aws_wants_to_know_is_asked_for(films: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"s3://films: The config profile \(nobody\) could not be found"):
        bucket()
