"""Export the model as programs, and say which of them may answer in its place: ``python -m tasks.export``.

A program is accepted when it is equal to the model within tolerance on val clips; in eight bits, when it holds accuracy
and embeddings. Else its reason is written down, and it goes no further. All is measured on the CPU, one thread each.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from models.exports.files import FILES
from models.exports.formats import write_programs
from models.exports.program import Answering, Program
from models.files import replacing, replacing_folder
from models.inference import one_thread_each
from models.saved import load_model
from models.spec import AnyFormat
from tasks import layout
from tasks.exports.clips import ExportClips
from tasks.exports.compare import compared
from tasks.exports.outcome import Outcome, headline, summary
from tasks.params.quality import ExportParams
from tasks.params.whole import BaseParams
from tasks.params_file import load_params
from tasks.process import run_stage
from tasks.remote_shards import shards_of
from tasks.tracking import tracked

logger = logging.getLogger(__name__)

_NUM_THREADS = 1


def export(
    base: BaseParams,
    export: ExportParams,
    *,
    data: Path = layout.DATA,
    model: Path = layout.MODEL,
    out: Path = layout.FORMATS.parent,
) -> None:
    """Write ``programs/``, what is accepted, and ``formats.json``, what was found of the model and of all formats.

    Args:
        base: Name and seed.
        export: Which formats, and when they are accepted.
        data: The dataset's folder.
        model: Folder of the fine-tuned model.
        out: Where results go.

    Raises:
        UserError: No labelled clip is in train or val, or data or model are unreadable.
    """
    tuned, card = load_model(model)
    clips = ExportClips(
        data / layout.MANIFEST.name,
        data,
        card["labels"],
        tuned.clip_input,
        num_train=export.calibration_clips,
        num_compared=export.check_clips,
        seed=base.seed,
        shards=shards_of(data),
    )
    with tracked("export", base.name) as tracker, tempfile.TemporaryDirectory() as folder, one_thread_each():
        made, failed = write_programs(tuned, export.formats, clips.calibration, Path(folder))
        programs: dict[AnyFormat, Program] = {"torch": Answering(tuned)}
        programs.update(made.items())
        outcomes = compared(programs, export, clips, model, Path(folder))
        outcomes |= {name: Outcome(False, reason) for name, reason in failed.items()}
        _write(out, outcomes, clips, Path(folder))
        tracker.metrics(headline(outcomes))
    for name, outcome in outcomes.items():
        logger.info("%s %s", name, summary(outcome))


def main() -> None:
    """The stage."""
    params = load_params()
    export(params.base, params.export)


def _write(out: Path, outcomes: Mapping[AnyFormat, Outcome], clips: ExportClips, made: Path) -> None:
    programs = out / layout.PROGRAMS.name
    shutil.rmtree(programs, ignore_errors=True)
    with replacing_folder(programs) as temporary:
        for name, file in FILES.items():
            if name in outcomes and outcomes[name].accepted:
                shutil.copyfile(made / file, temporary / file)
    content = {
        "threads": _NUM_THREADS,
        "clips": len(clips.compared),
        "sources": int(clips.compared["source_id"].nunique()),
        "formats": {name: asdict(outcome) for name, outcome in outcomes.items()},
    }
    with replacing(out / layout.FORMATS.name) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_stage(main)
