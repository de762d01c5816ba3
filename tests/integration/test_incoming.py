"""The deployment `incoming`, as infra/prefect.yaml describes it, run once on a real server."""

import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests.support.clone import CLIPS_PER_LABEL, LABELS, NUM_CAMERAS, ROOT, Clone
from tests.support.servers import post, prefect_server

pytestmark = pytest.mark.integration


def deploy(url: str, clone: Clone) -> str:
    """The deployment; its id."""
    described = yaml.safe_load((ROOT / "infra" / "prefect.yaml").read_text())
    (incoming,) = [deployment for deployment in described["deployments"] if deployment["name"] == "incoming"]
    (pull,) = described["pull"]
    pull["prefect.deployments.steps.set_working_directory"]["directory"] = str(clone.root)
    flow = post(f"{url}/flows/", {"name": "ingest"})
    made = post(
        f"{url}/deployments/",
        {
            "name": incoming["name"],
            "flow_id": flow["id"],
            "entrypoint": incoming["entrypoint"],
            "pull_steps": [pull],
            "concurrency_limit": incoming["concurrency_limit"]["limit"],
            "concurrency_options": {"collision_strategy": incoming["concurrency_limit"]["collision_strategy"]},
        },
    )
    return str(made["id"])


def state_of(url: str, run: str) -> dict[str, Any]:
    answer = requests.get(f"{url}/flow_runs/{run}", timeout=30)
    answer.raise_for_status()
    state: dict[str, Any] = answer.json()["state"]
    return state


def test_new_video_is_in_the_dataset_that_the_next_round_starts_from(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    with prefect_server(tmp_path) as url:
        run = post(f"{url}/deployments/{deploy(url, clone)}/create_flow_run", {})["id"]
        command = (sys.executable, "-m", "prefect", "flow-run", "execute", run)  # what a worker starts
        done = clone.run(*command, PREFECT_API_URL=url, VIDEOLOOP_SOURCE=str(clone.source))
        state = state_of(url, run)
    assert (done.returncode, state["type"]) == (0, "COMPLETED"), [state, done.stdout, done.stderr]
    clips = len(LABELS) * NUM_CAMERAS * CLIPS_PER_LABEL
    subjects = clone.git("log", "--format=%s", "videoloop/latest").splitlines()
    assert any(subject.startswith(f"data: {clips} clips, {NUM_CAMERAS} sources") for subject in subjects), subjects
    assert clone.git("status", "--porcelain") == ""
    assert len(clone.git("worktree", "list").splitlines()) == 1
    clone.git("merge", "--quiet", "videoloop/latest")
    checked_out = clone.run("dvc", "checkout", "--quiet", "data.dvc")
    assert (checked_out.returncode, (clone.root / "data" / "manifest.parquet").is_file()) == (0, True)
