"""Show a verdict where people promote: as tags, in the description, on the report that MLflow shows."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from tasks import layout
from tasks.gate.listed import fitting, listed
from tasks.gate.outcome import MOST_CLAUSES
from tasks.gate.section import with_section
from tasks.gate.verdict import Verdict
from tasks.params.quality import JudgeParams
from tasks.registry.client import reachable
from tasks.registry.names import VERDICT

if TYPE_CHECKING:
    from mlflow import MlflowClient

_HEADING = "**Verdict**"
_MOST_CHARACTERS = 5000
"""Of a description and of a tag in MLflow's tables; PostgreSQL refuses more, SQLite does not count."""


def show(client: "MlflowClient", name: str, verdict: Verdict, workspace: Path, params: JudgeParams) -> None:
    """Put ``verdict`` on its version and on the report of ``workspace``, which made it; the file there stays as it is.

    Raises:
        UserError: MLflow does not answer, or the workspace's report is missing or something else.
    """
    page = with_section(_report(workspace), verdict, params)
    with reachable():
        version = client.get_model_version(name, str(verdict.version))
        wanted = tags_of(verdict)
        for tag, value in wanted.items():
            client.set_model_version_tag(name, str(verdict.version), tag, value)
        for tag in version.tags.keys() - wanted.keys():  # of an earlier verdict
            if tag.startswith(f"{VERDICT}."):
                client.delete_model_version_tag(name, str(verdict.version), tag)
        written = version.description or ""
        described = described_with(verdict, written)
        if described != written:
            client.update_model_version(name, str(verdict.version), described)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / layout.REPORT.name
            copy.write_text(page, encoding="utf-8")
            client.log_artifact(version.run_id, str(copy))


def described_with(verdict: Verdict, written: str) -> str:
    """The description ``written`` with ``verdict`` on top, in the place of an earlier one.

    What else is written stays whole: the verdict is cut where both are too long, and left to the tags without room.
    """
    others = [part for part in written.split("\n\n") if part and not part.startswith(_HEADING)]
    room = _MOST_CHARACTERS - sum(len(part) + 2 for part in others)
    said = fitting(f"{_HEADING} {verdict.text}", room)
    return "\n\n".join([said, *others] if said.startswith(f"{_HEADING} ") else others)


def tags_of(verdict: Verdict) -> dict[str, str]:
    """What stands on the version's page, by tag."""
    tags = {VERDICT: verdict.outcome, f"{VERDICT}.text": fitting(verdict.text, _MOST_CHARACTERS)}
    if verdict.champion is not None:
        tags[f"{VERDICT}.champion"] = str(verdict.champion)
    for world, comparison in verdict.worlds.items():
        for field in ("difference", "low", "high", "num_clips", "num_sources"):
            tags[f"{VERDICT}.{world}.{field}"] = str(getattr(comparison, field))
    if verdict.blocks:
        tags[f"{VERDICT}.blocks"] = fitting(listed(verdict.blocks, MOST_CLAUSES, "; "), _MOST_CHARACTERS)
    return tags


def _report(workspace: Path) -> str:
    path = workspace / layout.REPORT
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: there is no report; run `dvc repro report`") from None
