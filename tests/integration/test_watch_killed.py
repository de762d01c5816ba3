"""Watch, event, retraining, registration: killed at every step and started again, there is one of each."""

import csv
import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest

from tests.support.clone import LABELS, NUM_CAMERAS, Clone, clone_in, write_source
from tests.support.killing import Running, orphans, wait_until
from tests.support.servers import post

# The first test waits for a round, ten watches and six retrainings.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(2400)]

DAY, NOW, LATER = "2026-02-01T12:00:00", "2026-02-02T00:30:00", "2026-02-03T00:30:00"
PARAMS = {
    # Video is taken in, and over into the dataset, in several steps.
    "ingest": {"clips_per_shard": 4},
    # Six of twelve cameras are the reference: the watch's tests want five on either side.
    "split": {"val": 0.25, "test": 0.25},
    # Long enough to be killed between two epochs.
    "fine_tune": {"epochs": 20, "early_stopping_patience": 0},
    "export": {"formats": []},
    "watch": {
        # One look, at a level of 0.25, that six strange cameras reach on their first day; and nothing to wait for.
        "false_alarm": 0.5, "first_looks": 1, "warm_up_days": 0, "min_labels": 1,
        "clips_per_day": 2, "components": 2, "permutations": 200, "bootstrap": 100, "shown_clips": 2,
        # More than are killed.
        "attempts": 9,
    },
}  # fmt: skip
ALL_CAMERAS, STRANGE_CAMERAS, NUM_SHARDS = range(12), range(50, 56), 12


@contextmanager
def log_is_locked(clone: Clone) -> Iterator[None]:
    """Nobody can write into the decision log; who wants to waits."""
    with closing(sqlite3.connect(clone.decision_log, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def prefect_is_stopped(clone: Clone) -> Iterator[None]:
    """Prefect's server answers nobody."""
    os.killpg(group_of(clone, "prefect"), signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group_of(clone, "prefect"), signal.SIGCONT)


def group_of(clone: Clone, server: str) -> int:
    """The process group of one of the clone's servers."""
    return int(json.loads((clone.home / "servers.json").read_text())[server]["pid"])


def has_log_open(run: Running) -> bool:
    return str(run.clone.decision_log) in [file.path for file in psutil.Process(run.process.pid).open_files()]


def kill_while_it_takes_video_in(clone: Clone, start: Callable[[], Running]) -> None:
    with start() as watch:
        watch.wait_for(lambda watch: watch.wrote("incoming/*/shards/*"))
        watch.kill(whole_group=True)


def kill_when_it_has_remembered(clone: Clone, start: Callable[[], Running]) -> None:
    with log_is_locked(clone), start() as watch:
        watch.wait_for(lambda watch: watch.wrote("watch/*/v1-*.json"))
        watch.kill(whole_group=True)


def kill_when_it_has_decided(clone: Clone, start: Callable[[], Running]) -> None:
    with ExitStack() as stack:
        with log_is_locked(clone):
            watch = stack.enter_context(start())
            watch.wait_for(has_log_open)
            # Before it emits an event it asks Prefect which retrainings there are, and now gets no answer.
            stack.enter_context(prefect_is_stopped(clone))
        watch.wait_for(lambda watch: watch.clone.decisions("watch") != [])
        watch.kill(whole_group=True)


def kill_when_it_has_announced(clone: Clone, start: Callable[[], Running]) -> None:
    with start() as watch:
        watch.wait_for(lambda watch: watch.wrote("watch/*/reports/*.html"))  # which follows the event
        watch.kill(whole_group=True)
    wait_until(lambda: retrainings(clone) != [], lambda: watch.said)


WATCH_MOMENTS = {
    "takes video in": kill_while_it_takes_video_in,
    "has remembered": kill_when_it_has_remembered,
    "has decided": kill_when_it_has_decided,
    "has announced": kill_when_it_has_announced,
}


@dataclass(frozen=True)
class Traces:
    """What a killed watch has left."""

    manifest: bool
    memory: bool
    decisions: int
    retrainings: int


def traces(clone: Clone) -> Traces:
    return Traces(
        any(clone.home.glob("incoming/*/manifest.parquet")),
        any(clone.home.glob("watch/*/v1-*.json")),
        len(clone.decisions("watch")),
        len(retrainings(clone)),
    )


def retrainings(clone: Clone) -> list[dict[str, Any]]:
    """Prefect's runs of the retraining deployment, the first first."""
    only = {"deployments": {"name": {"any_": ["retrain"]}}, "sort": "EXPECTED_START_TIME_ASC"}
    return list(post(f"{clone.prefect}/flow_runs/filter", only))


class Retraining:
    """The latest retraining, on the worker.

    Args:
        clone: Whose.
        number: How many there are with it; it is waited for.
    """

    def __init__(self, clone: Clone, number: int) -> None:
        self.clone = clone
        self._log = clone.home / "logs" / "worker.log"
        self._said_before = self._log.stat().st_size
        wait_until(lambda: len(retrainings(clone)) >= number, lambda: f"no retraining {number} came:\n{self.said}")
        self._number = number
        self._id = retrainings(clone)[number - 1]["id"]

    @property
    def said(self) -> str:
        return self._log.read_bytes()[self._said_before :].decode(errors="replace")

    @property
    def state(self) -> str:
        return str(retrainings(self.clone)[self._number - 1]["state_type"])

    def wait_for(self, reached: Callable[["Retraining"], bool]) -> None:
        wait_until(lambda: reached(self), lambda: f"{self.state}:\n{self.said}")

    def kill(self) -> None:
        """Kill all its processes, and wait until its worker has told that."""
        self._kill_processes()
        self.wait_for(lambda run: run.state not in ("PENDING", "RUNNING"))

    def kill_with_worker(self) -> None:
        """Kill its worker too, which can tell nothing."""
        worker = group_of(self.clone, "worker")
        os.killpg(worker, signal.SIGSTOP)
        self._kill_processes()
        os.killpg(worker, signal.SIGKILL)

    def _kill_processes(self) -> None:
        for process in psutil.process_iter(["pid", "environ"]):
            if (process.info["environ"] or {}).get("PREFECT__FLOW_RUN_ID") == self._id:
                with suppress(ProcessLookupError):  # it died with the one before it
                    os.killpg(os.getpgid(process.info["pid"]), signal.SIGKILL)


@dataclass(frozen=True)
class Moment:
    """When a retraining is killed.

    Attributes:
        step: What it is doing.
        reached: Whether it is.
        kill: How.
    """

    step: str
    reached: Callable[[Retraining], bool]
    kill: Callable[[Retraining], None] = Retraining.kill


def is_tracked_again(run: Retraining, name: str) -> bool:
    return Counter(one["run_name"] for one in run.clone.mlflow_runs())[name] == 2


MOMENTS = [
    # The round begins with the shards of the first one.
    Moment("ingest", lambda run: len(list(run.clone.home.glob("runs/*/data/shards/*.arrow"))) > NUM_SHARDS),
    Moment("fine_tune", lambda run: "epoch 3 (" in run.said),
    Moment("register", lambda run: is_tracked_again(run, "register"), Retraining.kill_with_worker),
    Moment("judge", lambda run: len(run.clone.versions()) == 2),
    Moment("answer", lambda run: len(run.clone.decisions("judge")) == 2),
]


@dataclass
class Story:
    """What happened.

    Attributes:
        traces: What each killed watch had left.
        left: Processes that were left after each retraining was killed.
        states: Of each retraining after it was killed, and of the last one, which was not.
        said: What the watch after each of them printed.
        num_events: How many announcements Prefect's server took.
    """

    traces: dict[str, Traces] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    num_events: int = 0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """With a champion."""
    with clone_in(tmp_path_factory.mktemp("killed")) as made:
        made.environment["PREFECT_WORKER_QUERY_SECONDS"] = "1"
        write_source(made.source, ALL_CAMERAS[NUM_CAMERAS:])
        made.set_params(PARAMS)
        done = made.videoloop("run", "--source", made.source)
        assert done.returncode == 0, done.stderr
        yield made


@pytest.fixture(scope="module")
def incoming(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of negatives of films that other cameras took; their labels say that the champion is always wrong."""
    folder = write_source(tmp_path_factory.mktemp("incoming"), STRANGE_CAMERAS, negative=True)
    films = sorted(folder.rglob("*.mp4"))
    answered = clone.videoloop("predict", "--json", *films)
    assert answered.returncode == 0, answered.stderr
    with (folder / "clips.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "source_id", "captured_at"])
        for film, seen in zip(films, json.loads(answered.stdout), strict=True):
            wrong = LABELS[1 - LABELS.index(seen["label"])]
            table.writerow([film.relative_to(folder), wrong, film.parent.name, DAY])
    return folder


@pytest.fixture(scope="module")
def story(clone: Clone, incoming: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    logs, story = tmp_path_factory.mktemp("logs"), Story()

    def start(name: str, now: str = NOW) -> Running:
        return Running(clone, logs / name, "watch", "--source", incoming, "--now", now)

    for moment, kill in WATCH_MOMENTS.items():
        kill(clone, lambda moment=moment: start(moment))
        story.traces[moment] = traces(clone)
    for number, moment in enumerate(MOMENTS, 1):
        run = Retraining(clone, number)
        run.wait_for(moment.reached)
        moment.kill(run)
        story.states[moment.step] = run.state
        story.left[moment.step] = orphans(clone)
        with start(f"after {moment.step}") as watch:
            watch.wait_for_end()
            story.said[moment.step] = watch.said
    run = Retraining(clone, len(MOMENTS) + 1)
    run.wait_for(lambda run: run.state not in ("SCHEDULED", "PENDING", "RUNNING"))
    story.states["end"] = run.state
    with start("later", LATER) as watch:
        watch.wait_for_end()
        story.said["later"] = watch.said
    story.num_events = num_events(clone)
    return story


def num_events(clone: Clone) -> int:
    """How many retrainings were announced up to now, as soon as Prefect has written all of it down."""
    last = {"id": str(uuid4()), "event": "test.last", "occurred": datetime.now(UTC).isoformat()}
    post(f"{clone.prefect}/events", [{**last, "resource": {"prefect.resource.id": "test"}}])

    def found(event: str) -> int:
        return len(post(f"{clone.prefect}/events/filter", {"filter": {"event": {"name": [event]}}})["events"])

    wait_until(lambda: found("test.last") == 1, lambda: "the server lost an event")
    return found("video.drift.detected")


def test_each_watch_was_killed_at_its_moment(story: Story) -> None:
    assert story.traces == {
        "takes video in": Traces(manifest=False, memory=False, decisions=0, retrainings=0),
        "has remembered": Traces(manifest=True, memory=True, decisions=0, retrainings=0),
        "has decided": Traces(manifest=True, memory=True, decisions=1, retrainings=0),
        "has announced": Traces(manifest=True, memory=True, decisions=1, retrainings=1),
    }


def test_no_process_outlives_what_was_killed(story: Story) -> None:
    assert story.left == {moment.step: [] for moment in MOMENTS}


def test_a_worker_tells_that_a_retraining_was_killed_and_the_next_worker_what_became_of_its_own(story: Story) -> None:
    assert story.states == {
        "ingest": "CRASHED", "fine_tune": "CRASHED", "register": "RUNNING", "judge": "CRASHED", "answer": "CRASHED",
        "end": "COMPLETED",
    }  # fmt: skip
    assert [step for step, said in story.said.items() if "was killed together with its worker" in said] == ["register"]


def test_every_killed_retraining_is_announced_again_until_one_has_ended(clone: Clone, story: Story) -> None:
    runs = retrainings(clone)
    assert [run["state_type"] for run in runs] == ["CRASHED"] * len(MOMENTS) + ["COMPLETED"]
    assert len({run["parameters"]["decision"] for run in runs}) == 1
    assert story.num_events == len(runs)


def test_there_is_one_decision_to_retrain_and_one_answer(clone: Clone, story: Story) -> None:
    assert Counter(row["action"] for row in clone.decisions("watch"))["retrain"] == 1
    (answer,) = clone.decisions("answer")
    assert answer["version"] == 2
    assert answer["decision"] == retrainings(clone)[0]["parameters"]["decision"]


def test_there_is_one_new_version_judged_once(clone: Clone, story: Story) -> None:
    versions = clone.versions()
    assert sorted(versions) == [1, 2]
    assert versions[2]["videoloop.commit"] == clone.git("rev-parse", "videoloop/latest")
    assert clone.aliases() == {"champion": 1, "challenger": 2}
    assert [len(clone.decisions(kind)) for kind in ("register", "judge", "promote")] == [2, 2, 1]


def test_each_stage_of_the_retraining_ended_once(clone: Clone, story: Story) -> None:
    runs = clone.mlflow_runs()
    rounds = [run["run_id"] for run in runs if "videoloop.round" in run["tags"]]
    assert len(rounds) == 2
    for round_id in rounds:
        nested = [run for run in runs if run["tags"].get("mlflow.parentRunId") == round_id]
        ended = Counter(run["run_name"] for run in nested if run["status"] == "FINISHED")
        assert ended == dict.fromkeys(
            ["validate", "search", "fine_tune", "evaluate", "export", "report", "register"], 1
        )


def test_the_watches_of_a_day_share_a_page(clone: Clone, story: Story) -> None:
    assert len([run for run in clone.mlflow_runs() if "videoloop.watch" in run["tags"]]) == 2


def test_the_dataset_holds_every_clip_that_came_in_once(clone: Clone, story: Story) -> None:
    messages = clone.git("log", "--format=%s", "main..videoloop/latest").splitlines()
    assert [message.partition(",")[0] for message in messages[1:]] == ["data: 72 clips"]


def test_nothing_is_left(clone: Clone, story: Story) -> None:
    assert list((clone.home / "runs").iterdir()) == []
    assert len(clone.git("worktree", "list").splitlines()) == 1
    examined = clone.videoloop("doctor")
    assert examined.returncode == 0, examined.stdout
