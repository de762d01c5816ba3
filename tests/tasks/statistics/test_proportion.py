import pytest

from tasks.statistics.proportion import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_agrees_with_published_values(successes: int, trials: int, low: float, high: float):
    """The last one is the example of Newcombe 1998, Stat. Med. 17:857-872, table I."""
    interval = wilson(successes, trials, confidence=0.95)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)
    assert interval.estimate == successes / trials


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_nonsense_is_refused(successes: int, trials: int):
    with pytest.raises(ValueError, match=f"{successes} of {trials}"):
        wilson(successes, trials, confidence=0.95)
