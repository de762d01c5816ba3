import numpy as np
import pytest

from models.errors import UserError
from tasks.statistics.outcome import Abstained
from tasks.statistics.univariate import FACTS, FactTests, compare_facts
from tests.support.worlds import clips_of, most_at_5_percent


def facts(rng: np.random.Generator, num_sources: int, darker: float = 0.0):
    value_NK, source_N = clips_of(rng, [6] * num_sources, 0.6, num_features=6)
    value_NK[:, 0] -= darker
    value_NK[:, 4:] = (30.0, 128.0)
    return dict(zip(FACTS, value_NK.T, strict=True)), source_N


def test_a_quiet_world_raises_few_alarms():
    alarms = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        tests = compare_facts(*facts(rng, 24), *facts(rng, 10), permutations=100, seed=seed)
        assert isinstance(tests, FactTests)
        alarms.append(tests.p_value <= 0.05)
    assert np.mean(alarms) <= most_at_5_percent(200)


def test_nightfall_is_found_and_named():
    rng = np.random.default_rng(0)
    tests = compare_facts(*facts(rng, 30), *facts(rng, 20, darker=2.0))
    assert isinstance(tests, FactTests)
    assert tests.p_value < 0.05
    assert tests.facts[tests.tests.distance_K.argmax()] == "brightness"
    assert tests.tests.p_value_K[4:].tolist() == [1.0, 1.0]


def test_facts_of_one_side_only_are_refused():
    clips, source_N = facts(np.random.default_rng(0), 8)
    with pytest.raises(UserError, match=r"\['motion'\]"):
        compare_facts(clips, source_N, {fact: clips[fact] for fact in clips if fact != "motion"}, source_N)
    with pytest.raises(UserError, match="brightness of the window: 1 of"):
        compare_facts(clips, source_N, clips | {"brightness": np.append(clips["brightness"][1:], np.nan)}, source_N)


def test_an_empty_window_abstains():
    clips, source_N = facts(np.random.default_rng(0), 8)
    assert isinstance(compare_facts(clips, source_N, {fact: [] for fact in clips}, []), Abstained)
