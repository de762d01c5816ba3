import csv
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest

from models.clips.manifest import PSEUDO
from models.errors import UserError
from tasks.dataset import alone_in, store_clips
from tasks.labelling import request as module
from tasks.labelling.outputs import Outputs
from tasks.labelling.request import COLUMNS, Request, asked_in, chosen_in, request
from tests.support.questions import HOSTILE_SOURCE, SEED, SPLIT, outputs_of, write_half_labelled
from tests.support.results import HOSTILE

LABELS = ["left", "right"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def ask(data: Path, outputs: Outputs, **more) -> Request:
    return request(outputs, data, data.parent / "requests", **{"budget": 6, "seed": 1} | more)


def table_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "labels.csv").read_text(encoding="utf-8-sig"), newline="")))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_request_is_a_folder_to_look_at_and_to_fill_in(data: Path) -> None:
    clips = write_half_labelled(data)
    outputs = outputs_of(clips, LABELS)
    made = ask(data, outputs, per_source=2)
    assert (made.clips, made.new) == (6, True)
    rows = table_of(made.folder)
    assert list(rows[0]) == list(COLUMNS)
    assert made.sources == len({row["source_id"] for row in rows})
    facts = clips.set_index("clip_id")
    place = {clip_id: at for at, clip_id in enumerate(outputs.clips["clip_id"])}
    for row in rows:
        probability = outputs.probability_NK[place[row["clip_id"]]]
        assert facts["source_id"][row["clip_id"]] == row["source_id"]
        assert (row["captured_at"], row["label"]) == ("2026-01-02T03:04:05Z", "")
        assert (row["predicted"], row["confidence"]) == (LABELS[probability.argmax()], f"{probability.max():.4f}")
        assert facts["label"].isna()[row["clip_id"]]
    assert sorted(bytes_of(made.folder)) == sorted(
        ["README.txt", "chosen.json", "contact_sheet.html", "label_studio.json", "label_studio.xml", "labels.csv"]
        + ["cvat_labels.json", "number.json"]
        + [f"clips/{number:04d}-{row['clip_id']}.mp4" for number, row in enumerate(rows, start=2)]
    )
    assert len((made.folder / "README.txt").read_text().splitlines()) == 4
    assert [path.name for path in made.folder.parent.iterdir()] == [made.folder.name]


def test_clips_drawn_at_random_are_asked_about_first_and_kept_apart_from_those_that_were_chosen(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    made = ask(data, outputs, at_random=2)
    asked = [row["clip_id"] for row in table_of(made.folder)]
    assert len(set(asked)) == 6
    assert chosen_in(made.folder.parent) == set(asked[2:])
    assert chosen_in(ask(data, outputs, at_random=6).folder.parent) == set(asked[2:])
    assert set(asked) <= chosen_in(ask(data.parent / "data", outputs, at_random=0).folder.parent) | set(asked[:2])


def test_requests_are_numbered_and_a_clip_is_of_the_first_that_asks_about_it(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    first = ask(data, outputs, at_random=2, budget=3)
    assert asked_in(first.folder.parent) == {row["clip_id"]: 1 for row in table_of(first.folder)}
    ask(data, outputs, at_random=2, budget=3)
    second = ask(data, outputs, at_random=2, budget=5)
    numbers = {row["clip_id"]: 2 for row in table_of(second.folder)} | asked_in(first.folder.parent)
    assert asked_in(first.folder.parent) == numbers
    assert set(numbers.values()) == {1, 2}


def test_what_is_drawn_at_random_does_not_depend_on_what_the_model_is_unsure_of(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    sure = Outputs(outputs.clips, outputs.embedding_ND, outputs.probability_NK[:, ::-1] ** 4, LABELS)
    first, second = (table_of(ask(data, seen, at_random=3).folder) for seen in (outputs, sure))
    assert [row["clip_id"] for row in first[:3]] == [row["clip_id"] for row in second[:3]]


def test_what_looks_as_the_world_did_is_not_asked_about(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    usual_N = np.arange(len(outputs.clips)) % 2 == 0
    made = ask(data, outputs, usual_MD=outputs.embedding_ND[usual_N], budget=len(outputs.clips))
    asked = {row["clip_id"] for row in table_of(made.folder)}
    everything = {row["clip_id"] for row in table_of(ask(data, outputs, budget=len(outputs.clips)).folder)}
    assert asked == everything - set(outputs.clips["clip_id"][usual_N])


def test_clips_of_sources_that_are_held_out_are_chosen_only_where_others_run_out(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    held_out = ["new0", "new1"]
    at_rest = {row["source_id"] for row in table_of(ask(data, outputs, held_out=held_out, per_source=4).folder)}
    assert not at_rest & set(held_out)
    waiting = [source for source in outputs.clips["source_id"] if source.startswith("new")]
    everyone = table_of(ask(data, outputs, held_out=held_out, per_source=4, budget=len(waiting)).folder)
    assert sorted(row["source_id"] for row in everyone) == sorted(waiting)
    are_held_out = [row["source_id"] in held_out for row in everyone]
    assert are_held_out == sorted(are_held_out)


def test_sources_that_are_tested_on_are_drawn_from_and_stay_apart_from_what_is_chosen(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    tested_on = ["new0", "new1"]
    made = ask(data, outputs, budget=8, at_random=4, to_judge=4, tested_on=tested_on, held_out=tested_on)
    rows = table_of(made.folder)
    assert {row["source_id"] for row in rows[:4]} <= set(tested_on)
    assert not {row["source_id"] for row in rows[4:]} & set(tested_on)
    assert chosen_in(made.folder.parent) == {row["clip_id"] for row in rows[4:]}


def test_films_show_the_stored_frames(data: Path) -> None:
    clips = write_half_labelled(data)
    made = ask(data, outputs_of(clips, LABELS))
    row = table_of(made.folder)[0]
    with av.open(str(made.folder / "clips" / f"0002-{row['clip_id']}.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [round(float(frame.time), 3) for frame in frames] == [round(0.1 * t, 3) for t in range(8)]
    luma = [frame.to_ndarray(format="gray").astype(float) for frame in frames]
    centre = [(np.arange(40) * (picture > 150).sum(0)).sum() / (picture > 150).sum() for picture in luma]
    shows = clips.set_index("clip_id")["sha256"][row["clip_id"]]
    assert (centre[-1] > centre[0]) == (shows == "right")
    assert abs(centre[-1] - centre[0]) > 20


def test_label_studio_gets_tasks_that_fit_its_interface(data: Path) -> None:
    made = ask(data, outputs_of(write_half_labelled(data), LABELS), labels=["left", "right", "up & <down>"])
    view = ElementTree.fromstring((made.folder / "label_studio.xml").read_text(encoding="utf-8"))
    video, choices = view.find("Video"), view.find("Choices")
    assert [choice.get("value") for choice in choices] == ["left", "right", "up & <down>"]
    rows = table_of(made.folder)
    for task, row in zip(json.loads((made.folder / "label_studio.json").read_text()), rows, strict=True):
        assert {name: task["data"][name] for name in COLUMNS[:5]} == {name: row[name] for name in COLUMNS[:5]}
        prefix, _, film = task["data"][video.get("value").removeprefix("$")].partition("?d=")
        assert prefix == "/data/local-files/"
        assert (made.folder.parent / film).is_file()
        [prediction] = task["predictions"]
        [result] = prediction["result"]
        assert (result["from_name"], result["to_name"]) == (choices.get("name"), video.get("name"))
        assert result["value"]["choices"] == [row["predicted"]]


def test_the_same_choice_is_the_same_folder_and_what_is_filled_in_stays(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    made = ask(data, outputs)
    before = bytes_of(made.folder)
    (made.folder / "labels.csv").write_text("half filled in")
    shuffled = outputs.part(np.random.default_rng(5).permutation(len(outputs.clips)))
    again = ask(data, shuffled)
    assert (again.folder, again.new) == (made.folder, False)
    assert (made.folder / "labels.csv").read_text() == "half filled in"
    elsewhere = request(outputs, data, data.parent / "elsewhere", budget=6, seed=1)
    assert bytes_of(elsewhere.folder) == before
    assert ask(data, outputs, seed=2).folder != made.folder


def test_an_interrupted_request_leaves_no_folder_and_is_made_anew(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    films: list[Path] = []

    def killed(store: object, shard: str, row: int, path: Path) -> None:
        path.write_bytes(b"half")
        films.append(path)
        if len(films) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_film", killed)
    with pytest.raises(KeyboardInterrupt):
        ask(data, outputs)
    assert list((data.parent / "requests").iterdir()) == []
    monkeypatch.undo()
    leftover = data.parent / "requests" / f".{ask(data, outputs).folder.name}.unfinished"
    leftover.mkdir()  # as a killed process leaves it
    assert ask(data, outputs, seed=3).new
    with alone_in(data.parent / "requests"), pytest.raises(UserError, match="wait for it to end"):
        ask(data, outputs)


def test_people_are_asked_about_pseudo_labels_but_not_about_labels(data: Path) -> None:
    clips = write_half_labelled(data).astype({"label_origin": object})
    unlabelled = clips["label"].isna()
    clips.loc[unlabelled, ["label", "label_origin", "split"]] = ["left", PSEUDO, "train"]
    store_clips(clips, data, SPLIT, SEED)
    made = ask(data, outputs_of(clips, LABELS), budget=100)
    assert {row["clip_id"] for row in table_of(made.folder)} == set(clips.loc[unlabelled, "clip_id"])
    clips["label_origin"] = None
    store_clips(clips, data, SPLIT, SEED)
    with pytest.raises(UserError, match="no clip that the model saw waits for a label"):
        ask(data, outputs_of(clips, LABELS))


def test_clips_that_are_not_in_the_dataset_are_left_out(data: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = write_half_labelled(data)
    store_clips(clips[~clips["source_id"].isin(["new0", "new1"])], data, SPLIT, SEED)
    made = ask(data, outputs_of(clips, LABELS), budget=100)
    assert {row["source_id"] for row in table_of(made.folder)} == {"new2", "new3", "new4"}
    assert "8 clips are left out" in caplog.text


def test_features_that_are_not_numbers_ask_nobody(data: Path) -> None:
    outputs = outputs_of(write_half_labelled(data), LABELS)
    outputs.embedding_ND[:] = np.nan
    with pytest.raises(UserError, match="embedding of 20 of 20 clips is not a finite number"):
        ask(data, outputs)
    assert not (data.parent / "requests").exists()


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_hostile_names_are_inert_everywhere(data: Path) -> None:
    labels = sorted(HOSTILE)
    clips = write_half_labelled(data, tuple(labels), source=HOSTILE_SOURCE)
    made = ask(data, outputs_of(clips, labels), budget=30)
    text = (made.folder / "contact_sheet.html").read_text(encoding="utf-8")
    page = Page(text)
    words = " ".join(" ".join(page.words).split())
    assert "\u202e" not in text
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    sources = [attributes["src"] for _, attributes in page.tags if "src" in attributes]
    assert all(source.startswith(("data:image/jpeg;base64,", "clips/")) for source in sources)
    for label in labels:
        assert label.replace("\u202e", "\\u202e") in words
    assert "49" not in [word.strip() for word in page.words]
    for row in table_of(made.folder):
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row.values())
        assert "\u202e" not in "".join(row.values())
    view = ElementTree.fromstring((made.folder / "label_studio.xml").read_text(encoding="utf-8"))
    assert [tag.tag for tag in view] == ["Video", "Choices"]
    assert "\u202e" not in (made.folder / "label_studio.json").read_text(encoding="utf-8")


def test_the_page_loads_nothing_and_names_every_picture(data: Path) -> None:
    made = ask(data, outputs_of(write_half_labelled(data), LABELS))
    page = Page((made.folder / "contact_sheet.html").read_text(encoding="utf-8"))
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    films = [attributes for tag, attributes in page.tags if tag == "video"]
    assert [film["src"] for film in films] == [
        f"clips/{number:04d}-{row['clip_id']}.mp4" for number, row in enumerate(table_of(made.folder), start=2)
    ]
    assert all(one.get("alt") or one.get("aria-label") for one in pictures + films)
    policy = next(tag["content"] for name, tag in page.tags if name == "meta" and tag.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:; media-src")


def test_the_command_line_says_a_mistake_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "label", "request", str(tmp_path / "none.parquet")],
        capture_output=True, text=True, check=False, env=os.environ,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        f"error: {tmp_path / 'none.parquet'}: there is no such file; the watch writes it\n",
    )
