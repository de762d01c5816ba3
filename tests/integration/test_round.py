"""A user's day through the real command line, in a clone of the repository with servers of its own."""

import json
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import requests

from tests.support.clone import CLIPS_PER_LABEL, LABELS, NAME, NUM_CAMERAS, Clone, clone_in, stages_run, steps_of
from tests.support.videos import truncated

pytestmark = pytest.mark.integration

STAGES = ["validate", "pretrain", "search", "fine_tune", "evaluate", "export", "reference", "report"]
# Every process of the clone that ends tells whose code it ran.
_WITNESS = """
import atexit, os, sys

def testify():
    if tasks := sys.modules.get("tasks"):
        with open(os.environ["WITNESS"], "a") as log:
            log.write("\\t".join([*sys.orig_argv[1:3], tasks.__file__]) + "\\n")

atexit.register(testify)
"""


@dataclass(frozen=True)
class Round:
    """What a round left behind when it had ended.

    Attributes:
        said: What it printed.
        complained: What it printed on stderr.
        commit: That ``videoloop/latest`` names.
        commits: How many there are on all branches.
        versions: Tags of the registered versions.
        aliases: Of the registered model.
    """

    said: str
    complained: str
    commit: str
    commits: int
    versions: dict[int, dict[str, str]]
    aliases: dict[str, int]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("round")
    with clone_in(folder, first_day=True) as made:
        (folder / "witness").mkdir()
        (folder / "witness" / "sitecustomize.py").write_text(_WITNESS)
        made.environment["PYTHONPATH"] += f":{folder / 'witness'}"
        made.environment["WITNESS"] = str(folder / "witness" / "log")
        yield made


@pytest.fixture(scope="module")
def first(clone: Clone) -> Round:
    return _ended(clone, clone.videoloop("run", "--source", clone.source))


@pytest.fixture(scope="module")
def unchanged(clone: Clone, first: Round) -> Round:
    return _ended(clone, clone.videoloop("run"))


@pytest.fixture(scope="module")
def changed(clone: Clone, unchanged: Round) -> Round:
    # Whatever epoch is the best: the first step is another one already.
    clone.set_params({"fine_tune": {"epochs": 3, "batch_size": 3, "warmup_epochs": 0.0}})
    return _ended(clone, clone.videoloop("run"))


@pytest.fixture(scope="module")
def without_servers(clone: Clone, changed: Round) -> Clone:
    assert clone.videoloop("down").returncode == 0
    return clone


@pytest.fixture(scope="module")
def engineer(without_servers: Clone) -> Clone:
    """The clone after its last round was brought into the engineer's branch."""
    without_servers.git("merge", "--quiet", "videoloop/latest")
    assert without_servers.run("dvc", "checkout", "--quiet").returncode == 0
    return without_servers


def _ended(clone: Clone, done: CompletedProcess[str]) -> Round:
    assert done.returncode == 0, done.stdout + done.stderr
    return Round(
        said=done.stdout,
        complained=done.stderr,
        commit=clone.git("rev-parse", "videoloop/latest"),
        commits=len(clone.git("rev-list", "--all").splitlines()),
        versions=clone.versions(),
        aliases=clone.aliases(),
    )


def _mistake(done: CompletedProcess[str]) -> str:
    """The one sentence that a person reads who made one."""
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    (sentence,) = done.stderr.splitlines()
    return sentence


def test_the_first_round_runs_every_stage_and_prints_its_table(first: Round) -> None:
    assert stages_run(first.said) == STAGES
    table = dict(re.findall(r"^│ (\S.*?) +│ (\S.*?) +│$", first.said, re.MULTILINE))
    clips = len(LABELS) * NUM_CAMERAS * CLIPS_PER_LABEL
    assert table["dataset"] == f"2 classes, {clips} clips, {NUM_CAMERAS} sources, 0 files in quarantine"
    assert re.fullmatch(r"[01]\.\d{3} \[[01]\.\d{3}, [01]\.\d{3}\]", table["after fine-tuning"])
    assert re.fullmatch(r"[+-]\d\.\d{3} \[[+-]\d\.\d{3}, [+-]\d\.\d{3}\]", table["gain over the probe"])
    assert list(steps_of(first.said)) == ["ingest", *STAGES, "register", "judge"]


def test_every_address_it_prints_answers(clone: Clone, first: Round) -> None:
    addresses = dict(re.findall(r"^(report|MLflow|Prefect) +(http\S+)$", first.said, re.MULTILINE))
    answers = {what: requests.get(address, timeout=30) for what, address in addresses.items()}
    assert {what: answer.status_code for what, answer in answers.items()} == dict.fromkeys(
        ("report", "MLflow", "Prefect"), 200
    )
    experiment, _, run, *_ = addresses["report"].partition("#/experiments/")[2].split("/")
    assert experiment in {run["experiment_id"] for run in clone.mlflow_runs()}
    report = requests.get(f"{clone.mlflow}/get-artifact", {"path": "report.html", "run_uuid": run}, timeout=30)
    assert report.status_code == 200
    assert NAME in report.text
    assert '<section id="gate">' in report.text


def test_it_says_nothing_that_nobody_asked_for(first: Round) -> None:
    for noise in ("Traceback", "Warning", "Finished in state", "INFO"):
        assert noise not in first.complained


def test_its_version_is_champion_and_names_its_commit(clone: Clone, first: Round) -> None:
    assert first.aliases == {"champion": 1}
    tags = first.versions[1]
    assert tags["videoloop.commit"] == first.commit
    assert clone.git("show", f"{first.commit}:data.dvc").count(tags["videoloop.dataset"]) == 1
    assert tags["videoloop.verdict"] == "first"


def test_it_leaves_the_checkout_as_it_was(clone: Clone, first: Round) -> None:
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert len(clone.git("worktree", "list").splitlines()) == 1


def test_stages_run_the_code_of_their_worktree(clone: Clone, first: Round) -> None:
    testimony = [line.split("\t") for line in Path(clone.environment["WITNESS"]).read_text().splitlines()]
    code_of = {" ".join(command): Path(code) for *command, code in testimony}
    for stage in STAGES:
        assert code_of[f"-m tasks.{stage}"].is_relative_to(clone.home / "runs")
    assert code_of["-m flows.cli"].is_relative_to(clone.root)


def test_an_unchanged_round_does_nothing(first: Round, unchanged: Round) -> None:
    assert stages_run(unchanged.said) == []
    assert unchanged.said.count("(up to date)") == len(STAGES)
    assert (unchanged.commit, unchanged.commits) == (first.commit, first.commits)
    assert unchanged.versions == first.versions
    assert unchanged.aliases == first.aliases


def test_a_changed_fine_tune_parameter_runs_fine_tune_and_what_follows(changed: Round) -> None:
    assert stages_run(changed.said) == ["fine_tune", "evaluate", "export", "reference", "report"]
    assert changed.said.count("(up to date)") == 3
    assert changed.aliases == {"champion": 1, "challenger": 2}
    tags = changed.versions[2]
    assert tags["videoloop.commit"] == changed.commit
    # A champion that is made anew for the same clips knows every one of them: there is no new world.
    assert tags["videoloop.verdict"] in ("better", "not worse", "worse", "undecided", "blocked")
    assert tags["videoloop.verdict.champion"] == "1"
    assert "videoloop.verdict.new.low" not in tags
    low, difference, high = (float(tags[f"videoloop.verdict.old.{end}"]) for end in ("low", "difference", "high"))
    assert low <= difference <= high


def test_metrics_diff_shows_the_change_between_rounds(clone: Clone, first: Round, changed: Round) -> None:
    shown = clone.run("dvc", "metrics", "diff", first.commit, changed.commit)
    (row,) = [line.split() for line in shown.stdout.splitlines() if " loss " in line]
    assert float(row[-1]) != 0.0
    assert clone.run("dvc", "metrics", "diff", first.commit, first.commit).stdout == ""


def test_a_version_is_rebuilt_to_the_byte(clone: Clone, changed: Round) -> None:
    done = clone.videoloop("reproduce", f"models:/{NAME}/1", "--rebuild")
    assert done.returncode == 0, done.stderr
    assert stages_run(done.stdout) == ["fine_tune", "evaluate"]
    *_, up_to_date, registered, rebuilt, verdict = done.stdout.splitlines()
    assert up_to_date == "data and every stage are up to date"
    assert registered.split()[-1] == rebuilt.split()[-1] == changed.versions[1]["videoloop.weights_sha256"]
    assert verdict == "equal to the byte"
    assert changed.versions[1]["videoloop.weights_sha256"] != changed.versions[2]["videoloop.weights_sha256"]
    assert len(clone.git("worktree", "list").splitlines()) == 1


@pytest.fixture(scope="module")
def films(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A film, a truncated copy of it, a text with the name of a film."""
    folder = tmp_path_factory.mktemp("films")
    film = clone.source / LABELS[0] / "camera0" / "0.mp4"
    cut = truncated(Path(shutil.copy(film, folder / "cut.mp4")), 0.5)
    (folder / "text.mp4").write_text("This is no film.\n")
    return [film, cut, folder / "text.mp4"]


def test_predict_prints_a_table(clone: Clone, changed: Round, films: list[Path]) -> None:
    done = clone.videoloop("predict", *films)
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^│ (\S+)\s*│ *(\S*) *│ *(\S*) *│ *(.*?) *│$", done.stdout, re.MULTILINE)
    film, cut, text = rows
    assert film[1] in LABELS
    assert 0.5 <= float(film[2]) <= 1.0
    assert film[3] == ""
    for (path, label, probability, remark), reason in ((cut, "is cut off"), (text, "cannot be read as video")):
        assert (label, probability) == ("", ""), path
        assert remark.startswith(reason)


def test_predict_prints_json(clone: Clone, changed: Round, films: list[Path]) -> None:
    done = clone.videoloop("predict", "--json", *films)
    film, cut, text = json.loads(done.stdout)
    assert [entry["path"] for entry in (film, cut, text)] == list(map(str, films))
    assert sum(film["probabilities"].values()) == pytest.approx(1.0)
    assert film["label"] in LABELS
    assert [entry["label"] for entry in (cut, text)] == [None, None]
    assert clone.videoloop("predict", *films[1:]).returncode == 2


def test_a_person_promotes_and_takes_it_back(clone: Clone, changed: Round) -> None:
    promoted = clone.videoloop("promote", "--why", "better at night")
    assert promoted.stdout.strip() == f"{NAME}: champion is version 2, was 1"
    assert clone.aliases()["champion"] == 2
    taken_back = clone.videoloop("rollback")
    assert taken_back.stdout.strip() == f"{NAME}: champion is version 1, was 2"
    assert clone.aliases()["champion"] == 1
    assert "no champion before" in _mistake(clone.videoloop("rollback"))


def test_the_doctor_finds_nothing_to_mend_while_servers_are_up(clone: Clone, changed: Round) -> None:
    done = clone.videoloop("doctor")
    assert done.returncode == 0, done.stdout
    assert "mend" not in done.stdout


def test_a_changed_file_that_is_not_committed_is_a_sentence(clone: Clone, changed: Round) -> None:
    path = clone.root / "params.yaml"
    before = path.read_text()
    path.write_text(before.replace("epochs: 3", "epochs: 4"))
    try:
        assert re.search(r"params\.yaml changed but not committed.*git stash", _mistake(clone.videoloop("run")))
    finally:
        path.write_text(before)


def test_an_unknown_parameter_is_a_sentence_that_names_the_persons_own_file(clone: Clone, changed: Round) -> None:
    clone.set_params({"fine_tune": {"epoch": 3}})
    try:
        sentence = _mistake(clone.videoloop("run"))
    finally:
        clone.git("reset", "--quiet", "--hard", "HEAD~1")
    assert sentence == f"error: {clone.root}/params.yaml: fine_tune.epoch: unknown key; did you mean epochs?"


def test_a_source_that_is_not_there_is_a_sentence(clone: Clone, changed: Round) -> None:
    sentence = _mistake(clone.videoloop("run", "--source", clone.root / "nowhere"))
    assert "there is no such file or folder; give a folder per class, or a table" in sentence


def test_a_port_in_use_is_a_sentence(clone: Clone, changed: Round, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        elsewhere = {"VIDEOLOOP_HOME": str(tmp_path / "home"), "VIDEOLOOP_MLFLOW_PORT": port}
        done = clone.videoloop("run", "--source", clone.source, **elsewhere)
    assert f"port {port} for MLflow is in use" in _mistake(done)
    assert "VIDEOLOOP_MLFLOW_PORT" in done.stderr


def test_the_doctor_names_the_remedy_when_servers_are_down(without_servers: Clone) -> None:
    done = without_servers.videoloop("doctor")
    assert done.returncode == 1
    ill = re.findall(r"│ mend +│ (\S.*?) +│ (\S.*?) +│$", done.stdout, re.MULTILINE)
    assert [subject for subject, _ in ill] == ["mlflow", "prefect", "worker", "device slots"]
    assert all("`videoloop up` starts it" in finding for _, finding in ill)


def test_an_engineer_goes_on_from_the_last_round_without_any_server(engineer: Clone) -> None:
    again = engineer.videoloop("ingest", engineer.source)
    assert "24 clips (0 new), 6 sources, 2 classes" in again.stdout
    assert engineer.git("status", "--porcelain") == ""
    done = engineer.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stages_run(done.stdout) == []


def test_an_engineers_repro_runs_what_changed_without_any_server(engineer: Clone) -> None:
    engineer.set_params({"evaluate": {"confidence": 0.8}})
    done = engineer.run("dvc", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert stages_run(done.stdout) == ["evaluate", "report"]
    assert " accuracy_low " in engineer.run("dvc", "metrics", "diff").stdout
    assert "reliability" in engineer.run("dvc", "plots", "diff", "--json").stdout
