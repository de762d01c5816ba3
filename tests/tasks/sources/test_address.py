from pathlib import Path

import pytest

from models.errors import UserError
from tasks.sources.address import S3Address, absolute, source_at


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://films", "films", ""),
        ("s3://films/", "films", ""),
        ("S3://films/set", "films", "set/"),
        ("s3://films/set/", "films", "set/"),
        ("s3://films//odd//", "films", "/odd//"),
    ],
)
def test_a_prefix_names_a_folder_and_never_half_of_a_name(text: str, bucket: str, prefix: str) -> None:
    source = source_at(text)
    assert isinstance(source, S3Address)
    assert (source.bucket, source.prefix) == (bucket, prefix)


def test_an_address_is_the_same_from_everywhere_and_a_path_is_made_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert absolute("s3://films/set") == "s3://films/set"
    assert absolute("set") == str(Path.cwd() / "set")


@pytest.mark.parametrize("text", ["s3://", "s3:///set", "s3://a b/set"])
def test_an_address_without_a_bucket_says_how_to_write_one(text: str) -> None:
    with pytest.raises(UserError, match="no bucket's name; write s3://BUCKET/PREFIX"):
        source_at(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the source is '', which names nothing"),
        (" ", "the source is ' ', which names nothing"),
        ("http://films/set", "http://films/set: http:// is not read; give a folder"),
        ("file:///films", "file:///films: file:// is not read; give a folder"),
    ],
)
def test_what_can_be_no_source_is_said(text: str, says: str) -> None:
    with pytest.raises(UserError) as refused:
        source_at(text)
    assert str(refused.value).startswith(says)
