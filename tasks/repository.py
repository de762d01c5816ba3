"""The user's Git repository: what must hold before a round, and how commits are made."""

import shutil
import subprocess
from pathlib import Path

from models.errors import UserError

_CODE = ("flows", "tasks", "models", "dvc.yaml", "params.yaml", "person_labels.csv")


def git(root: Path, *arguments: str, check: bool = True) -> str:
    """Run git in ``root`` and return what it printed.

    Raises:
        UserError: git failed, with its own words, or is not there.
    """
    if shutil.which("git") is None:
        raise UserError("git is not on PATH; install it with the system's package manager")
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise UserError(f"git {' '.join(arguments[:2])} failed in {root}: {(done.stderr or done.stdout).strip()}")
    return done.stdout.rstrip("\n")


def exists(root: Path, revision: str) -> bool:
    """Whether ``revision`` names a commit."""
    return bool(git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", check=False))


def demand_ready(root: Path) -> None:
    """Check that a round can start from the checkout at ``root``.

    Raises:
        UserError: There is no repository or no commit, Git does not know who commits, or code or parameters are
            changed but not committed, so that no commit would name what the round ran.
    """
    if git(root, "rev-parse", "--is-inside-work-tree", check=False) != "true":
        raise UserError(f"{root}: this is not a Git repository; clone videoloop, or run `git init` and commit")
    if not exists(root, "HEAD"):
        raise UserError(f"{root}: there is no commit yet; run `git add --all && git commit`")
    if not git(root, "var", "GIT_COMMITTER_IDENT", check=False):
        raise UserError(
            "Git does not know who you are, and a round ends in a commit; run "
            "`git config --global user.name NAME` and `git config --global user.email ADDRESS`"
        )
    changed = git(root, "status", "--porcelain", "--untracked-files=no").splitlines()
    changed += git(root, "status", "--porcelain", "--", *_CODE).splitlines()
    if changed:
        names = sorted({line[3:] for line in changed})
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise UserError(
            f"{root}: {shown} changed but not committed, so no commit would name what this round ran; "
            "commit them (`git commit --all`) or put them aside (`git stash --include-untracked`)"
        )
