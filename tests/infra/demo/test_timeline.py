import re

from infra.demo.diary import NEVER, VIDEOLOOP, Day, Look, Score
from infra.demo.timeline import render
from tasks.watch.findings import Figure


def a_day(number, *, changed, alarm=None, version=1, **more):
    look = Look(
        key=str(number), at=f"2026-01-{number:02}T00:30:00+00:00", version=version, action="nothing",
        what="nothing to do", why="no <change> is shown", evidence=10.0**number, limit=200.0, alarm=alarm,
        estimated=Figure(estimate=0.7, low=0.6, high=0.8),
    )  # fmt: skip
    scores = {VIDEOLOOP: Score(right=3, clips=4), NEVER: Score(right=2, clips=4, right_new=1, clips_new=4)}
    return Day(
        number=number, date=f"2026-01-{number:02}", changed=changed, version=version, looks=[look], scores=scores,
        over=True, **more,
    )  # fmt: skip


def test_an_alarm_before_the_change_is_a_false_one():
    days = [a_day(1, changed=False), a_day(2, changed=False, alarm="then"), a_day(3, changed=True, alarm="then")]
    assert "1 false alarm." in render(days, "actions")
    assert "the watch raised the alarm after day 2<" in render(days, "actions")


def test_an_alarm_after_the_change_is_not():
    days = [a_day(1, changed=False), a_day(2, changed=True, alarm="then"), a_day(3, changed=True, alarm="then")]
    page = render(days, "actions")
    assert "0 false alarms." in page
    assert "The world changed on day 2, the watch raised the alarm after day 2<" in page


def test_costs_and_accuracy_are_those_of_each_policy():
    days = [a_day(1, changed=True, labels={VIDEOLOOP: 30}, training_s={VIDEOLOOP: 61.0}), a_day(2, changed=True)]
    rows = re.findall(r"<tr><th scope=\"row\">(.+?)</th>(.*?)</tr>", render(days, "actions"))
    cells = {name: re.findall(r"<td[^>]*>(.*?)</td>", row) for name, row in rows}
    assert cells[VIDEOLOOP] == ["\N{EN DASH}", "75.0%", "75.0%", "\N{EN DASH}", "30", "61"]
    assert cells[NEVER] == ["\N{EN DASH}", "37.5%", "50.0%", "25.0%", "0", "0"]


def test_what_is_said_is_escaped_and_nothing_is_fetched():
    page = render([a_day(1, changed=False)], "<b>actions</b>")
    assert "no &lt;change&gt; is shown" in page
    assert "<b>actions" not in page
    assert not re.search(r'(src|href)="https?:', page)


def test_a_page_without_days_says_so():
    assert "Nothing has changed yet" in render([], "actions")
