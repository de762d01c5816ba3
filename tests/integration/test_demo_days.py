"""A few tiny days after a tiny round one, on real servers."""

import json
from collections.abc import Iterator

import pytest

from infra.demo.dataset import World, write_world
from tests.support.clone import Clone, clone_in
from tests.support.servers import post

pytestmark = pytest.mark.integration

SIZE, FRAMES, CAMERAS = (64, 64), 12, 6
LIVE = f"""
from rich.console import Console
from infra.demo.calendar import Calendar
from infra import servers
from tasks.settings import settings
console = Console(width=400)
servers.connect(console.print)
from infra.demo import replay
replay.EVERY_DAYS = 2
calendar = Calendar(quiet_days=1, cameras={CAMERAS}, clips_per_day=2, num_frames={FRAMES}, size={SIZE})
replay.Replay(calendar, settings().home / "days", 20, 1, console).run(2, weekly=True)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    """A clone after a round on the demonstration's world, rendered small."""
    folder = tmp_path_factory.mktemp("days")
    table = write_world(World(num_frames=FRAMES, size=SIZE), folder / "world", cameras=CAMERAS, clips_per_action=1)
    with clone_in(folder) as clone:
        clone.set_params({"export": {"formats": []}})
        done = clone.videoloop("run", "--source", table)
        assert done.returncode == 0, done.stdout + done.stderr
        yield clone


def test_days_pass_once_and_are_drawn(clone: Clone) -> None:
    for _ in range(2):
        done = clone.run("python", "-c", LIVE)
        assert done.returncode == 0, done.stdout + done.stderr
    folder = clone.home / "days"
    days = [json.loads(path.read_text()) for path in sorted(folder.glob("day-*.json"))]
    assert [(day["number"], day["changed"], day["over"]) for day in days] == [(1, False, True), (2, True, True)]
    for day in days:
        assert day["version"] == 1
        assert day["scores"]["videoloop"] == day["scores"]["never retrained"]
        assert day["looks"][0]["why"]
    assert [day["labels"].get("retrained weekly") for day in days] == [None, 24]
    assert days[1]["training_s"]["retrained weekly"] > 0
    assert days[0]["scores"]["retrained weekly"] == days[0]["scores"]["never retrained"]
    scores = [day["scores"]["videoloop"] for day in days]
    assert [(score["clips"], score["clips_new"]) for score in scores] == [(12, 0), (6, 6)]
    assert "The world changed on day 2" in (folder / "timeline.html").read_text()
    assert clone.git("status", "--porcelain") == ""
    server = json.loads((clone.home / "servers.json").read_text())["prefect"]["url"]
    watches = post(f"{server}/flow_runs/filter", {"flows": {"name": {"any_": ["watch"]}}})
    assert len(watches) >= 2  # they were not run on a temporary server
