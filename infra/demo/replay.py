"""The days of a calendar, lived through the platform's own doors.

Imports Prefect, which reads once and for all where its server is: connect first (:func:`infra.servers.connect`).
"""

import logging
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console

from infra.demo import team
from infra.demo.calendar import Calendar, Shot, claim, write_day
from infra.demo.diary import NEVER, VIDEOLOOP, WEEKLY, Day, look_of, read_day
from infra.demo.scores import score_version
from infra.demo.timeline import write_timeline
from infra.demo.weekly import EVERY_DAYS, Weekly
from tasks.params_file import PARAMS_FILE, load_params
from tasks.repository import demand_ready
from tasks.settings import main_checkout
from tasks.watch.champion import champion_of

logger = logging.getLogger(__name__)

_MORNING, _NOON = timedelta(days=1, minutes=30), timedelta(days=1, hours=12)
"""When the watch looks at a day, after its beginning; and when it looks again at labels that people gave meanwhile."""


class Replay:
    """The days of a calendar.

    Args:
        calendar: What happens before the cameras.
        folder: Where days and their video are kept.
        most_per_class: Labels that people give at a time.
        workers: Processes that render.
        console: Hears what happens.
    """

    def __init__(self, calendar: Calendar, folder: Path, most_per_class: int, workers: int, console: Console) -> None:
        self._calendar = calendar
        self._folder = folder
        self._most_per_class = most_per_class
        self._workers = workers
        self._console = console
        self._params = load_params(main_checkout() / PARAMS_FILE)
        self._name = self._params.base.name

    def run(self, num_days: int, *, weekly: bool = False) -> Path:
        """Live through the days that are not over; return the timeline.

        Raises:
            UserError: There was no round one, the checkout is not ready, or a step failed; the same call goes on.
        """
        demand_ready(main_checkout())
        claim(self._folder, self._calendar)
        for number in range(1, num_days + 1):
            day = read_day(self._folder, number) or self._begun(number)
            if not day.over:
                self._live(day)
                self._say(day)
            if weekly and WEEKLY not in day.scores:
                self._live_weekly(day)
        timeline = write_timeline(self._folder, self._name)
        self._console.print(f"timeline {timeline}", soft_wrap=True, highlight=False, markup=False)
        return timeline

    def _begun(self, number: int) -> Day:
        day = Day(
            number=number,
            date=f"{self._calendar.date(number):%Y-%m-%d}",
            changed=self._calendar.changed(number),
            version=champion_of(self._name).version,
        )
        day.write(self._folder)
        return day

    def _live(self, day: Day) -> None:
        """Every step is kept when it is done, and one that was cut off is done again with the same outcome."""
        begins, shots = self._calendar.date(day.number), list(self._calendar.shots(day.number))
        folder = self._folder / "incoming" / f"day-{day.number:03}"
        incoming = write_day(self._calendar, day.number, folder, self._workers)
        if not day.looks:
            self._look(day, begins + _MORNING, incoming)
        if day.looks[0].action == "label":
            self._answer(day, day.looks[0].request)
            if len(day.looks) < 2:
                self._look(day, begins + _NOON, None)
            if day.looks[1].action == "label":  # in the afternoon; the next morning's watch sees these labels
                self._answer(day, day.looks[1].request)
        if day.looks[-1].action == "retrain" and day.made is None:
            self._retrain(day, day.looks[-1].key)
        at = begins + _MORNING
        day.scores[VIDEOLOOP] = score_version(self._name, day.version, shots, at)
        day.scores[NEVER] = score_version(self._name, self._first_version(), shots, at)
        day.over = True
        day.write(self._folder)

    def _live_weekly(self, day: Day) -> None:
        """The same day under the other policy."""
        rival = Weekly(self._params, self._first_version(), self._folder / "weekly")
        at = self._calendar.date(day.number) + _MORNING
        day.scores[WEEKLY] = rival.score(day.number, list(self._calendar.shots(day.number)), at)
        if day.number % EVERY_DAYS == 0:
            last = range(day.number - EVERY_DAYS + 1, day.number + 1)
            week = [shot for number in last for shot in self._calendar.shots(number)]
            labels = self._params.watch.request_clips
            day.labels[WEEKLY], day.training_s[WEEKLY] = rival.retrain(day.number, week, at, labels)
        day.write(self._folder)

    def _first_version(self) -> int:
        first = read_day(self._folder, 1)
        assert first is not None
        return first.version

    def _look(self, day: Day, now: datetime, incoming: Path | None) -> None:
        from flows.watch import watch

        found = watch(str(incoming) if incoming else None, now)
        assert found is not None
        day.looks.append(look_of(found))
        day.write(self._folder)

    def _answer(self, day: Day, request: str) -> None:
        """People give labels, once for a request; of clips of the next day too, where these have come in."""
        if request not in day.answered:
            answers = team.fill_in(Path(request), self._truth(day.number + 1), self._most_per_class)
            team.hand_back(answers.file)
            day.labels[VIDEOLOOP] = day.labels.get(VIDEOLOOP, 0) + answers.labels
            day.answered.append(request)
            day.write(self._folder)

    def _retrain(self, day: Day, key: str) -> None:
        cost = team.retrain(key)
        version = team.version_of(key)
        verdict = team.promote_if_better(self._name, version)
        day.training_s[VIDEOLOOP], day.round_s = cost
        day.verdict = verdict.text if verdict else ""
        day.promoted = champion_of(self._name).version == version
        day.made = version
        day.write(self._folder)

    def _truth(self, until: int) -> team.Truth:
        shots: list[Shot] = [shot for day in range(1, until + 1) for shot in self._calendar.shots(day)]
        return {(shot.source_id, shot.captured_at): shot.label for shot in shots}

    def _say(self, day: Day) -> None:
        look, score = day.looks[-1], day.scores[VIDEOLOOP]
        known = f"estimated {look.estimated.estimate:.3f}" if look.estimated else "estimated: abstains"
        self._console.print(
            f"day {day.number:2} {day.date}  version {day.version}  evidence {look.evidence:.3g} of {look.limit:.3g}  "
            f"{known}, true {score.accuracy:.3f}  {look.what}",
            highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
        if day.made:
            self._console.print(f"       {day.verdict}", highlight=False, markup=False, soft_wrap=True)
