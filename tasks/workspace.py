"""A round's own workspace: a Git worktree on a branch of its own that shares the DVC cache. The only caller of dvc.

A round that was killed leaves its workspace; the next round from the same commit and source goes on in it. What DVC
finished is not done again, whichever workspace it was done in, because the run cache is shared.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from models.errors import UserError
from tasks import repository
from tasks.layout import CHAMPION, DATA
from tasks.params.whole import Params
from tasks.params_file import PARAMS_FILE, load_params
from tasks.process import run_child
from tasks.repository import git
from tasks.settings import Settings, main_checkout, settings

LATEST = "videoloop/latest"
_CHAMPION = "champion.dvc"
_KEPT = ("data.dvc", _CHAMPION, "champion.json", "dvc.lock", "results")


class RoundAtWorkError(UserError):
    """The data and results of a checkout are in other hands for a while."""


@dataclass(frozen=True)
class Workspace:
    """One round's worktree.

    Attributes:
        name: Of the round, and the last part of its branch.
        root: The worktree's folder.
        base: The commit that the round started from.
        source: Where the round's video comes from.
    """

    name: str
    root: Path
    base: str
    source: str

    @property
    def branch(self) -> str:
        """The branch that the round's commits are on."""
        return f"videoloop/{self.name}"

    @cached_property
    def params(self) -> Params:
        """The round's params.yaml: that of its commit."""
        return load_params(self.root / PARAMS_FILE)


@contextmanager
def round_workspace(source: str, *, kind: str = "round") -> Iterator[Workspace]:
    """The workspace of a round on ``source``: that of an interrupted one where there is one, else a new one.

    It is removed when the round ends well and kept when it does not.

    Args:
        source: Where its video comes from.
        kind: What its name begins with; one kind does not go on with another's workspace, nor clear it away.

    Raises:
        RoundAtWorkError: Another round is at work.
        UserError: The checkout is not ready (:func:`tasks.repository.demand_ready`).
    """
    checkout, config = main_checkout(), settings()
    repository.demand_ready(checkout)
    config.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(config.home / "round.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RoundAtWorkError(
            f"{config.home / 'round.lock'}: another round is at work; wait for it (`videoloop status`) or stop it"
        ) from None
    with lock:
        workspace = _resumed(checkout, config, source, kind) or _created(checkout, config, source, kind)
        yield workspace
        _remove(checkout, config, workspace)


def reproduce(
    workspace: Workspace, stage: str, *, force: bool = False, home: Path | None = None, flow_run: str = ""
) -> bool:
    """Bring one stage up to date by ``dvc repro``; return whether its command ran.

    With ``force`` it runs in any case and takes nothing from the run cache; ``home`` keeps its checkpoints and caches
    apart from those of other runs. ``flow_run`` is the Prefect flow run that the search's trials show up in.

    Raises:
        UserError: The stage failed; its own words are on the terminal.
    """
    marker = workspace.root / ".dvc" / "tmp" / f"ran-{os.getpid()}"
    marker.unlink(missing_ok=True)
    options = ["--force", "--no-run-cache"] if force else []
    code = run_child(
        [*_DVC, "repro", "--single-item", *options, stage],
        cwd=workspace.root,
        env={
            **_environment(workspace),
            **({"VIDEOLOOP_HOME": str(home), "MLFLOW_TRACKING_URI": "", "PREFECT_API_URL": ""} if home else {}),
            "VIDEOLOOP_RAN": str(marker),
            "VIDEOLOOP_FLOW_RUN": flow_run,
        },
    )
    if code != 0:
        raise UserError(f"stage {stage} failed, see above; its workspace is {workspace.root}")
    ran = marker.exists()
    marker.unlink(missing_ok=True)
    return ran


def add_data(workspace: Workspace) -> str:
    """Hand ``data/`` to DVC; return the dataset version (DVC's hash of the folder).

    Raises:
        UserError: DVC could not take it, as on a full disk.
    """
    _hand_over(workspace, DATA)
    return dataset_version(workspace.root)


def add_data_here() -> str:
    """Hand ``data/`` of the current folder to DVC; return the dataset version."""
    return add_data(Workspace("", Path.cwd(), "", ""))


def add_champion(workspace: Workspace) -> None:
    """Hand ``champion/`` to DVC.

    Raises:
        UserError: DVC could not take it, as on a full disk.
    """
    _hand_over(workspace, CHAMPION)


def add_champion_here() -> None:
    """Hand ``champion/`` of the current folder to DVC."""
    add_champion(Workspace("", Path.cwd(), "", ""))


def demand_here() -> None:
    """Check that :func:`add_data_here` can hand over what hours of decoding bring.

    Raises:
        UserError: The current folder lacks what DVC needs.
    """
    root = Path.cwd()
    if not (root / ".dvc").is_dir():
        raise UserError(f"{root}: DVC is not set up here; restore .dvc from Git")
    if git(root, "rev-parse", "--is-inside-work-tree", check=False) != "true":
        raise UserError(f"{root}: this is not a Git repository; clone videoloop, or run `git init` and commit")


def _hand_over(workspace: Workspace, folder: Path) -> None:
    add, environment = [*_DVC, "add", str(folder)], _environment(workspace)
    if run_child([*add, "--quiet"], cwd=workspace.root, env=environment) == 0:
        return
    # Quiet, it does not even say why it failed.
    if run_child(add, cwd=workspace.root, env=environment) != 0:
        raise UserError(f"dvc add {folder} failed, see above; run the same command again once that is mended")


def dataset_version(root: Path) -> str:
    """DVC's hash of the data folder as ``data.dvc`` under ``root`` names it."""
    return str(yaml.safe_load((root / "data.dvc").read_text())["outs"][0]["md5"])


def commit_data(workspace: Workspace, message: str) -> None:
    """Have a commit name the dataset version, unless the branch or the last round does.

    Nothing else goes into it: in the workspace of a round that was killed lie results, some of them half done.
    """
    version = git(workspace.root, "hash-object", "data.dvc")
    for known in ("HEAD", LATEST):
        if git(workspace.root, "rev-parse", "--verify", "--quiet", f"{known}:data.dvc", check=False) == version:
            return
    git(workspace.root, "add", "data.dvc")
    git(workspace.root, "commit", "--quiet", "--no-verify", "--message", message, "--only", "--", "data.dvc")


def commit(workspace: Workspace, message: str) -> str:
    """Commit the round's state; return the commit.

    A state that the last round left already needs no commit of its own: that round's commit is returned.
    """
    present = [name for name in _KEPT if (workspace.root / name).exists()]
    git(workspace.root, "add", "--all", "--", *present)
    tree = git(workspace.root, "write-tree")
    for known in ("HEAD", LATEST):
        if repository.exists(workspace.root, known) and git(workspace.root, "rev-parse", f"{known}^{{tree}}") == tree:
            return git(workspace.root, "rev-parse", known)
    git(workspace.root, "commit", "--quiet", "--no-verify", "--message", message)
    return git(workspace.root, "rev-parse", "HEAD")


def publish(workspace: Workspace, revision: str) -> None:
    """Let the branch ``videoloop/latest`` name ``revision``: the next round starts from its data and results."""
    git(workspace.root, "update-ref", f"refs/heads/{LATEST}", revision)
    (settings().home / "source").write_text(workspace.source)


def last_source() -> str:
    """Where scheduled rounds find video: ``VIDEOLOOP_SOURCE``, else the source of the last round.

    Raises:
        UserError: Neither is there.
    """
    if source := settings().source:
        return source
    try:
        return (settings().home / "source").read_text()
    except FileNotFoundError:
        raise UserError("no source is known; run `videoloop run --source PATH` or set VIDEOLOOP_SOURCE") from None


@contextmanager
def commit_workspace(revision: str) -> Iterator[Workspace]:
    """A throw-away workspace that shows ``revision`` with its data checked out."""
    checkout, config = main_checkout(), settings()
    if not repository.exists(checkout, revision):
        raise UserError(f"commit {revision} is not in {checkout}; fetch the branch that holds it (`git fetch --all`)")
    name = f"reproduce-{revision[:12]}-{os.getpid()}"
    workspace = Workspace(name, config.home / "runs" / name, revision, "")
    _add_worktree(checkout, workspace, "--detach", str(workspace.root), revision)
    try:
        yield workspace
    finally:
        git(checkout, "worktree", "remove", "--force", str(workspace.root), check=False)


def checkout_data(workspace: Workspace) -> None:
    """Bring the dataset, and the champion that training started from, from the cache into the workspace.

    Raises:
        UserError: The cache lacks something.
    """
    inputs = ["data.dvc", *([_CHAMPION] if (workspace.root / _CHAMPION).exists() else [])]
    if run_child([*_DVC, "checkout", "--quiet", "--force", *inputs], workspace.root, _environment(workspace)) != 0:
        raise UserError(
            f"the DVC cache lacks files of this dataset, see above; bring them with `dvc pull {' '.join(inputs)}`"
        )


def checkout_results(workspace: Workspace) -> None:
    """Bring the stages' results from the cache into the workspace, as far as the cache has them."""
    subprocess.run(
        [*_DVC, "checkout", "--quiet", "--force", "--allow-missing"],
        cwd=workspace.root,
        env=_environment(workspace),
        capture_output=True,
        check=False,
    )


def dvc_status(workspace: Workspace) -> dict[str, list[object]]:
    """What ``dvc status`` says: per stage, what changed; empty where all is up to date."""
    done = subprocess.run(
        [*_DVC, "status", "--json"],
        cwd=workspace.root,
        env=_environment(workspace),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UserError(f"dvc status failed in {workspace.root}: {done.stderr.strip()}")
    return dict(json.loads(done.stdout or "{}"))


_DVC = (sys.executable, "-m", "dvc")


def _environment(workspace: Workspace) -> dict[str, str]:
    # `python` in dvc.yaml is the interpreter that runs this.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    config = settings()
    place = {"PATH": path, "VIDEOLOOP_HOME": str(config.home), "VIDEOLOOP_ROUND": workspace.name}
    return {**os.environ, **place, "MLFLOW_TRACKING_URI": config.mlflow_uri}


def _resumed(checkout: Path, config: Settings, source: str, kind: str) -> Workspace | None:
    """The workspace of the interrupted round from the same commit and source; its kind's other leftovers go."""
    base, found = git(checkout, "rev-parse", "HEAD"), None
    for state in sorted((config.home / "runs").glob(f"{kind}-*.json")):
        try:
            entry = json.loads(state.read_text())
            workspace = Workspace(entry["name"], Path(entry["root"]), entry["base"], entry["source"])
        except (ValueError, KeyError):
            state.unlink()
            continue
        fits = (workspace.base, workspace.source) == (base, source) and entry["ready"] and workspace.root.exists()
        if fits and found is None:
            found = workspace
        else:
            _remove(checkout, config, workspace)
    return found


def _created(checkout: Path, config: Settings, source: str, kind: str) -> Workspace:
    base = git(checkout, "rev-parse", "HEAD")
    name = _unused_name(checkout, kind)
    workspace = Workspace(name, config.home / "runs" / name, base, source)
    _note(config, workspace, ready=False)
    _add_worktree(checkout, workspace, "-b", workspace.branch, str(workspace.root), base)
    if repository.exists(checkout, LATEST):
        listed = git(workspace.root, "ls-tree", "--name-only", LATEST, "--", *_KEPT).splitlines()
        if listed:
            git(workspace.root, "checkout", LATEST, "--", *listed)
            checkout_data(workspace)
            checkout_results(workspace)  # DVC skips only stages whose results are in place
    _note(config, workspace, ready=True)
    return workspace


def _unused_name(checkout: Path, kind: str) -> str:
    name = stamp = datetime.now(UTC).strftime(f"{kind}-%Y%m%d-%H%M%S")
    number = 1
    while repository.exists(checkout, f"videoloop/{name}"):
        number += 1
        name = f"{stamp}-{number}"
    return name


def _add_worktree(checkout: Path, workspace: Workspace, *arguments: str) -> None:
    git(checkout, "worktree", "prune")
    git(checkout, "worktree", "add", "--quiet", *arguments)
    local = workspace.root / ".dvc" / "config.local"
    local.write_text(f"[cache]\n    dir = {checkout / '.dvc' / 'cache'}\n[core]\n    autostage = true\n")


def _note(config: Settings, workspace: Workspace, *, ready: bool) -> None:
    state = config.home / "runs" / f"{workspace.name}.json"
    state.parent.mkdir(parents=True, exist_ok=True)
    temporary = state.with_suffix(".new")
    temporary.write_text(json.dumps({**asdict(workspace), "root": str(workspace.root), "ready": ready}, indent=2))
    temporary.replace(state)


def _remove(checkout: Path, config: Settings, workspace: Workspace) -> None:
    """Remove the worktree, and the branch where it holds nothing of its own."""
    git(checkout, "worktree", "remove", "--force", str(workspace.root), check=False)
    shutil.rmtree(workspace.root, ignore_errors=True)
    git(checkout, "worktree", "prune")
    if git(checkout, "rev-parse", "--verify", "--quiet", workspace.branch, check=False) == workspace.base:
        git(checkout, "branch", "--quiet", "--delete", "--force", workspace.branch)
    (config.home / "runs" / f"{workspace.name}.json").unlink(missing_ok=True)
