import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from models.clips.manifest import read_manifest
from models.clips.shards import ClipStore, verify_shard
from models.errors import UserError
from tasks.ingest import IngestSummary, ingest
from tasks.labelling.table import write_label_table
from tasks.params.data import IngestParams, SplitParams
from tests.support.videos import flipped, pictures, truncated, write_sound, write_video

PARAMS = IngestParams(short_side=32, max_fps=10, min_duration_s=0.5, max_duration_s=5, clips_per_shard=4)
BY_SOURCE = SplitParams(val=0.25, test=0.25)
CAMERAS = ("cam0", "cam1", "cam2", "cam3")
REAL = Path(__file__).resolve().parents[3] / "shared" / "real"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes, four cameras, one clip each."""
    root = tmp_path_factory.mktemp("world")
    for number, (label, camera) in enumerate((label, camera) for label in ("walk", "run") for camera in CAMERAS):
        write_video(root / label / camera / "1.mp4", pictures(8, seed=number))
    return root


@pytest.fixture
def source(world: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(world, tmp_path / "source"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def take(
    source: Path, data: Path, params: IngestParams = PARAMS, split: SplitParams = BY_SOURCE, **more: int
) -> IngestSummary:
    return ingest(source, data, params, split, seed=0, **more)


def manifest_of(data: Path) -> pd.DataFrame:
    return read_manifest(data / "manifest.parquet")


def shards_of(data: Path) -> set[str]:
    return {path.name for path in (data / "shards").iterdir()}


def bytes_of(data: Path) -> dict[str, bytes]:
    return {str(path.relative_to(data)): path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


def test_a_folder_becomes_a_dataset(source: Path, data: Path) -> None:
    summary = take(source, data)
    assert summary == IngestSummary(clips=8, new_clips=8, sources=4, classes=2, quarantined=[])
    manifest = manifest_of(data)
    assert sorted(manifest["uri"]) == sorted(
        f"{label}/{camera}/1.mp4" for label in ("walk", "run") for camera in CAMERAS
    )
    assert (manifest.groupby("source_id")["split"].nunique() == 1).all()
    assert manifest[["width", "height", "frames"]].drop_duplicates().to_numpy().tolist() == [[64, 48, 8]]
    store = ClipStore(data / "shards")
    for clip in manifest.itertuples():
        assert verify_shard(data / "shards" / clip.shard)
        assert store.decode(clip.shard, clip.row, range(8)).shape == (8, 32, 42, 3)
    assert sorted(path.name for path in data.iterdir()) == ["manifest.parquet", "quarantine.parquet", "shards"]
    assert shards_of(data) == set(manifest["shard"])


def test_the_result_depends_on_neither_workers_nor_place(source: Path, data: Path, tmp_path: Path) -> None:
    take(source, data, num_workers=1)
    moved = source.rename(tmp_path / "moved")
    take(moved, tmp_path / "again", num_workers=3)
    assert bytes_of(data) == bytes_of(tmp_path / "again")


def test_the_same_source_again_decodes_nothing_and_changes_no_byte(
    source: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "walk" / "cam0" / "text.mp4").write_text("not a video")
    first = take(source, data)
    before = bytes_of(data)
    monkeypatch.setattr("tasks.video.intake.decode_all", _decodes_nothing)
    again = take(source, data)
    assert (again.clips, again.new_clips, again.quarantined) == (8, 0, first.quarantined)
    assert bytes_of(data) == before


def test_a_new_batch_adds_shards_and_keeps_the_old_ones(source: Path, data: Path, tmp_path: Path) -> None:
    take(source, data)
    before, shards_before = manifest_of(data).set_index("clip_id"), bytes_of(data / "shards")
    batch = tmp_path / "batch"
    for number, label in enumerate(("walk", "run")):
        write_video(batch / label / "cam9" / "1.mp4", pictures(8, seed=100 + number))
        shutil.copytree(source / label / "cam0", batch / label / "cam0")
    summary = take(batch, data)
    assert (summary.clips, summary.new_clips, summary.sources) == (10, 2, 5)
    after = manifest_of(data).set_index("clip_id")
    assert after.loc[before.index].equals(before)
    assert bytes_of(data / "shards").items() > shards_before.items()


def test_what_a_source_changes_of_known_clips_is_said(
    source: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    take(source, data)
    take(source, data)
    assert "known clips have another" not in caplog.text
    for label in ("walk", "run"):
        (source / label / "cam0").rename(source / label / "yard")
    take(source, data)
    said = "2 known clips have another source than before, such as run/yard/1.mp4: 'yard', was 'cam0'"
    assert said in caplog.messages


def test_the_latest_word_on_a_clip_holds(source: Path, data: Path) -> None:
    take(source, data)
    manifest = manifest_of(data)
    camera = manifest.loc[manifest["split"] == "train", "source_id"].iloc[0]
    (source / "walk" / camera / "1.mp4").rename(source / "run" / camera / "2.mp4")
    summary = take(source, data)
    assert (summary.clips, summary.new_clips) == (8, 0)
    assert manifest_of(data).set_index("uri")["label"][f"run/{camera}/2.mp4"] == "run"


def test_what_cannot_be_read_goes_to_quarantine_and_the_rest_goes_on(source: Path, data: Path) -> None:
    folder = source / "walk" / "cam0"
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video")
    truncated(write_video(folder / "cut.mkv", pictures(30)), 0.4)
    write_sound(folder / "sound.mp4")
    write_video(folder / "short.mp4", pictures(2))
    write_video(folder / "long.mp4", pictures(60))
    (folder / "link.mp4").symlink_to(folder / "1.mp4")
    os.mkfifo(folder / "pipe.mp4")
    shutil.copy(source / "run" / "cam1" / "1.mp4", folder / "copy.mp4")
    summary = take(source, data)
    assert summary.clips == 8
    reasons = {path.removeprefix("walk/cam0/"): reason for path, reason in summary.quarantined}
    # Of the same content the first by path counts.
    assert reasons.pop("copy.mp4") == "has the same content as run/cam1/1.mp4, which has another label (run)"
    assert reasons.pop("empty.mp4") == "is empty (0 bytes)"
    assert reasons.pop("sound.mp4") == "has no video, only sound"
    assert "cannot be read as video" in reasons.pop("text.mp4")
    assert "lasts 0.20 s, less than" in reasons.pop("short.mp4")
    assert "lasts 6.0 s, more than" in reasons.pop("long.mp4")
    assert "is a symbolic link" in reasons.pop("link.mp4")
    assert "is not a regular file" in reasons.pop("pipe.mp4")
    assert any(word in reasons["cut.mkv"] for word in ("cut off", "damaged", "cannot be decoded beyond"))
    quarantine = pd.read_parquet(data / "quarantine.parquet")
    assert dict(zip(quarantine["path"], quarantine["reason"], strict=True)) == dict(summary.quarantined)
    assert set(quarantine["label"]) == {"walk"}


def test_a_mended_file_leaves_quarantine(source: Path, data: Path) -> None:
    late = source / "walk" / "cam0" / "2.mp4"
    late.write_text("still being copied")
    assert len(take(source, data).quarantined) == 1
    write_video(late, pictures(8, seed=50))
    summary = take(source, data)
    assert (summary.clips, summary.new_clips, summary.quarantined) == (9, 1, [])


def test_the_same_clip_twice_is_one(source: Path, data: Path) -> None:
    shutil.copy(source / "walk" / "cam0" / "1.mp4", source / "walk" / "cam0" / "2.mp4")
    summary = take(source, data)
    assert (summary.clips, summary.quarantined) == (8, [])
    assert "walk/cam0/1.mp4" in set(manifest_of(data)["uri"])


def test_windows_of_films(tmp_path: Path, data: Path) -> None:
    rows = []
    for number, label in enumerate(("walk", "run")):
        write_video(tmp_path / f"{label}.mp4", pictures(100, seed=number))
        rows += [{"path": f"{label}.mp4", "label": label, "start_s": s, "end_s": s + 1} for s in range(10)]
    pd.DataFrame(rows).to_csv(tmp_path / "films.csv", index=False)
    with pytest.raises(UserError, match=r"class 'run' has 1 source.* split.by: time"):
        take(tmp_path / "films.csv", data)
    assert not (data / "shards").exists()
    summary = take(tmp_path / "films.csv", data, split=SplitParams(by="time", val=0.2, test=0.25))
    assert (summary.clips, summary.sources) == (20, 2)
    in_order = manifest_of(data).sort_values(["label", "start_s"])
    assert in_order["split"].tolist() == (["train"] * 6 + ["val"] * 2 + ["test"] * 2) * 2
    assert (in_order["end_s"] - in_order["start_s"]).tolist() == pytest.approx([1.0] * 20)


def test_times_of_capture_are_kept_when_a_later_batch_has_none(source: Path, data: Path) -> None:
    rows = [
        {"path": f"{label}/{camera}/1.mp4", "label": label, "source_id": camera, "captured_at": "2026-01-02T03:04:05Z"}
        for label in ("walk", "run")
        for camera in CAMERAS
    ]
    pd.DataFrame(rows).to_csv(source / "clips.csv", index=False)
    take(source, data)
    write_video(source / "walk" / "cam0" / "2.mp4", pictures(8, seed=50))
    rows.append({"path": "walk/cam0/2.mp4", "label": "walk", "source_id": "cam0"})
    pd.DataFrame(rows).iloc[[-1]].to_csv(source / "later.csv", index=False)
    take(source / "later.csv", data)
    captured_at = manifest_of(data).set_index("uri")["captured_at"]
    assert captured_at.isna().sum() == 1
    assert captured_at["walk/cam1/1.mp4"] == pd.Timestamp("2026-01-02T03:04:05Z")


class TestUnlabelled:
    @pytest.fixture
    def incoming(self, tmp_path: Path) -> Path:
        """New video of a known camera and of three new ones, without labels."""
        for number, camera in enumerate(("cam0", "new0", "new1", "new2")):
            write_video(tmp_path / "incoming" / camera / "1.mp4", pictures(8, seed=200 + number))
        return tmp_path / "incoming"

    def waiting(self, data: Path) -> pd.DataFrame:
        manifest = manifest_of(data)
        return manifest[manifest["label"].isna()].set_index("uri")

    def test_it_waits_without_a_split(self, source: Path, data: Path, incoming: Path) -> None:
        take(source, data)
        before = manifest_of(data).set_index("clip_id")
        summary = take(incoming, data, has_labels=False)
        assert (summary.clips, summary.new_clips, summary.classes, summary.unlabelled) == (12, 4, 2, 4)
        waiting = self.waiting(data)
        assert waiting["source_id"].to_dict() == {f"{name}/1.mp4": name for name in ("cam0", "new0", "new1", "new2")}
        assert waiting[["split", "label_origin"]].isna().all(axis=None)
        assert manifest_of(data).set_index("clip_id").loc[before.index].equals(before)
        again = bytes_of(data)
        assert take(source, data).clips == 12
        assert manifest_of(data).set_index("clip_id").loc[before.index].equals(before)
        take(incoming, data, has_labels=False)
        assert bytes_of(data)["manifest.parquet"] == again["manifest.parquet"]

    def test_it_moves_no_labelled_clip_to_another_source(self, source: Path, data: Path, tmp_path: Path) -> None:
        take(source, data)
        before = manifest_of(data).set_index("clip_id")
        for camera in ("cam0", "cam1", "cam2", "cam3"):
            shutil.copytree(source / "walk" / camera, tmp_path / "incoming" / "shed" / camera)
        take(tmp_path / "incoming", data, has_labels=False)
        columns = ["source_id", "label", "split"]
        assert manifest_of(data).set_index("clip_id").loc[before.index, columns].equals(before[columns])

    def test_labels_of_people_outlast_sources_splits_and_the_manifest(
        self, source: Path, data: Path, incoming: Path
    ) -> None:
        take(source, data)
        take(incoming, data, has_labels=False)
        waiting = self.waiting(data)
        known = manifest_of(data).set_index("uri")["clip_id"]["walk/cam1/1.mp4"]
        labels = dict.fromkeys(waiting["clip_id"], "walk") | {known: "run"}
        write_label_table(labels, data.parent / "person_labels.csv")
        summary = take(source, data)
        manifest = manifest_of(data).set_index("clip_id")
        assert summary.unlabelled == 0
        assert manifest.loc[list(labels), "label"].to_dict() == labels
        assert set(manifest.loc[list(labels), "label_origin"]) == {"person"}
        assert (manifest.groupby("source_id")["split"].nunique() == 1).all()
        assert manifest["split"].notna().all()
        take(incoming, data, has_labels=False)
        assert manifest_of(data).set_index("clip_id").equals(manifest)
        (data.parent / "person_labels.csv").unlink()  # as in a clone without it: the manifest has them too
        take(source, data)
        assert manifest_of(data).set_index("clip_id").equals(manifest)
        write_label_table(labels, data.parent / "person_labels.csv")
        (data / "manifest.parquet").unlink()
        take(source, data)
        take(incoming, data, has_labels=False)
        assert manifest_of(data).set_index("clip_id")["label"].to_dict() == manifest["label"].to_dict()

    def test_a_class_of_people_waits_and_holds_nothing_up(
        self, source: Path, data: Path, incoming: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        take(source, data)
        take(incoming, data, has_labels=False)
        write_label_table({self.waiting(data)["clip_id"]["new0/1.mp4"]: "limp"}, data.parent / "person_labels.csv")
        assert take(source, data).unlabelled == 4
        assert "class 'limp': 1 labelled clips wait" in caplog.text

    def test_nothing_but_unlabelled_video_is_no_dataset(self, data: Path, incoming: Path) -> None:
        with pytest.raises(UserError, match=r"no clip has a label yet, .* ingest labelled video first"):
            take(incoming, data, has_labels=False)

    def test_by_time(self, source: Path, data: Path, incoming: Path) -> None:
        for seed, label in ((300, "walk"), (400, "run")):
            for number in (2, 3):
                write_video(source / label / "cam0" / f"{number}.mp4", pictures(8, seed=seed + number))
        rows = [
            {"path": str(path.relative_to(source)), "label": path.parts[-3], "source_id": path.parts[-2]}
            for path in sorted(source.rglob("*.mp4")) if path.parts[-2] == "cam0"
        ]  # fmt: skip
        moments = pd.date_range("2026-01-01", periods=len(rows), tz="UTC").astype(str)
        pd.DataFrame(rows).assign(captured_at=moments).to_csv(source / "clips.csv", index=False)
        by_time = SplitParams(by="time", val=0.3, test=0.3)
        take(source, data, split=by_time)
        take(incoming, data, split=by_time, has_labels=False)
        assert len(self.waiting(data)) == 4
        assert self.waiting(data)["split"].isna().all()


class TestChangedParameters:
    def test_stored_otherwise_is_decoded_again(self, source: Path, data: Path) -> None:
        take(source, data)
        ids, shards_before = set(manifest_of(data)["clip_id"]), shards_of(data)
        summary = take(source, data, PARAMS.model_copy(update={"short_side": 24}))
        assert (summary.clips, summary.new_clips) == (8, 0)
        assert set(manifest_of(data)["clip_id"]) == ids
        assert shards_before.isdisjoint(shards_of(data))

    def test_clips_that_the_source_does_not_name_would_be_stored_otherwise(self, source: Path, data: Path) -> None:
        take(source, data)
        before = bytes_of(data)
        (source / "walk" / "cam0" / "1.mp4").unlink()
        with pytest.raises(UserError, match=r"1 clips that the source does not name .* set ingest"):
            take(source, data, PARAMS.model_copy(update={"short_side": 24}))
        assert bytes_of(data) == before

    def test_another_duration_is_looked_at_without_decoding(
        self, source: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_video(source / "walk" / "cam0" / "2.mp4", pictures(20, seed=50))
        take(source, data)
        monkeypatch.setattr("tasks.video.intake.decode_all", _decodes_nothing)
        summary = take(source, data, PARAMS.model_copy(update={"max_duration_s": 1.5}))
        assert (summary.clips, [path for path, _ in summary.quarantined]) == (8, ["walk/cam0/2.mp4"])

    def test_another_split_assigns_everybody_anew(self, source: Path, data: Path) -> None:
        take(source, data)
        other = SplitParams(val=0.4, test=0.3)
        take(source, data, split=other)
        changed = manifest_of(data)
        take(source, data.with_name("fresh"), split=other)
        assert changed.equals(manifest_of(data.with_name("fresh")))


class TestInterruption:
    def test_finished_shards_are_taken_up(self, source: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        take(source, data.with_name("straight"))
        monkeypatch.setattr("pyarrow.ipc.new_file", _full_disk_after(1))
        with pytest.raises(OSError, match="No space left"):
            take(source, data)
        monkeypatch.undo()
        assert not (data / "manifest.parquet").exists()
        decoded: list[str] = []
        monkeypatch.setattr("tasks.video.intake.decode_all", _counting(decoded))
        take(source, data)
        assert len(decoded) == 4
        assert bytes_of(data) == bytes_of(data.with_name("straight"))

    def test_a_full_disk_leaves_no_half_written_shard(
        self, source: Path, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: Path, target: Path) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            take(source, data)
        assert bytes_of(data) == {}

    def test_leftovers_are_removed(self, source: Path, data: Path) -> None:
        take(source, data)
        before = bytes_of(data)
        (data / "shards" / ".half.123").write_bytes(b"half")
        (data / ".manifest.parquet.123").write_bytes(b"half")
        (data / "shards" / f"{'0' * 64}.arrow").write_bytes(b"torn")
        take(source, data)
        assert bytes_of(data) == before

    @pytest.mark.parametrize("damage", [truncated, flipped, Path.unlink])
    def test_damaged_shards_come_back_as_they_were(
        self, source: Path, data: Path, damage: Callable[..., object]
    ) -> None:
        take(source, data)
        before = bytes_of(data)
        for shard in (data / "shards").iterdir():
            damage(shard, *([] if damage is Path.unlink else [0.5]))
        take(source, data)
        assert bytes_of(data) == before

    def test_a_flipped_bit_in_a_cache_that_is_linked_is_mended_there_too(
        self, source: Path, data: Path, tmp_path: Path
    ) -> None:
        take(source, data)
        shard = next((data / "shards").iterdir())
        before = shard.read_bytes()
        os.link(shard, tmp_path / "cached")
        flipped(tmp_path / "cached", 0.5, num_bytes=1)
        (tmp_path / "cached").chmod(0o444)
        take(source, data)
        assert (tmp_path / "cached").read_bytes() == shard.read_bytes() == before

    def test_links_into_a_cache_are_never_written_through(self, source: Path, data: Path, tmp_path: Path) -> None:
        take(source, data)
        cache = tmp_path / "cache"
        cache.mkdir()
        for path in [*data.rglob("*.parquet"), *data.rglob("*.arrow")]:
            path.rename(cache / path.name)
            os.link(cache / path.name, path)
            path.chmod(0o444)
        before = bytes_of(cache)
        write_video(source / "walk" / "cam0" / "2.mp4", pictures(8, seed=50))
        take(source, data, PARAMS.model_copy(update={"short_side": 24}))
        assert len(manifest_of(data)) == 9
        assert bytes_of(cache) == before

    def test_two_at_a_time(self, source: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def meanwhile(*arguments: object, **named: object) -> None:
            take(source, data)

        monkeypatch.setattr("tasks.ingest.identified", meanwhile)
        with pytest.raises(UserError, match="another ingest is writing here"):
            take(source, data)

    @pytest.mark.integration
    def test_killed_at_any_instant_the_next_one_ends_the_same(self, source: Path, data: Path) -> None:
        take(source, data.with_name("straight"))
        straight = bytes_of(data.with_name("straight"))
        command = [sys.executable, "-c", _SCRIPT, str(source), str(data)]
        for delay_s in (0.6, 0.8, 1.0, 1.2, 1.4, 1.6):
            process = subprocess.Popen(command, start_new_session=True)
            time.sleep(delay_s)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        take(source, data)
        assert bytes_of(data) == straight


def test_nothing_heavy_is_imported_where_nothing_is_decoded() -> None:
    script = "import sys, tasks.ingest; print(sorted({'av', 'torch', 'mlflow', 'prefect'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


class TestMistakes:
    def test_one_class(self, source: Path, data: Path) -> None:
        shutil.rmtree(source / "run")
        with pytest.raises(UserError, match=r"there is one class \(walk\)"):
            take(source, data)
        assert not bytes_of(data)

    def test_a_class_with_one_source(self, source: Path, data: Path) -> None:
        for camera in CAMERAS[1:]:
            shutil.rmtree(source / "run" / camera)
        with pytest.raises(UserError, match=r"class 'run' has 1 source.* split.by: time"):
            take(source, data)
        assert not bytes_of(data)

    def test_nothing_can_be_read(self, source: Path, data: Path) -> None:
        for path in source.rglob("*.mp4"):
            path.write_text(f"{path}")
        with pytest.raises(UserError, match=r"nothing in it could be taken; run/cam0/1.mp4 cannot be read as video"):
            take(source, data)
        assert len(pd.read_parquet(data / "quarantine.parquet")) == 8

    def test_every_file_is_empty(self, source: Path, data: Path) -> None:
        for path in source.rglob("*.mp4"):
            path.write_bytes(b"")
        with pytest.raises(UserError, match=r"nothing in it could be taken; run/cam0/1.mp4 is empty"):
            take(source, data)

    def test_a_missing_shard(self, source: Path, data: Path) -> None:
        take(source, data)
        shutil.rmtree(data / "shards")
        (source / "walk" / "cam0" / "1.mp4").unlink()
        with pytest.raises(UserError, match=r"shard is missing or damaged; run `dvc checkout --force data\.dvc`"):
            take(source, data)

    def test_a_damaged_shard_of_clips_that_the_source_does_not_name(self, source: Path, data: Path) -> None:
        take(source, data)
        manifest = manifest_of(data).set_index("uri")
        flipped(data / "shards" / manifest["shard"]["walk/cam0/1.mp4"], 0.5)
        (source / "walk" / "cam0" / "1.mp4").unlink()
        with pytest.raises(UserError, match=r"shard is missing or damaged; .* or ingest a source that has .* 1 clips"):
            take(source, data)

    def test_the_command_line_says_it_in_one_sentence(self, tmp_path: Path) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "tasks.ingest", str(tmp_path / "nothing")],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert (
            done.stderr
            == f"error: {tmp_path / 'nothing'}: there is no such file or folder; give a folder per class, or a table\n"
        )


@pytest.mark.skipif(not REAL.is_dir(), reason="real footage is not beside the repository")
@pytest.mark.integration
def test_real_footage_by_time(data: Path, tmp_path: Path) -> None:
    films = {"bottle-detection": 39, "car-detection": 30, "one-by-one-person-detection": 139}
    rows = [
        {"path": str(REAL / f"{film}.mp4"), "label": film, "source_id": film, "start_s": start, "end_s": start + 2}
        for film, duration_s in films.items()
        for start in range(0, duration_s - 1, 2)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "windows.csv", index=False)
    params = IngestParams(short_side=64, max_fps=10)
    with pytest.raises(UserError, match="has 1 source"):
        take(tmp_path / "windows.csv", data, params)
    summary = take(tmp_path / "windows.csv", data, params, SplitParams(by="time"))
    assert (summary.clips, summary.sources, summary.classes, summary.quarantined) == (len(rows), 3, 3, [])


_SCRIPT = """
import sys
from pathlib import Path
from tests.tasks.test_ingest import take
take(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def _decodes_nothing(jobs: list[object], **_: object):
    assert jobs == []
    return (outcome for outcome in ())


def _counting(decoded: list[str]):
    from tasks.video.pool import decode_all

    def counting(jobs, **named):
        decoded.extend(job.path for job in jobs)
        return decode_all(jobs, **named)

    return counting


def _full_disk_after(num_shards: int):
    new_file, written = pa.ipc.new_file, []

    def limited(sink, schema):
        if len(written) == num_shards:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(sink)
        return new_file(sink, schema)

    return limited
