import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import boto3
import pytest
from moto.server import ThreadedMotoServer

from models.clips.cache import ShardCache
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.clips.sampling import ClipInput
from models.clips.shards import ShardFolder, StoredClip, write_shard
from models.errors import UserError
from models.spec import AugmentParams, ModelParams, PretrainParams
from tasks import layout
from tasks.params.quality import EvaluateParams, ReportParams
from tasks.params.whole import BaseParams
from tasks.pretrain import pretrain
from tasks.profile.page import profile
from tasks.reference import reference
from tasks.remote_shards import shards_of
from tasks.report.page import report
from tasks.settings import settings
from tests.support.dataset import write_dataset
from tests.support.results import write_results

INPUT = ClipInput(num_frames=4, span_s=None, size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def data(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset whose shards are in a bucket alone, laid out as ``dvc push`` does."""
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "a",
        "AWS_DEFAULT_REGION": "us-east-1", "VIDEOLOOP_SHARDS": "s3://bucket/there",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    boto3.client("s3").create_bucket(Bucket="bucket")
    return _pushed(write_dataset(tmp_path / "data"))


def _pushed(data: Path) -> Path:
    client = boto3.client("s3")
    listed = []
    for path in sorted(path for path in data.rglob("*") if path.is_file()):
        md5 = _put(client, path.read_bytes())
        listed.append({"md5": md5, "relpath": str(path.relative_to(data))})
    version = _put(client, json.dumps(listed).encode(), ".dir")
    (data.parent / "data.dvc").write_text(f"outs:\n- md5: {version}\n  path: data\n")
    return data


def _put(client: object, content: bytes, suffix: str = "") -> str:
    md5 = hashlib.md5(content).hexdigest() + suffix
    client.put_object(Bucket="bucket", Key=f"there/files/md5/{md5[:2]}/{md5[2:]}", Body=content)  # type: ignore[attr-defined]
    return md5


def test_streamed_batches_are_those_of_the_folder(data: Path) -> None:
    clips = read_manifest(data / "manifest.parquet")

    def first(**more: object) -> list[float]:
        loader = ClipLoader(
            data, clips, ["left", "right"], INPUT, 8, augment=AugmentParams(), shuffle=True, **more  # type: ignore[arg-type]
        )  # fmt: skip
        return [float(batch.clip_BCTHW.sum()) for batch in loader.epoch(0)]

    here = first()
    for path in (data / "shards").iterdir():
        path.unlink()
    assert first(shards=shards_of(data)) == here
    with pytest.raises(UserError, match="this shard is missing"):
        first()


def _bytes_here_and_streamed(
    data: Path, out: Path, make: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> list[bytes]:
    made = []
    for url in ("", "s3://bucket/there"):
        monkeypatch.setenv("VIDEOLOOP_SHARDS", url)
        settings.cache_clear()
        make()
        made.append(out.read_bytes())
        out.unlink()
        shutil.rmtree(data / "shards", ignore_errors=True)
    return made


def test_pretraining_ends_with_the_same_bytes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = PretrainParams(objective="masked", epochs=1, batch_size=8, decoder_blocks=1, num_threads=1)
    model, out = ModelParams(family="vit", flavour="debug"), tmp_path / "weights.safetensors"
    monkeypatch.setattr("tasks.pretrain.tracked", lambda *_: nullcontext(Mock()))  # MLflow takes five seconds

    def make() -> None:
        pretrain(BaseParams(name="test"), model, params, data=data, out=out)

    here, streamed = _bytes_here_and_streamed(data, out, make, monkeypatch)
    assert streamed == here


def test_reference_and_report_have_the_same_bytes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_results(tmp_path / "round", clips_per_class=1)
    _pushed(root / layout.DATA)
    base = BaseParams(name="test")

    def make() -> None:
        reference(base, data=root / layout.DATA, model=root / layout.MODEL, out=root / layout.REFERENCE)
        shown = ReportParams(worst=2, explained=2)
        report(base, shown, EvaluateParams(bootstrap=100), {}, workspace=root, out=root / layout.REPORT)

    here, streamed = _bytes_here_and_streamed(root / layout.DATA, root / layout.REPORT, make, monkeypatch)
    assert streamed == here


def test_profile_has_the_same_bytes(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "profile.html"
    here, streamed = _bytes_here_and_streamed(data, page, lambda: profile("test", page, data=data), monkeypatch)
    assert streamed == here


def test_a_shard_that_was_not_pushed(data: Path) -> None:
    shards = shards_of(data)
    assert isinstance(shards, ShardCache)
    [[name, _]] = write_shard(data / "shards", [StoredClip("new", 8, 8, [0.0], [b"jpeg"])])
    with pytest.raises(UserError, match=r"the pushed dataset has no shard .*`dvc add data && dvc push`"):
        shards.hold(name)


def test_a_version_that_was_not_pushed(data: Path) -> None:
    (data.parent / "data.dvc").write_text(f"outs:\n- md5: {'0' * 32}.dir\n  path: data\n")
    shards = shards_of(data)
    with pytest.raises(UserError, match=r"does not hold this dataset version .*run `dvc push`"):
        shards.hold("any.arrow")


@pytest.mark.parametrize("url", ["gs://bucket/there", "s3://", "/folder"])
def test_an_address_that_is_none(data: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("VIDEOLOOP_SHARDS", url)
    settings.cache_clear()
    with pytest.raises(UserError, match="VIDEOLOOP_SHARDS: it is"):
        shards_of(data)


def test_without_a_dataset_version(data: Path) -> None:
    (data.parent / "data.dvc").unlink()
    with pytest.raises(UserError, match="it names no dataset version"):
        shards_of(data)


def test_by_default_nothing_is_streamed(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDEOLOOP_SHARDS")
    settings.cache_clear()
    assert isinstance(shards_of(data), ShardFolder)
