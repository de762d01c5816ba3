import re

import pytest

from tasks.gate.limits import breaches, tolerated
from tasks.gate.verdict import Cost, Slice
from tasks.params.quality import JudgeParams
from tests.support.verdicts import part

CHEAP = Cost(30.0, 12.0, 30.0, 12.0)
LOW = part("class", "wave", -0.35)


def test_a_class_or_group_below_its_floor_is_named_with_figure_and_floor():
    found = breaches([LOW, part("group", "cam-1", -0.4), part("class", "bow", 0.1)], CHEAP, JudgeParams())
    assert found == [
        "class wave is at 0.450 (champion 0.800), below its floor of 0.5",
        "group cam-1 is at 0.400 (champion 0.800), below its floor of 0.5",
    ]


def test_where_the_champion_is_no_better_a_floor_is_said_and_blocks_nothing():
    for difference in (0.1, 0.0):
        slices = [part("class", "wave", difference, champion=0.3)]
        assert breaches(slices, CHEAP, JudgeParams()) == []
        assert len(tolerated(slices)) == 1
    assert tolerated([LOW]) == []


def test_too_few_clips_have_no_floor():
    assert breaches([part("class", "wave", -0.7, floor=None)], CHEAP, JudgeParams()) == []


def test_without_a_champion_a_floor_is_told():
    alone = Slice("class", "wave", 0.45, 20, 1, 0.5, None)
    assert breaches([alone], CHEAP, JudgeParams()) == ["class wave is at 0.450, below its floor of 0.5"]


@pytest.mark.parametrize(
    ("cost", "params", "says"),
    [
        (Cost(46.0, 12.0, 30.0, 12.0), {}, r"46\.0 ms, 1\.53 times the champion's 30\.0 ms, where 1\.5 times"),
        (Cost(46.0, 12.0, 30.0, 12.0), {"max_slowdown": None, "max_latency_ms": 40}, "46.0 ms, where 40 ms is"),
        (Cost(46.0, 12.0), {"max_latency_ms": 40}, "46.0 ms, where 40 ms is the limit"),
        (Cost(30.0, 12.0, 30.0, 12.0), {"max_size_mb": 10}, "12.0 MB, where 10 MB is the limit"),
    ],
)
def test_slow_or_big_is_named_with_its_limit(cost, params, says):
    (found,) = breaches([], cost, JudgeParams(**params))
    assert re.search(says, found)


def test_within_limits_nothing_is_said():
    assert breaches([part("class", "bow", 0.1)], Cost(44.0, 12.0, 30.0, 12.0), JudgeParams()) == []
    assert breaches([], Cost(1e6, 1e6, 1.0, 1.0), JudgeParams(max_slowdown=None, max_size_mb=None)) == []
