"""The part of the command line that asks people for labels and takes them back: ``videoloop label --help``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

label_app = typer.Typer(no_args_is_help=True, help="Ask people for labels, and take them back.")
console = Console()


@label_app.command("request")
def request_labels(
    outputs: Annotated[Path, typer.Argument(help="What a model made of clips of data/, as the watch writes it.")],
    budget: Annotated[int, typer.Option(min=1, help="Clips that people will look at.")] = 50,
    per_source: Annotated[int | None, typer.Option(min=1, help="Clips of one source, at most.")] = None,
    out: Annotated[Path, typer.Option(help="Where requests lie.")] = Path("requests"),
) -> None:
    """Choose the clips most worth a person's time, and write them into a folder to look at and to fill in."""
    from tasks.labelling.outputs import read_outputs
    from tasks.labelling.request import request
    from tasks.layout import DATA
    from tasks.params_file import load_params

    params = load_params()
    labels, seed = params.validate_.labels, params.base.seed
    made = request(read_outputs(outputs), DATA, out, budget=budget, per_source=per_source, seed=seed, labels=labels)
    state = "" if made.new else ", which was there already"
    console.print(f"{made.clips} clips of {made.sources} sources: {made.folder}{state}", highlight=False, markup=False)


@label_app.command("receive")
def receive_labels(
    answers: Annotated[
        Path, typer.Argument(help="labels.csv of a request, or Label Studio's JSON or CVAT's XML export.")
    ],
    new_classes: Annotated[bool, typer.Option("--new-classes", help="Take labels that the dataset lacks.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Let labels differ from those that clips have.")] = False,
) -> None:
    """Take labels back into data/ and person_labels.csv: all of the file, or nothing."""
    from tasks.dataset import waits
    from tasks.labelling.receive import receive
    from tasks.layout import DATA, PERSON_LABELS
    from tasks.params_file import load_params
    from tasks.watch.adopt import adopt, named_in
    from tasks.workspace import add_data_here, demand_here

    params = load_params()
    demand_here()
    allowed, seed = params.validate_.labels, params.base.seed
    if answers.is_file() and (asked := named_in(answers.read_text(errors="replace"), params.ingest)):
        adopt(DATA, params.ingest, params.split, seed=seed, wanted=asked)
    found = receive(answers, DATA, params.split, seed=seed, allowed=allowed, new_classes=new_classes, replace=replace)
    version = add_data_here()
    for label, clips in found.taken.items():
        console.print(f"{label}: {clips}{' (new class)' if label in found.new_classes else ''}", markup=False)
    for label, clips in found.waiting.items():
        console.print(waits(label, clips), markup=False)
    splits = ", ".join(f"{clips} in {split}" for split, clips in found.splits.items())
    taken = sum(found.taken.values())
    console.print(f"{taken} labels taken ({splits or 'none new'}), {found.repeated} known, {found.skipped} skipped")
    console.print(
        f"dataset version {version}; `git add {PERSON_LABELS} data.dvc && git commit` lets the next round train on it"
    )
