from datetime import UTC, datetime

from tasks.watch.findings import OVERALL, Findings, Group, changed_since


def test_the_day_over_all_sources_holds_against_those_of_groups():
    assert changed_since("2026-01-05", ["2026-01-02"]) == "2026-01-05"


def test_else_it_is_that_of_the_group_that_changed_first():
    assert changed_since(None, ["2026-01-04", None, "2026-01-02"]) == "2026-01-02"
    assert changed_since(None, [None]) is None


def test_a_group_that_is_asked_about_has_its_own_day():
    groups = tuple(_group(name, since) for name, since in (("lobby", "2026-01-04"), ("yard", None)))
    overall = _group(OVERALL, "2026-01-02")
    found = Findings(key="k", name="n", version=1, now=datetime(2026, 1, 9, tzinfo=UTC), overall=overall, groups=groups)
    assert found.since_in(("lobby",)) == "2026-01-04"
    assert found.since_in(("yard",)) == found.since_in(()) == "2026-01-02"


def _group(name, since):
    return Group(name=name, sources=1, clips=4, labelled=0, evidence=500.0, limit=200.0, since=since)
