"""Ask people for labels: a folder with the clips most worth their time, to look at and to fill in."""

import hashlib
import json
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.clips.label_sets import NOTHING, SEPARATOR, is_multi_label
from models.clips.manifest import PSEUDO, labels_of, read_manifest
from models.clips.shards import ClipStore
from models.errors import UserError
from models.files import replacing_folder
from tasks.dataset import alone_in
from tasks.labelling import cvat, label_studio
from tasks.labelling.cells import SKIP, inert, table_text, write_text
from tasks.labelling.choose import choose
from tasks.labelling.cvat import film_name
from tasks.labelling.draw import draw
from tasks.labelling.film import write_film
from tasks.labelling.outputs import Outputs
from tasks.layout import MANIFEST, SHARDS
from tasks.report.environment import page_environment, visible
from tasks.report.sheets import contact_sheet, frame_width

logger = logging.getLogger(__name__)

COLUMNS = ("clip_id", "source_id", "captured_at", "predicted", "confidence", "label")
_FORMAT = 1
_WORTH = "chosen.json"
_NUMBER = "number.json"
_MOST_GUESSES = 3
_FRAMES = 6
_IN_TABLE = f"name each clip's class in the column label ({SKIP} where nobody can tell)"
_SEVERAL_IN_TABLE = (
    f"name each clip's labels in the column label, with {SEPARATOR} between them ({NOTHING} where it shows none of "
    f"them, {SKIP} where nobody can tell)"
)
_TAG = "tag any frame of each with its class"
_SEVERAL_TAGS = f"tag any frames of each with its labels, or with {NOTHING} where it shows none of them"
_README = (
    "1. Open contact_sheet.html beside labels.csv, {in_table}, save as CSV, and run: videoloop label receive "
    "PATH/labels.csv",
    "2. Or in Label Studio, with LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true and "
    "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=(the folder that holds this one): use label_studio.xml as the labelling "
    "interface, add clips/ as local storage, import label_studio.json, export as JSON, and run: "
    "videoloop label receive PATH/EXPORT.json",
    "3. Or in CVAT: make a project whose raw labels are cvat_labels.json and in it, by Create multi tasks, one task a "
    "film of clips/; {tag}; export the project's annotations as CVAT for images 1.1, "
    "unpack them, and run: videoloop label receive PATH/annotations.xml",
    "4. All rows are taken or none, and what is wrong is said with its row. "
    "To send a part, delete the rows that are not done.",
)


@dataclass(frozen=True)
class Question:
    """A clip that is asked about.

    Attributes:
        number: Its row in ``labels.csv``, as a spreadsheet counts.
        clip_id: Which clip it is.
        source_id: Where it comes from.
        captured_at: When it was recorded, where that is known.
        guesses: What the model makes of it: label and probability, those that it gives the clip and then others, the
            most probable first.
        predicted: What it says of the clip: a class, or a set of labels as text.
        confidence: How probable it is that this is right.
        num_given: How many of ``guesses`` it gives the clip.
        shard: Where its frames are.
        row: Where its frames are.
    """

    number: int
    clip_id: str
    source_id: str
    captured_at: datetime | None
    guesses: tuple[tuple[str, float], ...]
    predicted: str
    confidence: float
    num_given: int
    shard: str
    row: int

    @property
    def film(self) -> str:
        """The clip's file within the folder."""
        return f"clips/{film_name(self.number, self.clip_id)}"

    @property
    def given(self) -> list[str]:
        """The labels that the model gives the clip."""
        return [label for label, _ in self.guesses[: self.num_given]]

    @property
    def captured(self) -> str:
        """When it was recorded, as text."""
        return f"{self.captured_at:%Y-%m-%dT%H:%M:%SZ}" if self.captured_at else ""


@dataclass(frozen=True)
class Request:
    """A labelling request.

    Attributes:
        folder: Where it lies.
        clips: How many are asked about.
        sources: Where they come from.
        new: Whether it was made now; otherwise it was there, as it was left.
    """

    folder: Path
    clips: int
    sources: int
    new: bool


def request(
    outputs: Outputs,
    data: Path,
    out: Path,
    *,
    budget: int,
    at_random: int = 0,
    to_judge: int = 0,
    tested_on: Collection[str] = (),
    held_out: Collection[str] = (),
    usual_MD: NDArray[np.float32] | None = None,
    per_source: int | None = None,
    uncertainty: Literal["margin", "entropy"] = "margin",
    seed: int = 0,
    labels: Sequence[str] = (),
) -> Request:
    """Choose clips without a person's label and write the request into a folder of ``out`` that its content names.

    The same choice is the same folder, which is left as it is once it is there: somebody may be filling it in.

    Args:
        outputs: What the model made of clips of the dataset. Labelled ones among them show what need not be asked.
        data: The dataset's folder.
        out: Where requests lie.
        budget: Clips that people will look at.
        at_random: So many of them are drawn at random. Only they say how often the model is right: the others are
            chosen because it is unsure of them, and it is wrong about them more often than about all.
        to_judge: So many of these, or more, are of sources that are ``tested_on``, as far as there are such clips.
        tested_on: Sources whose clips judge a model.
        held_out: Sources that nothing is trained on: clips of them are chosen only where others run out.
        usual_MD: Embeddings of clips of the world as it was, shape (M, D): what looks like them is asked about last.
        per_source: Clips of one source, at most; see :func:`tasks.labelling.choose.choose`.
        uncertainty: See :func:`tasks.labelling.choose.choose`.
        seed: Of the choice.
        labels: Classes to offer; by default those of the dataset and of the model.

    Raises:
        UserError: There is nothing to ask about, the model names several labels a clip and clips have one or the other
            way round, features are not finite numbers, or a shard is damaged.
    """
    manifest = read_manifest(data / MANIFEST.name)
    if is_multi_label(manifest) != outputs.names_several:
        has, names = ("may have several labels", "one") if is_multi_label(manifest) else ("have one label", "several")
        raise UserError(
            f"{data / MANIFEST.name}: clips {has} (ingest.multi_label), and the model that saw them names {names} a "
            "clip; let a model of this dataset see them"
        )
    everything, labelled = _open(outputs, manifest, data)
    known_MD = labelled.embedding_ND if usual_MD is None else np.concatenate([labelled.embedding_ND, usual_MD])
    drawn_B = draw(
        everything.clips["source_id"].tolist(), min(at_random, budget), seed=seed, tested_on=tested_on, least=to_judge
    )
    chosen_B = _most_worth(
        everything, known_MD, drawn_B, budget - len(drawn_B), held_out, per_source, uncertainty, seed
    )
    if not len(drawn_B) + len(chosen_B):
        raise UserError(f"{data / MANIFEST.name}: every clip without a label looks exactly like a labelled one")
    chosen, drawn = everything.part(np.concatenate([drawn_B, chosen_B])), len(drawn_B)
    questions = _questions(chosen, manifest)
    offered = list(labels) or sorted({*labels_of(manifest), *outputs.labels})
    folder = out / f"request-{_key(questions, offered, outputs.names_several)}"
    with alone_in(out):
        if new := not folder.exists():
            with replacing_folder(folder) as unfinished:
                _write(
                    questions, offered, outputs.names_several, ClipStore(data / SHARDS.name), unfinished, folder.name
                )
                worth = [question.clip_id for question in questions[drawn:]]
                (unfinished / _WORTH).write_text(json.dumps(worth), encoding="utf-8")
                numbered = {"number": 1 + _last_number(out), "clips": [question.clip_id for question in questions]}
                (unfinished / _NUMBER).write_text(json.dumps(numbered), encoding="utf-8")
    return Request(folder, len(questions), len({question.source_id for question in questions}), new)


def clips_of(folder: Path) -> list[str]:
    """Clips that the request in ``folder`` asks about; none where it is not there any more."""
    return [clip_id for _, clip_ids in _numbered(folder.parent, folder.name) for clip_id in clip_ids]


def chosen_in(out: Path) -> set[str]:
    """Clips that requests in ``out`` ask about because the model was unsure: they say nothing about its accuracy."""
    return {clip_id for path in out.glob(f"request-*/{_WORTH}") for clip_id in json.loads(path.read_text())}


def asked_in(out: Path) -> dict[str, int]:
    """Clips that requests in ``out`` ask about, with the number of the first that does: 1 for the first request."""
    asked: dict[str, int] = {}
    for number, clip_ids in sorted(_numbered(out), reverse=True):
        asked |= dict.fromkeys(clip_ids, number)
    return asked


def _last_number(out: Path) -> int:
    return max((number for number, _ in _numbered(out)), default=0)


def _numbered(out: Path, folders: str = "request-*") -> list[tuple[int, list[str]]]:
    found = [json.loads(path.read_text()) for path in out.glob(f"{folders}/{_NUMBER}")]
    return [(one["number"], one["clips"]) for one in found]


def _open(outputs: Outputs, manifest: pd.DataFrame, data: Path) -> tuple[Outputs, Outputs]:
    """Clips that wait for a label, and those that need none."""
    outputs = outputs.part(outputs.clips["clip_id"].to_numpy(str).argsort())  # the file's order is nothing
    open_ids = manifest.loc[manifest["label"].isna() | (manifest["label_origin"] == PSEUDO), "clip_id"]
    known_N = outputs.clips["clip_id"].isin(manifest["clip_id"]).to_numpy()
    open_N = outputs.clips["clip_id"].isin(open_ids).to_numpy()
    if not known_N.all():
        logger.warning("%d clips are left out: they are not in %s", (~known_N).sum(), data / MANIFEST.name)
    if not open_N.any():
        raise UserError(
            f"{data / MANIFEST.name}: no clip that the model saw waits for a label; ingest new video with "
            "`videoloop ingest SOURCE --unlabelled` and let the model see it"
        )
    return outputs.part(open_N), outputs.part(known_N & ~open_N)


def _most_worth(
    everything: Outputs,
    known_MD: NDArray[np.float32],
    drawn_B: NDArray[np.int64],
    budget: int,
    held_out: Collection[str],
    per_source: int | None,
    uncertainty: Literal["margin", "entropy"],
    seed: int,
) -> NDArray[np.int64]:
    """Places of clips that were not drawn and are most worth asking about; of sources held out where others run out."""
    is_held_out_N = everything.clips["source_id"].isin(list(held_out)).to_numpy()
    asked_B = drawn_B
    for of_kind_N in (~is_held_out_N, is_held_out_N):
        left_N = np.setdiff1d(np.flatnonzero(of_kind_N), asked_B)
        still = budget - (len(asked_B) - len(drawn_B))
        if still < 1 or not len(left_N):
            continue
        candidates = everything.part(left_N)
        chosen = choose(
            candidates.embedding_ND,
            candidates.probability_NK,
            candidates.clips["source_id"].to_numpy(),
            budget=still,
            labelled_MD=np.concatenate([known_MD, everything.embedding_ND[asked_B]]),
            per_source=per_source,
            uncertainty=uncertainty,
            several=everything.names_several,
            seed=seed,
        )
        asked_B = np.concatenate([asked_B, left_N[chosen]])
    return asked_B[len(drawn_B) :]


def _questions(chosen: Outputs, manifest: pd.DataFrame) -> list[Question]:
    rows = manifest.set_index("clip_id").loc[chosen.clips["clip_id"]].reset_index().to_dict("records")
    return [
        Question(
            number,
            row["clip_id"],
            row["source_id"],
            None if pd.isna(row["captured_at"]) else row["captured_at"],
            _guesses(chosen.labels, probability_K, given_K),
            predicted,
            float(confidence),
            int(given_K.sum()),
            row["shard"],
            int(row["row"]),
        )
        for number, (row, probability_K, given_K, predicted, confidence) in enumerate(
            zip(rows, chosen.probability_NK, chosen.given(), chosen.said(), chosen.confidence(), strict=True), start=2
        )
    ]


def _guesses(
    labels: Sequence[str], probability_K: NDArray[np.floating], given_K: NDArray[np.bool_]
) -> tuple[tuple[str, float], ...]:
    order = np.lexsort((-probability_K, ~given_K))[: max(_MOST_GUESSES, int(given_K.sum()))]
    return tuple((labels[at], float(probability_K[at])) for at in order)


def _key(questions: Sequence[Question], labels: Sequence[str], several: bool) -> str:
    shown = [(question.predicted,) if several else () for question in questions]
    content = [[question.clip_id, question.guesses, *more] for question, more in zip(questions, shown, strict=True)]
    return hashlib.sha256(json.dumps([_FORMAT, list(labels), content]).encode()).hexdigest()[:12]


def _write(
    questions: Sequence[Question], labels: Sequence[str], several: bool, store: ClipStore, folder: Path, name: str
) -> None:
    (folder / "clips").mkdir()
    for question in questions:
        write_film(store, question.shard, question.row, folder / question.film)
    (folder / "contact_sheet.html").write_text(_page(questions, labels, several, store), encoding="utf-8")
    write_text(table_text(COLUMNS, map(_row, questions)), folder / "labels.csv")
    tasks = [
        label_studio.task(f"{name}/{question.film}", _facts(question), list(map(visible, question.given)))
        for question in questions
    ]
    (folder / "label_studio.json").write_text(json.dumps(tasks, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "label_studio.xml").write_text(label_studio.interface(labels, several=several), encoding="utf-8")
    (folder / "cvat_labels.json").write_text(cvat.raw_labels(labels, several=several), encoding="utf-8")
    how = {"in_table": _SEVERAL_IN_TABLE, "tag": _SEVERAL_TAGS} if several else {"in_table": _IN_TABLE, "tag": _TAG}
    readme = "".join(f"{line.format(**how)}\n" for line in _README)
    (folder / "README.txt").write_text(readme, encoding="utf-8")


def _row(question: Question) -> dict[str, str]:
    facts = _facts(question)
    return {**{name: inert(facts[name]) for name in COLUMNS[:4]}, "confidence": facts["confidence"], "label": ""}


def _facts(question: Question) -> dict[str, Any]:
    return {
        "clip_id": question.clip_id,
        "source_id": visible(question.source_id),
        "captured_at": question.captured,
        "predicted": visible(question.predicted),
        "confidence": f"{question.confidence:.4f}",
    }


def _page(questions: Sequence[Question], labels: Sequence[str], several: bool, store: ClipStore) -> str:
    width = frame_width(_FRAMES * len(questions))
    asked = [
        (question, contact_sheet(store, question.shard, question.row, columns=_FRAMES, rows=1, width=width))
        for question in questions
    ]
    template = page_environment(Path(__file__).parent).get_template("request.html.j2")
    sources = len({question.source_id for question in questions})
    return template.render(
        asked=asked, labels=labels, several=several, separator=SEPARATOR, nothing=NOTHING, sources=sources, skip=SKIP
    )
