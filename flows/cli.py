"""The command line: ``videoloop --help``."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.label_commands import label_app
from flows.lost_server import leave, lost_server_in_words
from tasks.params.data import LayoutName
from tasks.process import readable, speak
from tasks.settings import ServeSettings, hush, main_checkout

if TYPE_CHECKING:
    from infra.doctor import Finding
    from tasks.promote import Promotion

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Keeps a video model right while the world in front of the cameras changes.",
)
app.add_typer(label_app, name="label")
console = Console()

Name = Annotated[str | None, typer.Argument(help="Registered model; default: base.name of params.yaml.")]
_SOURCE = "A folder per class, a CSV or Parquet table, or a dataset as it is published, here or at s3://."
Why = Annotated[str, typer.Option(help="The reason, for the decision log.")]
_INTERRUPTED = 130


def main() -> None:
    """Run the command line; a person's mistake is one sentence and exit code 2."""
    hush()
    speak()
    code = 1
    try:
        code = readable(app)
    except SystemExit as ended:  # how typer ends a command
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except Exception:
        sys.excepthook(*sys.exc_info())
    if code == _INTERRUPTED:  # typer takes the KeyboardInterrupt of a command and leaves its code
        print("interrupted; run the same command to go on from what was finished", file=sys.stderr)
    leave(code)


@app.command()
def run(
    source: Annotated[str | None, typer.Option(help=f"{_SOURCE} Default: as last time.")] = None,
) -> None:
    """Run one round: ingest, validate, search, fine-tune, evaluate, report, register, judge."""
    from infra import servers
    from tasks.params_file import PARAMS_FILE, load_params
    from tasks.repository import demand_ready
    from tasks.sources.address import absolute, demand_there, source_at
    from tasks.workspace import last_source

    # A mistake costs no start of servers.
    demand_ready(main_checkout())
    load_params(main_checkout() / PARAMS_FILE)
    where = absolute(source) if source else last_source()
    demand_there(source_at(where))
    started = servers.connect(console.print)
    from flows.train import train

    with lost_server_in_words():
        result = train(where)
    assert result is not None  # only a round that a watch asked for may have ended before
    from flows.summary import show

    show(console, result, mlflow=started["mlflow"].url, prefect=started["prefect"].url)


@app.command()
def ingest(
    source: Annotated[str, typer.Argument(help=_SOURCE)],
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="A folder per source, or a table without the column label.")
    ] = False,
    layout: Annotated[
        LayoutName | None, typer.Option(help="How SRC lies there; default: ingest.layout of params.yaml.")
    ] = None,
) -> None:
    """Bring video into data/ of this checkout; `dvc repro` goes on from there."""
    from flows.summary import show_refused
    from tasks.ingest import ingest as bring_in
    from tasks.layout import DATA
    from tasks.params_file import load_params
    from tasks.sources.address import source_at
    from tasks.workspace import add_data_here, demand_here

    params = load_params()
    demand_here()
    section = params.ingest.model_copy(update={"layout": layout or params.ingest.layout})
    where, labelled = source_at(source), not unlabelled
    found = bring_in(where, DATA, section, params.split, seed=params.base.seed, has_labels=labelled)
    version = add_data_here()
    show_refused(console, found.quarantined)
    console.print(f"{found.clips} clips ({found.new_clips} new), {found.sources} sources, {found.classes} classes")
    if found.unlabelled:
        console.print(f"{found.unlabelled} clips have no label yet")
    console.print(f"dataset version {version}; `git add data.dvc && git commit` names it, `dvc repro` trains on it")


@app.command()
def watch(
    source: Annotated[
        str | None,
        typer.Option(
            help="Video that came in: a folder per source, or a table; here or at s3://; default: VIDEOLOOP_INCOMING."
        ),
    ] = None,
    now: Annotated[
        datetime | None, typer.Option(help="The moment of the watch, UTC; days before it are over. Default: now.")
    ] = None,
    labelled: Annotated[bool, typer.Option("--labelled", help="The source is a folder per class.")] = False,
) -> None:
    """Look for change in incoming video, say whether it hurts, and ask for labels or start a retraining if so."""
    from infra import servers
    from tasks.params_file import PARAMS_FILE, load_params
    from tasks.sources.address import absolute, demand_there, source_at

    # A mistake costs no start of servers.
    load_params(main_checkout() / PARAMS_FILE)
    if source:
        demand_there(source_at(source))
    servers.connect(console.print)
    from flows.summary import show_watch
    from flows.watch import watch as look

    moment = now.replace(tzinfo=UTC) if now else None
    with lost_server_in_words():
        found = look(absolute(source) if source else None, moment, labelled)
    show_watch(console, found)


@app.command()
def up() -> None:
    """Start MLflow, Prefect and the worker on this machine."""
    from infra import servers

    servers.up(console.print)
    status()


@app.command()
def down() -> None:
    """Stop what `up` started."""
    from infra import servers

    servers.down(console.print)


@app.command()
def status() -> None:
    """Say what runs, and where it answers."""
    from infra import servers

    table = Table("server", "process", "address")
    found = servers.running()
    for name in ("mlflow", "prefect", "worker"):
        server = found.get(name)
        table.add_row(name, str(server.pid) if server else "not running", server.url if server else "")
    console.print(table)


class Patient(StrEnum):
    """What the doctor looks at."""

    MACHINE = "machine"
    DATA = "data"


@app.command()
def doctor(
    patient: Annotated[Patient, typer.Argument(help="This machine, or the dataset in data/.")] = Patient.MACHINE,
) -> None:
    """Name what is missing or misconfigured, or what is wrong with the dataset, and the remedy."""
    from tasks.report.environment import visible

    table, healthy = Table("", "what", "finding"), True
    for finding in _findings(patient):
        healthy &= finding.ok
        says = "\n".join(map(visible, finding.says.split("\n")))
        table.add_row("ok" if finding.ok else "[red]mend[/red]", finding.subject, escape(says))
    console.print(table)
    if not healthy:
        raise typer.Exit(1)


@app.command()
def profile(
    out: Annotated[Path, typer.Option(help="The page.")] = Path("results/profile.html"),
) -> None:
    """Draw the dataset in data/ on one page: counts, times, facts, pictures of each class, what was refused."""
    from tasks.profile.page import profile as draw

    draw(_default_name(), out)
    console.print(str(out), markup=False, highlight=False)


@app.command()
def predict(
    files: Annotated[list[Path], typer.Argument(help="Video files.")],
    name: Annotated[str | None, typer.Option(help="Registered model; default: base.name of params.yaml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Say what the champion sees in video files."""
    from tasks.layouts.claim import readable as as_text
    from tasks.predict import predict as ask
    from tasks.report.environment import visible

    predictions = ask(files, name or _default_name())
    if as_json:
        answers = [asdict(prediction) | {"path": str(prediction.path)} for prediction in predictions]
        print(json.dumps([_without_none(answer, "labels") for answer in answers], indent=2))
    else:
        table = Table("file", "label", "probability", "remark")
        table.columns[0].overflow = "fold"  # ends of names tell files apart
        for prediction in predictions:
            given = {prediction.label: prediction.probability} if prediction.labels is None else prediction.labels
            share = ", ".join(f"{probability:.3f}" for probability in given.values() if probability is not None)
            texts = (as_text(prediction.path), prediction.label or "", share, prediction.error or "")
            table.add_row(*(escape(visible(text)) for text in texts))
        console.print(table)
    if all(prediction.error for prediction in predictions):
        raise typer.Exit(2)


def _without_none(answer: dict[str, Any], key: str) -> dict[str, Any]:
    """``answer`` without a key that says nothing of it."""
    return {name: value for name, value in answer.items() if name != key or value is not None}


@app.command()
def serve(
    name: Name = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: VIDEOLOOP_SERVE_PORT, or 8000.")] = None,
) -> None:
    """Answer over HTTP with the champion, and follow its alias."""
    from tasks.serve.run import serve as answer

    config = ServeSettings() if port is None else ServeSettings(port=port)
    answer(name or _default_name(), config)


@app.command()
def promote(
    name: Name = None,
    version: Annotated[int | None, typer.Option(help="Default: the challenger.")] = None,
    why: Why = "",
) -> None:
    """Make a version the champion."""
    from tasks.promote import promote as crown

    _say(crown(name or _default_name(), version, who=_who(), why=why))


@app.command()
def rollback(name: Name = None, why: Why = "") -> None:
    """Give the alias back to the champion before this one."""
    from tasks.promote import rollback as take_back

    _say(take_back(name or _default_name(), who=_who(), why=why))


@app.command()
def reproduce(
    uri: Annotated[str, typer.Argument(help="models:/NAME/VERSION or models:/NAME@ALIAS")],
    rebuild: Annotated[bool, typer.Option(help="Train and evaluate again, and compare the weights.")] = False,
) -> None:
    """Bring back the commit of a version, say what is up to date, and rebuild it."""
    from tasks.reproduce import reproduce as bring_back

    found = bring_back(uri, rebuild=rebuild)
    console.print(f"{found.name} version {found.version} is commit {found.commit}", highlight=False)
    for what, why in found.stale.items():
        console.print(f"not up to date: {what}: {why}", markup=False)
    if not found.stale:
        console.print("data and every stage are up to date")
    if rebuild:
        console.print(f"registered weights {found.registered}\nrebuilt weights    {found.rebuilt}", highlight=False)
        console.print("equal to the byte" if found.equal else "[red]the weights differ[/red]")
        if not found.equal:
            raise typer.Exit(1)


def _findings(patient: Patient) -> "Iterator[Finding]":
    if patient is Patient.MACHINE:
        from infra.doctor import examine

        return examine()
    from infra.data_doctor import examine_data
    from tasks.params_file import load_params

    params = load_params()
    return examine_data(params.validate_, params.split)


def _say(promotion: "Promotion") -> None:
    before = f", was {promotion.previous}" if promotion.previous else ""
    news = before if promotion.changed else " already"
    console.print(f"{promotion.name}: champion is version {promotion.version}{news}", highlight=False)


def _default_name() -> str:
    from tasks.params_file import load_params

    return load_params(main_checkout() / "params.yaml").base.name


def _who() -> str:
    """Who gives the command, as Git would say of a commit's author."""
    from tasks.repository import git

    named = os.environ.get("GIT_AUTHOR_NAME", "").strip()
    return named or git(main_checkout(), "config", "user.name", check=False) or os.environ.get("USER", "unknown")


if __name__ == "__main__":
    main()
