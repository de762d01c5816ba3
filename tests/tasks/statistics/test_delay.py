import numpy as np

from tasks.statistics.delay import detection_delay
from tasks.statistics.sequential import advance, start_watch
from tasks.statistics.source_days import SourceDay

SETTING = {"num_sources": 6, "past_days": 20, "num_numbers": 18, "simulations": 60, "horizon": 40}


def test_larger_changes_are_found_sooner_and_none_never():
    state = start_watch([])
    large, small = (detection_delay(state, shift, **SETTING) for shift in (3.0, 2.0))
    assert large is not None
    assert small is not None
    assert 1 <= large < small
    assert detection_delay(state, 0.0, **SETTING) is None


def test_means_take_longer_than_products():
    fast, slow = (detection_delay(start_watch([], within_day=how), 8.0, **SETTING) for how in ("product", "mean"))
    assert fast is not None
    assert slow is not None
    assert fast < slow


def test_simulated_delays_are_those_of_the_watch_itself():
    rng = np.random.default_rng(0)
    delays = []
    for _ in range(15):
        state = start_watch([])
        for day in range(60):
            vector_SV = rng.standard_normal((6, 18))
            vector_SV[:, 0] += 3.0 if day >= 21 else 0.0
            units = [SourceDay(str(source), f"{day:02}", tuple(row)) for source, row in enumerate(vector_SV.tolist())]
            state, _ = advance(state, str(day), units)
            if state.alarm:
                delays.append(day - 20)
                break
    expected = detection_delay(start_watch([]), 3.0, **SETTING)
    assert expected is not None
    assert abs(np.median(delays) - expected) <= 1
