import os
import subprocess
import sys
from pathlib import Path

import pytest

from models.errors import UserError
from tasks import repository, workspace
from tasks.repository import git
from tasks.workspace import Workspace, round_workspace

ROOT = Path(__file__).parents[2]
_DVC_YAML = """
stages:
  validate:
    cmd: python stage.py
    deps: [data, stage.py]
    outs: [results/validate/count.txt]
"""
_STAGE = """
import os, pathlib
pathlib.Path(os.environ["VIDEOLOOP_RAN"]).touch()
out = pathlib.Path("results/validate"); out.mkdir(parents=True, exist_ok=True)
(out / "count.txt").write_text(str(len(list(pathlib.Path("data").iterdir()))))
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one DVC stage, as the current folder."""
    for name, value in {"NAME": "Test", "EMAIL": "test@localhost"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{name}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{name}", value)
    root = tmp_path / "checkout"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch", "main")
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text((ROOT / ".dvc" / "config").read_text())
    (root / ".dvc" / ".gitignore").write_text((ROOT / ".dvc" / ".gitignore").read_text())
    (root / ".gitignore").write_text("/data\n/results/validate/count.txt\n")
    (root / "dvc.yaml").write_text(_DVC_YAML)
    (root / "stage.py").write_text(_STAGE)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "start")
    monkeypatch.chdir(root)
    return root


def _round(work: Workspace, *files: str) -> tuple[bool, str]:
    (work.root / "data").mkdir(exist_ok=True)
    for name in files:
        (work.root / "data" / name).write_text(name)
    workspace.add_data(work)
    ran = workspace.reproduce(work, "validate")
    commit = workspace.commit(work, "round")
    workspace.publish(work, commit)
    return ran, commit


@pytest.mark.integration
def test_a_round_ends_in_a_commit_and_an_unchanged_one_does_nothing(checkout: Path) -> None:
    with round_workspace("source") as work:
        ran, first = _round(work, "a")
        root = work.root
    assert ran
    assert not root.exists()
    assert git(checkout, "rev-parse", workspace.LATEST) == first
    assert git(checkout, "status", "--porcelain") == ""
    with round_workspace("source") as work:
        assert (work.root / "data" / "a").read_text() == "a"
        ran, second = _round(work)
    assert not ran
    assert second == first
    branches = git(checkout, "branch", "--format", "%(refname:short)").splitlines()
    assert len(branches) == 3  # main, latest, and the one round that had something to say

    with round_workspace("source") as work:
        ran, third = _round(work, "b")
        assert (work.root / "results/validate/count.txt").read_text() == "2"
    assert ran
    assert third != first


@pytest.mark.integration
def test_why_dvc_did_not_take_the_data_is_said(checkout: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (checkout / "data.dvc").write_text("outs: [\n")
    (checkout / "data").mkdir()
    with pytest.raises(UserError, match="dvc add data failed, see above"):
        workspace.add_data_here()
    assert "data.dvc" in capfd.readouterr().err


def test_where_dvc_can_take_no_data_is_said_before_they_are_decoded(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.demand_here()
    (checkout / ".git").rename(checkout / "gone")
    with pytest.raises(UserError, match="this is not a Git repository; clone videoloop"):
        workspace.demand_here()
    (checkout / "sub").mkdir()
    monkeypatch.chdir(checkout / "sub")
    with pytest.raises(UserError, match="DVC is not set up here"):
        workspace.demand_here()


@pytest.mark.integration
def test_the_champion_that_a_round_started_from_is_there_in_the_next(checkout: Path) -> None:
    with round_workspace("source") as work:
        (work.root / "champion").mkdir()
        (work.root / "champion" / "weights").write_text("w")
        (work.root / "champion.json").write_text("it")
        workspace.add_champion(work)
        _round(work, "a")
    with round_workspace("source") as work:
        assert (work.root / "champion" / "weights").read_text() == "w"
        assert (work.root / "champion.json").read_text() == "it"


@pytest.mark.integration
def test_a_killed_round_goes_on_in_its_workspace(checkout: Path) -> None:
    code = (
        "import os, signal; from tasks import workspace\n"
        "with workspace.round_workspace('source') as work:\n"
        "    (work.root / 'data').mkdir(); (work.root / 'data' / 'a').write_text('a')\n"
        "    workspace.add_data(work); assert workspace.reproduce(work, 'validate')\n"
        "    print(work.name, flush=True); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    name = killed.stdout.strip().splitlines()[-1]
    with round_workspace("source", kind="ingest") as other:
        assert other.name.startswith("ingest-")
    with round_workspace("source") as work:
        assert work.name == name
        ran, _ = _round(work)
    assert not ran


@pytest.mark.integration
def test_a_data_commit_names_the_dataset_and_nothing_else(checkout: Path) -> None:
    with round_workspace("source") as work:
        (work.root / "data").mkdir()
        (work.root / "data" / "a").write_text("a")
        workspace.add_data(work)
        (work.root / "results").mkdir()
        (work.root / "results" / "half.json").write_text("{")
        git(work.root, "add", "results")
        workspace.commit_data(work, "data")
        assert git(work.root, "show", "--format=", "--name-only", "HEAD") == "data.dvc"
        named = git(work.root, "rev-parse", "HEAD")
        workspace.commit_data(work, "data")
        assert git(work.root, "rev-parse", "HEAD") == named


@pytest.mark.integration
def test_a_second_round_at_the_same_time_is_refused(checkout: Path) -> None:
    with (
        round_workspace("source"),
        pytest.raises(UserError, match="another round is at work"),
        round_workspace("source"),
    ):
        pass


def test_a_dirty_checkout_is_refused_by_name(checkout: Path) -> None:
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(UserError, match=r"dvc.yaml changed but not committed.*git stash"):
        repository.demand_ready(checkout)


def test_video_beside_the_code_does_not_make_it_dirty(checkout: Path) -> None:
    (checkout / "films").mkdir()
    (checkout / "films" / "a.mp4").touch()
    repository.demand_ready(checkout)


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a Git repository"):
        repository.demand_ready(tmp_path)


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(UserError, match="there is no commit yet"):
        repository.demand_ready(tmp_path)


def test_without_an_identity_the_remedy_is_named(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    git(checkout, "config", "user.useConfigOnly", "true")
    with pytest.raises(UserError, match=r"git config --global user\.name"):
        repository.demand_ready(checkout)


def test_a_commit_that_is_not_here_is_said(checkout: Path) -> None:
    with pytest.raises(UserError, match="is not in"), workspace.commit_workspace("0" * 40):
        pass
