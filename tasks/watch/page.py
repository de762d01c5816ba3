"""The page of a watch: one file that needs nothing else; and its figures, in MLflow."""

import base64
import logging
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment
from markupsafe import Markup

from models.clips.label_sets import NOTHING
from models.clips.manifest import read_manifest
from models.clips.shards import ClipStore
from models.errors import UserError
from models.files import replacing
from tasks.decisions import Decision, decisions
from tasks.labelling.outputs import Outputs
from tasks.layout import MANIFEST, SHARDS
from tasks.params.whole import Params
from tasks.registry.client import registry
from tasks.report.environment import page_environment
from tasks.report.sheets import Picture, contact_sheet, frame_width
from tasks.settings import settings
from tasks.tracking import experiment_named
from tasks.watch import plots
from tasks.watch.champion import Champion, reference_of
from tasks.watch.findings import Figure, Findings, Group, Moved
from tasks.watch.memory import past_findings
from tasks.watch.place import watch_folder
from tasks.watch.watch import KIND, Watched, decision_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

_WATCH = "videoloop.watch"
_MOST_GROUPS = 30
_MOST_DECISIONS = 30
_GRID = (3, 1)


@dataclass(frozen=True)
class Pair:
    """A clip that moved, beside the clip of the reference that is nearest to it."""

    moved: Moved
    picture: Picture | None
    nearest: str | None


def publish(found: Watched, params: Params) -> str:
    """Write the page, and hand it and its figures to MLflow: one run a watch, in the model's experiment.

    A watch that is shown again keeps its run.

    Returns:
        Where the page can be opened; empty where MLflow does not answer.
    """
    from mlflow.exceptions import MlflowException

    path = watch_folder(found.champion.name) / "reports" / f"{found.findings.key}.html"
    with replacing(path) as temporary:
        temporary.write_text(render(found, params), encoding="utf-8")
    try:
        return _logged(registry(), found, path)
    except (MlflowException, OSError) as error:
        logger.warning("MLflow does not answer, so the watch is not in it: %s", str(error).splitlines()[0])
        return ""


def render(found: Watched, params: Params) -> str:
    """The page as HTML."""
    findings, champion = found.findings, found.champion
    past = [one for one in past_findings(champion) if one.now <= findings.now]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            found=found,
            findings=findings,
            params=params.watch,
            groups=[findings.overall, *findings.groups[:_MOST_GROUPS]],
            others=max(0, len(findings.groups) - _MOST_GROUPS),
            timeline=plots.evidence(past, findings) if past else None,
            accuracy=plots.accuracy(past) if any(_accuracies(one) for one in past) else None,
            pairs=_pairs(champion, findings),
            decisions=_decisions(champion.name),
        )
    )


def figures(findings: Findings) -> dict[str, float]:
    """What MLflow shows of a watch."""
    overall = findings.overall
    own = {"evidence": overall.evidence, "limit": overall.limit, "clips": overall.clips, "sources": overall.sources}
    tests = {f"p_value.{test.name.split()[0]}": test.p_value for test in overall.tests if test.p_value is not None}
    harm = {f"accuracy.{harm.how}": harm.after.estimate for harm in overall.harm if harm.after and not harm.of}
    return {**{key: float(value) for key, value in own.items()}, **tests, **harm, "alarm": float(bool(findings.alarm))}


def _accuracies(findings: Findings) -> bool:
    return any(harm.after for harm in findings.overall.harm)


def _logged(client: "MlflowClient", found: Watched, path: Path) -> str:
    from mlflow.entities import Metric

    findings, key = found.findings, decision_key(found.findings)
    experiment = experiment_named(client, found.champion.name)
    known = client.search_runs([experiment], f"tags.`{_WATCH}` = '{found.findings.key}'", max_results=1)
    if known:
        run = known[0]
    else:
        tags = {_WATCH: findings.key, "videoloop.stage": "watch", "videoloop.decision": key}
        run = client.create_run(experiment, run_name=f"watch {findings.now:%Y-%m-%d %H:%M}", tags=tags)
    run_id, now = run.info.run_id, int(findings.now.timestamp() * 1000)
    if not findings.halted:
        client.log_batch(run_id, [Metric(name, value, now, 0) for name, value in figures(findings).items()])
    client.set_tag(run_id, "videoloop.action", found.action)
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "watch.html"
        page.write_bytes(path.read_bytes())
        client.log_artifact(run_id, str(page))
    client.set_terminated(run_id)
    uri = settings().mlflow_uri
    place = f"#/experiments/{experiment}/runs/{run_id}/artifacts/watch.html"
    return f"{uri}/{place}" if uri.startswith("http") else ""


def _pairs(champion: Champion, findings: Findings) -> list[Pair]:
    data = champion.incoming
    if not findings.moved or not (data / MANIFEST.name).exists():
        return []
    clips = read_manifest(data / MANIFEST.name).set_index("clip_id")
    store, pictures = ClipStore(data / SHARDS.name), _pictures(reference_of(champion))
    width = frame_width(2 * _GRID[0] * len(findings.moved))
    return [
        Pair(moved, _sheet(store, clips.loc[moved.clip_id], width), pictures.get(moved.nearest))
        for moved in findings.moved
        if moved.clip_id in clips.index
    ]


def _sheet(store: ClipStore, clip: Any, width: int) -> Picture | None:
    try:
        return contact_sheet(store, clip["shard"], int(clip["row"]), columns=_GRID[0], rows=_GRID[1], width=width)
    except UserError as error:
        logger.warning("%s", error)
        return None


def _pictures(reference: Outputs) -> Mapping[str, str]:
    """Pictures of the reference by clip; they are a model's artifact, so that nothing but a JPEG is taken."""
    prefix = "data:image/jpeg;base64,"
    shown = reference.clips.dropna(subset=["picture"])
    return {
        clip_id: prefix + base64.b64encode(base64.b64decode(uri.removeprefix(prefix))).decode()
        for clip_id, uri in zip(shown["clip_id"], shown["picture"], strict=True)
        if uri.startswith(prefix)
    }


def _decisions(name: str) -> list[Decision]:
    return decisions(_MOST_DECISIONS, subject=name, kind=KIND)


def _environment() -> Environment:
    return page_environment(Path(__file__).parent, share=_share, number=_number, chance=_chance, named=_named)


def _share(group: Group) -> Markup:
    """Accuracy in words, with its interval."""
    known = [_accuracy(harm.how, harm.after) for harm in group.harm if harm.after and not harm.of]
    return Markup("<br>").join(known) if known else Markup("\N{EN DASH}")


def _accuracy(how: str, after: Figure) -> str:
    return f"{100 * after.estimate:.1f}% ({100 * after.low:.1f}\N{EN DASH}{100 * after.high:.1f}, {how})"


def _named(label: str) -> str:
    return "none of the labels" if label == NOTHING else label


def _number(value: float) -> str:
    return f"{value:.3g}"


def _chance(value: float | None) -> str:
    return "abstains" if value is None else f"{value:.2g}"
