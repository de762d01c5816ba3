"""A round that is killed in every step in turn, and started again each time, leaves one round's worth of results."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest

from tests.support.clone import CLIPS_PER_LABEL, LABELS, NUM_CAMERAS, Clone, clone_in, stages_run
from tests.support.killing import Running, orphans

# The first test waits for twelve attempts.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

STAGES = ["validate", "pretrain", "search", "fine_tune", "evaluate", "export", "reference", "report"]


@dataclass(frozen=True)
class Moment:
    """When a round is killed.

    Attributes:
        step: What it is doing.
        reached: Whether it is.
        whole_group: Kill all its processes at once; else the first alone, as when memory runs out.
    """

    step: str
    reached: Callable[[Running], bool]
    whole_group: bool = True


MOMENTS = [
    Moment("ingest", lambda run: run.wrote("runs/*/data/shards/*")),
    Moment("validate", lambda run: run.wrote("runs/*/results/validate/*")),
    Moment("pretrain", lambda run: run.runs("tasks.pretrain")),
    Moment("search", lambda run: "trial 0:" in run.said and run.runs("tasks.trial"), whole_group=False),
    Moment("fine_tune", lambda run: "epoch 3 (" in run.said),
    Moment("evaluate", lambda run: run.wrote("runs/*/results/evaluate/*")),
    Moment("export", lambda run: run.runs("tasks.export")),
    # These are still importing their libraries then, and cannot have asked to die with their parent yet.
    Moment("reference", lambda run: run.runs("tasks.reference"), whole_group=False),
    Moment("report", lambda run: run.runs("tasks.report"), whole_group=False),
    Moment("register", lambda run: run.tracked("register")),
    Moment("judge", lambda run: run.clone.versions() != {}),
]


@dataclass(frozen=True)
class Story:
    """What happened.

    Attributes:
        said: What each attempt printed, by the step in which it was killed; the last one was not.
        left: What was left of each killed attempt: processes.
        workspaces: The workspaces that were there after each killed attempt.
    """

    said: dict[str, str]
    left: dict[str, list[str]]
    workspaces: list[list[str]]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with clone_in(tmp_path_factory.mktemp("killed")) as made:
        # Long enough to be killed between two epochs.
        made.set_params({"fine_tune": {"epochs": 20, "early_stopping_patience": 0}})
        assert made.videoloop("up").returncode == 0
        yield made


@pytest.fixture(scope="module")
def story(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Story:
    logs = tmp_path_factory.mktemp("logs")
    command, story = ("run", "--source", clone.source), Story({}, {}, [])
    for moment in MOMENTS:
        with Running(clone, logs / moment.step, *command) as run:
            run.wait_for(moment.reached)
            run.kill(whole_group=moment.whole_group)
            story.said[moment.step] = run.said
        story.left[moment.step] = orphans(clone)
        story.workspaces.append([path.stem for path in (clone.home / "runs").glob("*.json")])
    with Running(clone, logs / "end", *command) as run:
        run.wait_for_end()
        story.said["end"] = run.said
    return story


def test_no_process_outlives_its_round(story: Story) -> None:
    assert story.left == {moment.step: [] for moment in MOMENTS}


def test_each_attempt_goes_on_where_the_one_before_it_was_killed(story: Story) -> None:
    steps = ["ingest", *STAGES, "register", "judge", "end"]
    for before, after in pairwise(steps):
        ran = stages_run(story.said[after])
        expected = steps[steps.index(before) : steps.index(after) + 1]
        assert set(ran) <= set(expected), f"after it was killed in {before}, it ran {ran}"
    assert "trial 0:" not in story.said["fine_tune"]
    assert "epoch 2 (" in story.said["fine_tune"]
    assert "epoch 2 (" not in story.said["evaluate"]


def test_all_attempts_share_one_workspace_and_it_is_gone_in_the_end(clone: Clone, story: Story) -> None:
    assert story.workspaces == [story.workspaces[0]] * len(MOMENTS)
    assert len(story.workspaces[0]) == 1
    assert list((clone.home / "runs").iterdir()) == []
    assert len(clone.git("worktree", "list").splitlines()) == 1
    branches = clone.git("branch", "--format", "%(refname:short)").splitlines()
    assert sorted(branches) == ["main", "videoloop/latest", f"videoloop/{story.workspaces[0][0]}"]


def test_nothing_half_written_is_in_a_commit(clone: Clone, story: Story) -> None:
    assert clone.git("ls-tree", "-r", "--name-only", "videoloop/latest", "--", "results").splitlines() == [
        "results/evaluate/metrics.json",
        "results/export/formats.json",
        "results/search/best_params.json",
        "results/validate/summary.json",
    ]


def test_mlflow_shows_what_was_killed_and_what_ended(clone: Clone, story: Story) -> None:
    (round_run,) = [run for run in clone.mlflow_runs() if "videoloop.round" in run["tags"]]
    assert round_run["status"] == "FINISHED"
    nested = [run for run in clone.mlflow_runs() if run["tags"].get("mlflow.parentRunId") == round_run["run_id"]]
    ended = Counter(run["run_name"] for run in nested if run["status"] == "FINISHED")
    assert ended == dict.fromkeys(["validate", "search", "fine_tune", "evaluate", "export", "report", "register"], 1)
    assert {run["status"] for run in nested} == {"FINISHED", "KILLED"}


def test_there_is_one_version_and_it_is_champion(clone: Clone, story: Story) -> None:
    (tags,) = clone.versions().values()
    assert tags["videoloop.commit"] == clone.git("rev-parse", "videoloop/latest")
    assert clone.aliases() == {"champion": 1}
    assert clone.videoloop("doctor").returncode == 0


def test_there_is_one_decision_of_each_kind(clone: Clone, story: Story) -> None:
    with sqlite3.connect(clone.home / "videoloop.db") as database:
        kinds = Counter(kind for (kind,) in database.execute("SELECT kind FROM decisions"))
    database.close()
    assert kinds == {"register": 1, "judge": 1, "promote": 1}


def test_the_dataset_holds_every_clip_once(clone: Clone, story: Story) -> None:
    num_clips = len(LABELS) * NUM_CAMERAS * CLIPS_PER_LABEL
    assert f"2 classes, {num_clips} clips, {NUM_CAMERAS} sources, 0 files in quarantine" in story.said["end"]
    messages = clone.git("log", "--format=%s", "main..videoloop/latest").splitlines()
    assert [message.partition(":")[0] for message in messages] == ["round", "data"]


def test_the_round_after_it_has_nothing_to_do(clone: Clone, story: Story) -> None:
    again = clone.videoloop("run")
    assert again.returncode == 0, again.stderr
    assert stages_run(again.stdout) == []
    assert len(clone.versions()) == 1
