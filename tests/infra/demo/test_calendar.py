import csv
from collections import Counter

import pytest

from infra.demo.calendar import FIRST_DAY, Calendar, claim, write_day
from infra.demo.dataset import World
from infra.demo.looks import LOOKS
from infra.demo.takes import ACTIONS
from models.errors import UserError

TINY = Calendar(look="night", quiet_days=1, cameras=4, clips_per_day=2, num_frames=3, size=(32, 32))


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_some_cameras_change_and_only_after_the_quiet_days():
    by_day = [{shot.source_id for shot in TINY.shots(day) if shot.is_new} for day in (1, 2, 3)]
    assert by_day == [set(), {"cam-01", "cam-03"}, {"cam-01", "cam-03"}]
    looks = {(shot.is_new, shot.world.look) for day in (1, 2) for shot in TINY.shots(day)}
    assert looks == {(False, "base"), (True, "night")}


def test_a_day_is_within_its_date_and_a_camera_films_one_clip_at_a_time():
    for day in (1, 2, 9):
        shots = list(TINY.shots(day))
        assert {shot.captured_at.date() for shot in shots} == {TINY.date(day).date()}
        assert len({(shot.source_id, shot.captured_at) for shot in shots}) == len(shots) == 8
    assert TINY.date(1) == FIRST_DAY


def test_over_the_days_a_camera_films_each_action_equally_often():
    days = range(1, len(ACTIONS) + 1)
    counts = Counter((shot.source_id, shot.label) for day in days for shot in TINY.shots(day))
    assert set(counts.values()) == {2}
    assert len(counts) == 4 * len(ACTIONS)


def test_days_show_other_things_than_round_one_and_than_each_other():
    seen = {shot.world.take(shot.clip).key for day in (1, 2, 3) for shot in TINY.shots(day)}
    assert len(seen) == 3 * 8
    assert all(shot.world.batch > World().batch for shot in TINY.shots(1))


def test_what_comes_in_does_not_say_what_it_shows(tmp_path):
    table = write_day(TINY, 2, tmp_path)
    text = table.read_text()
    assert not any(action in text for action in ACTIONS)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "source_id", "captured_at"]
    assert sorted(row["path"] for row in rows) == sorted(
        str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.mp4")
    )


def test_a_day_that_was_cut_off_goes_on(tmp_path, monkeypatch):
    rendered = []
    encoded = World.encoded

    def fails_at_third(world, clip):
        if len(rendered) == 2:
            raise KeyboardInterrupt
        rendered.append((world, clip))
        return encoded(world, clip)

    monkeypatch.setattr(World, "encoded", fails_at_third)
    with pytest.raises(KeyboardInterrupt):
        write_day(TINY, 1, tmp_path / "cut")
    assert not (tmp_path / "cut" / "clips.csv").exists()
    monkeypatch.setattr(World, "encoded", lambda world, clip: rendered.append((world, clip)) or encoded(world, clip))
    write_day(TINY, 1, tmp_path / "cut")
    assert len(rendered) == len(set(rendered)) == 8
    write_day(TINY, 1, tmp_path / "whole")
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_days_of_two_calendars_do_not_mix(tmp_path):
    claim(tmp_path, TINY)
    claim(tmp_path, Calendar(**vars(TINY)))
    with pytest.raises(UserError, match="another calendar was begun here"):
        claim(tmp_path, Calendar(**vars(TINY) | {"look": "far"}))


@pytest.mark.parametrize("wrong", [{"cameras": 0}, {"every": 0}, {"clips_per_day": 0}, {"look": "sepia"}])
def test_nonsense_is_refused(wrong):
    with pytest.raises(UserError):
        Calendar(**wrong)


def test_night_ends_with_the_day():
    assert LOOKS["night"].hours[1] > 24
    assert all(shot.captured_at < TINY.date(3) for shot in TINY.shots(2))
