"""The guards of the decoding process, and an ingest, for a user without any privilege."""

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from models.clips.manifest import read_manifest
from tasks.video.sandbox import guards
from tests.support.videos import pictures, write_video

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(os.geteuid() != 0, reason="who runs the tests is an ordinary user already"),
]

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PARAMS = {
    "base": {"name": "demo"},
    "model": {"family": "c3d", "flavour": "debug"},
    "ingest": {"short_side": 32, "min_duration_s": 0.5},
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of nobody's; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


def as_nobody(place: Path, *command: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a program of ours as nobody, who may not enter what only root may: Python often lies there.

    So the folders that are needed are shown in the same place of a mount namespace of its own.
    """
    needed = dict.fromkeys(Path(folder).resolve() for folder in (sys.base_prefix, sys.prefix, ROOT))
    closed = {folder: at for folder in needed if (at := _closed(folder))}
    kept = {folder: place.with_name(f"{place.name}-{number}") for number, folder in enumerate(closed)}
    lines = [f"mkdir -p {kept[folder]} && mount --bind {shlex.quote(str(folder))} {kept[folder]}" for folder in closed]
    lines += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(at))}" for at in dict.fromkeys(closed.values())]
    for folder, copy in kept.items():
        named = shlex.quote(str(folder))
        lines.append(f"mkdir -p {named} && mount --bind {copy} {named}")
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    script = "\n".join(["set -e", *lines, f"exec {shlex.join([*become, *map(str, command)])}"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(place), "VIDEOLOOP_HOME": str(place / "home")}
    try:
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script],
            cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
    finally:
        for copy in kept.values():
            copy.rmdir()


def _closed(folder: Path) -> Path | None:
    """The outermost folder on the way there that others may not enter."""
    return next((at for at in [*reversed(folder.parents), folder] if not at.stat().st_mode & 0o001), None)


@pytest.fixture(autouse=True)
def _mounts(place: Path) -> None:
    tried = as_nobody(place, sys.executable, "-c", "import os, av; print(os.getuid())")
    if tried.stdout.strip() != str(NOBODY):
        pytest.skip(f"nobody cannot run this Python here: {tried.stderr.strip()[-300:]}")


def test_all_guards_hold_that_need_no_privilege(place: Path) -> None:
    done = as_nobody(place, sys.executable, "-m", "tasks.video.sandbox")
    assert done.returncode == 0, done.stderr
    said = {line[:42].strip(): line[42:] == "yes" for line in done.stdout.splitlines()}
    of_root = guards()
    assert said.keys() == of_root.keys()
    # Where user namespaces are forbidden the filter of system calls makes up for the empty network.
    without_network = {name: holds for name, holds in said.items() if name != "empty network"}
    assert without_network == {name: of_root[name] for name in without_network}


def test_video_is_taken_and_what_is_none_is_refused(place: Path) -> None:
    for label in ("walk", "run"):
        for camera in range(3):
            shown = pictures(10, seed=camera + 3 * (label == "run"))
            write_video(place / "source" / label / f"cam{camera}" / "1.mp4", shown)
    (place / "source" / "walk" / "cam0" / "text.mp4").write_text("no film")
    (place / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    done = as_nobody(place, sys.executable, "-m", "tasks.ingest", "source")
    assert done.returncode == 0, done.stderr
    assert "6 clips (6 new) from 3 sources in 2 classes, 1 in quarantine" in done.stderr
    assert len(read_manifest(place / "data" / "manifest.parquet")) == 6
    assert {path.stat().st_uid for path in (place / "data").rglob("*")} == {NOBODY}
