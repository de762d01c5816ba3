from pathlib import Path

import pytest

from models.errors import UserError
from models.spec import AnchorParams, ContinualParams
from tasks.champion_note import champion_folder, hashes_of, read_note, start_key, write_note
from tests.support.champions import write_champion

ROOT = Path(__file__).parents[2]
PARAMS = ContinualParams()


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace whose note names the champion that it holds."""
    folder = write_champion(tmp_path / "champion", clip_ids=["a"])
    write_note(tmp_path, {"name": "actions", "version": 3, "files": hashes_of(folder)})
    return tmp_path


def test_the_repository_starts_cold() -> None:
    assert read_note(ROOT) is None
    assert champion_folder(PARAMS, ROOT) is None


def test_no_note_is_a_cold_start(tmp_path: Path) -> None:
    assert champion_folder(PARAMS, tmp_path) is None


def test_the_champion_that_is_named(workspace: Path) -> None:
    assert champion_folder(PARAMS, workspace) == workspace / "champion"
    assert champion_folder(PARAMS.model_copy(update={"start": "scratch"}), workspace) is None


def test_a_note_that_says_the_same_is_left_alone(workspace: Path) -> None:
    path = workspace / "champion.json"
    before = path.stat()
    write_note(workspace, read_note(workspace))
    assert path.stat().st_ino == before.st_ino


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json", "clips.txt"])
def test_other_files_are_refused_with_the_remedy(workspace: Path, name: str) -> None:
    (workspace / "champion" / name).write_bytes(b"other")
    with pytest.raises(UserError, match=r"not the files that champion\.json names; run `dvc checkout champion\.dvc`"):
        champion_folder(PARAMS, workspace)
    (workspace / "champion" / name).unlink()
    with pytest.raises(UserError, match="not the files"):
        champion_folder(PARAMS, workspace)


@pytest.mark.parametrize("content", ["", "null", "{}", '{"champion": 3}', '{"champion": {"version": 1}}'])
def test_a_note_that_is_none_names_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "champion.json").write_text(content)
    with pytest.raises(UserError, match=r"champion\.json: .*git checkout champion\.json"):
        champion_folder(PARAMS, tmp_path)


def test_the_key_of_a_start_is_its_files_and_parameters(workspace: Path, tmp_path: Path) -> None:
    folder = workspace / "champion"
    key = start_key(PARAMS, folder)
    assert key == start_key(None, write_champion(tmp_path / "elsewhere", clip_ids=["a"]))
    assert key != start_key(PARAMS.model_copy(update={"anchor": AnchorParams(weight=1.0)}), folder)
    assert key != start_key(PARAMS, write_champion(tmp_path / "other", clip_ids=["a", "b"]))
    assert start_key(PARAMS.model_copy(update={"vanished": "drop"}), None) is None
