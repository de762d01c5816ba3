import csv
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from infra.demo.cameras import draw_camera
from infra.demo.dataset import Clip, World, write_world
from infra.demo.looks import LOOKS
from infra.demo.takes import ACTIONS, draw_take
from models.errors import UserError

TINY = World(num_frames=3, size=(32, 32))


def write(out, world=TINY, cameras=2, clips_per_action=1, actions=("walk", "kick"), **options):
    return write_world(world, out, cameras=cameras, clips_per_action=clips_per_action, actions=actions, **options)


def contents(out):
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_same_world_gives_the_same_bytes_twice(tmp_path):
    write(tmp_path / "first")
    write(tmp_path / "second")
    assert contents(tmp_path / "first") == contents(tmp_path / "second")


@pytest.mark.integration
def test_any_number_of_workers_gives_the_same_bytes(tmp_path):
    write(tmp_path / "one", workers=1)
    write(tmp_path / "three", workers=3)
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_the_table_names_every_clip_with_its_camera_label_and_time(tmp_path):
    world = World(num_frames=1, size=(16, 16))
    table = write(tmp_path / "world", world, cameras=2, clips_per_action=2, actions=tuple(ACTIONS))
    assert table == tmp_path / "world" / "clips.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "source_id", "captured_at"]
    assert len(rows) == 2 * 2 * len(ACTIONS)
    assert {row["label"] for row in rows} == set(ACTIONS)
    assert {row["source_id"] for row in rows} == {"cam-01", "cam-02"}
    assert all(row["path"].startswith(f"{row['source_id']}/{row['label']}-") for row in rows)
    assert all("2026-01-05T08" <= row["captured_at"] < "2026-01-25" for row in rows)


def test_every_file_decodes_to_all_its_frames(tmp_path):
    out = write(tmp_path / "world").parent
    videos = sorted(out.rglob("*.mp4"))
    assert len(videos) == 4
    for video in videos:
        with av.open(str(video)) as container:
            shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
        assert shapes == [(32, 32, 3)] * 3


def test_more_cameras_and_clips_add_to_what_is_there(tmp_path):
    write(tmp_path / "grown")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "grown").rglob("*.mp4")}
    write(tmp_path / "grown", cameras=3, clips_per_action=2)
    write(tmp_path / "at once", cameras=3, clips_per_action=2)
    assert contents(tmp_path / "grown") == contents(tmp_path / "at once")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_render_that_failed_half_way_goes_on(tmp_path, monkeypatch):
    out = tmp_path / "world"
    encoded = World.encoded
    rendered = []

    def fails_at_third(world, clip):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append(clip)
        return encoded(world, clip)

    monkeypatch.setattr(World, "encoded", fails_at_third)
    with pytest.raises(KeyboardInterrupt):
        write(out)
    assert len(list(out.rglob("*.mp4"))) == 2
    assert not (out / "clips.csv").exists()

    monkeypatch.setattr(World, "encoded", lambda world, clip: rendered.append(clip) or encoded(world, clip))
    write(out)
    assert len(rendered) == len(set(rendered)) == 4
    monkeypatch.undo()
    write(tmp_path / "at once")
    assert contents(out) == contents(tmp_path / "at once")


@pytest.mark.integration
def test_a_killed_render_leaves_whole_clips_no_workers_and_goes_on(tmp_path):
    out = tmp_path / "world"
    command = [sys.executable, "-m", "infra.demo", str(out), "--cameras", "2", "--clips-per-action", "1"]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.DEVNULL)
    while len(list(out.rglob("*.mp4"))) < 3:
        assert process.poll() is None
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_until_gone(children)
    kept = {path: path.stat().st_mtime_ns for path in out.rglob("*.mp4") if not path.name.startswith(".")}
    assert len(kept) < 26

    assert subprocess.run([*command, "--workers", "1"], stderr=subprocess.DEVNULL).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert len([path for path in out.rglob("*.mp4") if not path.name.startswith(".")]) == 26
    for path in kept:
        clip = Clip(int(path.parent.name[-2:]) - 1, 1, path.stem[:-2])
        assert path.read_bytes() == World().encoded(clip)


def _wait_until_gone(pids):
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("name", [name for name in LOOKS if name != "base"])
def test_the_same_take_looks_different_in_every_look(name):
    before, after = (
        draw_take(draw_camera(0, LOOKS[look], seed=0), "walk", 1, LOOKS["base"], 0, (0,)).film(6, (64, 64)).astype(int)
        for look in ("base", name)
    )
    assert np.abs(before - after).mean() > 1


def test_seed_batch_and_look_each_bring_other_clips():
    clip = Clip(0, 1, "walk")
    worlds = [TINY, replace(TINY, seed=1), replace(TINY, batch=1), replace(TINY, look="uniform")]
    assert len({world.take(clip).start_s for world in worlds}) == 4
    assert TINY.take(clip).camera == replace(TINY, batch=1).take(clip).camera


def test_a_folder_with_another_world_is_left_alone(tmp_path):
    write(tmp_path / "world")
    before = contents(tmp_path / "world")
    with pytest.raises(UserError, match=r"world: this folder holds another world .* choose an empty one"):
        write(tmp_path / "world", replace(TINY, look="night"))
    assert contents(tmp_path / "world") == before


def test_a_folder_or_file_of_somebody_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "thesis.txt"):
        with pytest.raises(UserError, match="something else is here; choose a new or empty folder"):
            write(out)
    assert contents(tmp_path) == {"thesis.txt": b"mine"}


@pytest.mark.parametrize("option", ["cameras", "clips_per_action", "workers"])
def test_none_of_something_is_a_clear_error(tmp_path, option):
    with pytest.raises(UserError, match=f"--{option.replace('_', '-')} 0: this must be at least 1"):
        write(tmp_path / "world", **{option: 0})
    assert not (tmp_path / "world").exists()


@pytest.mark.parametrize("option", ["seed", "batch"])
def test_a_negative_seed_or_batch_is_a_clear_error(option):
    with pytest.raises(UserError, match=f"--{option} -1: this must be 0 or more"):
        World(**{option: -1})
