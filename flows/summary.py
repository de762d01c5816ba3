"""What rounds, ingests and watches have come to, in short, on the terminal."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tasks.evaluation.measure import ACCURACY, Measure, measure_of
from tasks.report.environment import visible
from tasks.summary import Round

if TYPE_CHECKING:
    from tasks.watch.watch import Watched

_MOST_GROUPS = 20
_MOST_REASONS = 10


def show(console: Console, result: Round, *, mlflow: str, prefect: str) -> None:
    """Print what was trained on, accuracy before and after, time by stage, the verdict, and the addresses."""
    metrics, before = result.metrics, result.metrics["before"]
    measure = measure_of(metrics)
    table = Table(title=f"{result.name} version {result.version}", show_header=False, title_justify="left")
    table.add_row(
        "dataset",
        f"{metrics['classes']} classes, {result.ingested.clips} clips, "
        f"{result.ingested.sources} sources, {len(result.ingested.quarantined)} files in quarantine",
    )
    if result.ingested.pseudo:
        table.add_row("labelled by the model", result.ingested.pseudo)
    seen = "never trained on" if result.unseen else "that were trained on at other times"
    table.add_row("tested on", f"{metrics['clips']} clips of {metrics['sources']} sources {seen}")
    if measure != ACCURACY:
        table.add_row("measured by", measure.name)
    table.add_row("majority class", _interval(before["majority"], measure))
    table.add_row("before: initial head", _interval(before["initial"], measure))
    table.add_row("before: probe of pretrained features", _interval(before["pretrained_features"], measure))
    table.add_row("after fine-tuning", _interval(metrics, measure))
    gain = metrics["gain"]["over_pretrained_features"]
    table.add_row("gain over the probe", f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]")
    gain = metrics["gain"]["over_initial"]
    table.add_row("gain over the initial head", f"{gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}]")
    for step, seconds in result.seconds.items():
        skipped = step not in ("ingest", "register", "judge") and step not in result.ran
        table.add_row(f"time: {step}", f"{seconds:.1f} s" + (" (up to date)" if skipped else ""))
    table.add_row("time in all", f"{sum(result.seconds.values()):.0f} s")
    table.add_row("verdict", result.verdict)
    console.print(table)
    # Addresses are for copying: whole, whatever the width of the terminal.
    for what, address in {
        "report": result.report,
        "MLflow": f"{mlflow}/#/models/{result.name}/versions/{result.version}",
        "Prefect": prefect.removesuffix("/api"),
    }.items():
        console.print(f"{what:8} {address}", soft_wrap=True, highlight=False, markup=False)


def show_refused(console: Console, quarantined: Sequence[tuple[str, str]]) -> None:
    """Print why files were refused, as path and reason, the commonest reasons first; nothing where none was."""
    if not quarantined:
        return
    reasons = Counter(reason for _, reason in quarantined).most_common()
    console.print(f"{len(quarantined)} refused; `videoloop profile` names them", highlight=False)
    for reason, count in reasons[:_MOST_REASONS]:
        console.print(f"  {count} x {visible(reason)}", markup=False, emoji=False, highlight=False)
    if len(reasons) > _MOST_REASONS:
        console.print(f"  ... and {len(reasons) - _MOST_REASONS} other reasons", highlight=False)


def show_watch(console: Console, found: "Watched | None") -> None:
    """Print what a watch found, by group, and what follows; None where there was no champion to watch."""
    if found is None:
        console.print("There is no champion yet, so there is nothing to watch; `videoloop run` makes a first version.")
        return
    table = Table("sources", "clips", "labelled", "evidence", "limit", "since", "accuracy")
    for group in (found.findings.overall, *found.findings.groups[:_MOST_GROUPS]):
        known = [harm for harm in group.harm if harm.after and not harm.of]
        accuracy = ", ".join(f"{harm.after.estimate:.3f} ({harm.how})" for harm in known if harm.after)
        numbers = [str(group.clips), str(group.labelled), f"{group.evidence:.3g}", f"{group.limit:.3g}"]
        table.add_row(group.name, *numbers, group.since or "", accuracy)
    if not found.findings.halted:
        console.print(table)
    mix = found.findings.mix
    if mix and mix.changed:
        console.print(mix.sentence, markup=False, highlight=False)
    for note in found.findings.notes:
        console.print(note, markup=False, highlight=False)
    console.print(f"{found.decision.what}: {found.decision.why}", markup=False, highlight=False)


def _interval(value: dict[str, Any], measure: Measure) -> str:
    found = measure.interval(value)
    return f"{found.estimate:.3f} [{found.low:.3f}, {found.high:.3f}]"
