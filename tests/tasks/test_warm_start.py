"""From the registry into the workspace, by the path that a round takes."""

import shutil

import pytest

from models.clips.manifest import read_manifest, write_manifest
from models.errors import UserError
from models.saved import read_clip_ids
from tasks import layout
from tasks.champion_note import champion_folder, read_note
from tasks.promote import promote
from tasks.register import register
from tasks.registry.client import registry
from tasks.registry.names import CHAMPION
from tasks.settings import settings
from tasks.warm_start import warm_start
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round

PARAMS = params_of()


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """A home with versions 1 and 2 of ``actions``, which know all clips of their rounds but one."""
    folder = tmp_path_factory.mktemp("warm")
    with own_home(folder / "home"):
        for seed in (1, 2):
            root = write_round(folder / str(seed), seed=seed)
            ids = read_manifest(root / layout.MANIFEST)["clip_id"].tolist()
            (root / layout.MODEL / "clips.txt").write_text("".join(f"{each}\n" for each in ids[1:]))
            register(root, PARAMS, commit="c" * 40, dataset_version="d" * 32)
    return folder


@pytest.fixture
def workspace(rounds, tmp_path):
    """A workspace with data of which the champions do not know one clip."""
    with own_home(rounds / "home"):
        promote("actions", 1, who="test", why="")
        (tmp_path / "work").mkdir()
        shutil.copytree(rounds / "1" / layout.DATA, tmp_path / "work" / layout.DATA)
        yield tmp_path / "work"


def test_the_champions_files_come_into_the_workspace(workspace, rounds):
    assert warm_start(workspace, PARAMS)
    note = read_note(workspace)
    assert (note["name"], note["version"]) == ("actions", 1)
    folder = champion_folder(PARAMS.continual, workspace)
    for name in ("weights.safetensors", "model.json", "clips.txt"):
        assert (folder / name).read_bytes() == (rounds / "1" / layout.MODEL / name).read_bytes()


def test_again_nothing_is_written(workspace):
    warm_start(workspace, PARAMS)
    before = {path: path.stat().st_ino for path in workspace.rglob("*")}
    assert warm_start(workspace, PARAMS)
    assert {path: path.stat().st_ino for path in workspace.rglob("*")} == before


def test_interrupted_between_files_and_note_it_goes_on(workspace, monkeypatch):
    def pulled(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tasks.warm_start.write_note", pulled)
        with pytest.raises(KeyboardInterrupt):
            warm_start(workspace, PARAMS)
    assert champion_folder(PARAMS.continual, workspace) is None
    assert warm_start(workspace, PARAMS)
    assert champion_folder(PARAMS.continual, workspace)


def test_files_that_were_lost_come_back(workspace):
    warm_start(workspace, PARAMS)
    shutil.rmtree(workspace / layout.CHAMPION)
    warm_start(workspace, PARAMS)
    assert champion_folder(PARAMS.continual, workspace)


def test_another_champion_takes_its_place(workspace, rounds):
    warm_start(workspace, PARAMS)
    promote("actions", 2, who="test", why="")
    warm_start(workspace, PARAMS)
    assert read_note(workspace)["version"] == 2
    weights = champion_folder(PARAMS.continual, workspace) / "weights.safetensors"
    assert weights.read_bytes() == (rounds / "2" / layout.WEIGHTS).read_bytes()


def test_a_champion_that_knows_every_clip_changes_nothing(workspace):
    manifest = read_manifest(workspace / layout.MANIFEST)
    warm_start(workspace, PARAMS)
    known = read_clip_ids(workspace / layout.CHAMPION)
    write_manifest(manifest[manifest["clip_id"].isin(known)], workspace / layout.MANIFEST)
    promote("actions", 2, who="test", why="")
    assert warm_start(workspace, PARAMS)
    assert read_note(workspace)["version"] == 1
    (workspace / layout.CHAMPION_NOTE).unlink()
    assert not warm_start(workspace, PARAMS)
    assert not (workspace / layout.CHAMPION_NOTE).exists()


def test_without_a_champion_the_start_is_cold(workspace):
    warm_start(workspace, PARAMS)
    registry().delete_registered_model_alias("actions", CHAMPION)
    assert not warm_start(workspace, PARAMS)
    assert read_note(workspace) is None


def test_of_a_name_that_nobody_registered_the_start_is_cold(workspace):
    assert not warm_start(workspace, params_of("others"))
    assert champion_folder(PARAMS.continual, workspace) is None


def test_from_scratch_no_registry_is_asked(workspace, monkeypatch):
    monkeypatch.setattr("tasks.warm_start.registry", None)
    scratch = PARAMS.continual.model_copy(update={"start": "scratch"})
    assert not warm_start(workspace, PARAMS.model_copy(update={"continual": scratch}))
    assert not (workspace / layout.CHAMPION_NOTE).exists()


def test_files_that_are_not_what_was_registered_are_refused(workspace):
    before = {path: path.read_bytes() for path in (settings().home / "mlartifacts").rglob("clips.txt")}
    shutil.rmtree(settings().home / "models", ignore_errors=True)
    try:
        for path in before:
            path.write_text("tampered\n")
        with pytest.raises(UserError, match=r"version 1 of actions: .*clips\.txt is not the file"):
            warm_start(workspace, PARAMS)
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    assert before
    assert not (workspace / layout.CHAMPION).exists()
