import pytest

from tasks.gate.outcome import compared_outcome, outcome_of, sentences, world_outcome
from tests.support.verdicts import comparison

BETTER, NOT_WORSE = comparison(0.01, 0.1, 0.2), comparison(-0.01, 0.01, 0.1)
WORSE, UNDECIDED = comparison(-0.3, -0.2, -0.1), comparison(-0.1, -0.01, 0.1)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.01, 0.3, "better"),
        (0.0, 0.3, "not worse"),
        (-0.02, 0.3, "not worse"),
        (-0.021, 0.3, "undecided"),
        (-0.3, 0.0, "undecided"),
        (-0.3, -0.01, "worse"),
        (-0.015, -0.005, "not worse"),
    ],
)
def test_the_interval_decides(low, high, outcome):
    world = comparison(low, (low + high) / 2, high)
    assert world_outcome(world, tolerance=0.02) == outcome
    assert compared_outcome(None, world, 0.02) == compared_outcome(world, None, 0.02) == outcome


@pytest.mark.parametrize(
    ("new", "old", "outcome"),
    [
        (BETTER, BETTER, "better"),
        (BETTER, NOT_WORSE, "better"),
        (BETTER, UNDECIDED, "undecided"),
        (BETTER, WORSE, "worse"),
        (NOT_WORSE, BETTER, "not worse"),
        (UNDECIDED, BETTER, "undecided"),
        (WORSE, BETTER, "worse"),
        (None, None, "undecided"),
    ],
)
def test_a_clear_win_is_better_on_new_video_and_not_worse_on_old(new, old, outcome):
    assert outcome_of(new, old, 0.02) == outcome
    assert outcome_of(new, old, 0.02, ["it is slow"]) == ("worse" if outcome == "worse" else "blocked")


def said(new, old, blocks=()):
    return sentences(5, 3, new, old, tolerance=0.02, confidence=0.95, blocks=blocks)


def test_the_outcome_comes_first_then_both_worlds():
    assert said(BETTER, NOT_WORSE) == (
        "Version 5 is better than champion 3: on new video accuracy +0.100 (95% interval +0.010 to +0.200) on 48 clips "
        "of 12 sources; on old video accuracy +0.010 (-0.010 to +0.100) on 48 clips of 12 sources."
    )


def test_what_is_undecided_and_good_on_new_video_says_what_a_person_needs():
    text = said(BETTER, UNDECIDED)
    assert text.startswith("Version 5 against champion 3 is undecided: on new video it is better, accuracy +0.100")
    assert "on old video it may have lost more than 0.02, accuracy -0.010 (-0.100 to +0.100)" in text
    assert text.endswith("Whether that is worth it is for people to say.")
    assert "on new video it seems better but may have lost more than 0.02" in said(
        comparison(-0.1, 0.1, 0.3), NOT_WORSE
    )


def test_what_blocks_comes_last_and_the_outcome_says_so():
    text = said(BETTER, NOT_WORSE, ["class wave is low", "it is slow"])
    assert text.startswith("Version 5 is blocked; apart from that it is better than champion 3: on new video")
    assert text.endswith("Against it: class wave is low; it is slow.")
    assert said(BETTER, UNDECIDED, ["x"]).startswith("Version 5 is blocked; apart from that against champion 3 it is")
    assert said(WORSE, BETTER, ["it is slow"]).startswith(
        "Version 5 is worse than champion 3: on new video it is worse"
    )


def test_one_world_needs_no_name():
    assert said(None, UNDECIDED) == (
        "Version 5 against champion 3 is undecided: accuracy -0.010 (95% interval -0.100 to +0.100) on 48 test clips "
        "of 12 sources."
    )
    assert said(BETTER, None).endswith("of 12 sources, all of them new to the champion.")
    assert said(None, None, ["nothing was held out"]).startswith("Version 5 is blocked; apart from that against")
