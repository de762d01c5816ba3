"""Write the report of a round: ``python -m tasks.report``."""

from tasks import layout
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.report.page import report
from tasks.tracking import tracked

_SHOWN = ("base", "split", "model", "search", "fine_tune", "evaluate")


def main() -> None:
    """The stage."""
    params = load_params()
    content = params.model_dump(mode="json")
    with tracked("report", params.base.name) as tracker:
        report(params.base, params.report, params.evaluate, {section: content[section] for section in _SHOWN})
        tracker.artifact(layout.REPORT)


if __name__ == "__main__":
    run_stage(main)
