import numpy as np

from tasks.labelling.draw import draw

SOURCES = [f"cam{number % 24:02}" for number in range(240)]
TESTED_ON = [f"cam{number:02}" for number in range(6)]


def drawn(seed: int = 0, number: int = 30, **options) -> list[str]:
    return [SOURCES[place] for place in draw(SOURCES, number, seed=seed, **options)]


def num_tested(sources: list[str]) -> int:
    return sum(source in TESTED_ON for source in sources)


def test_at_least_so_many_are_of_sources_that_are_tested_on():
    for seed in range(20):
        places = draw(SOURCES, 30, seed=seed, tested_on=TESTED_ON, least=15)
        assert len(set(places)) == 30
        assert num_tested([SOURCES[place] for place in places]) == 15
        assert num_tested(drawn(seed, tested_on=TESTED_ON, least=5)) >= 5


def test_without_a_least_it_is_a_plain_draw():
    plain = drawn()
    assert plain == drawn(tested_on=TESTED_ON) == drawn(least=15)
    assert 0 < num_tested(plain) < 15


def test_where_there_are_few_to_test_on_the_others_make_up_for_them():
    assert num_tested(drawn(number=100, tested_on=TESTED_ON, least=100)) == 60
    assert len(drawn(number=300, tested_on=TESTED_ON, least=150)) == 240
    assert drawn(number=0, tested_on=TESTED_ON, least=15) == []


def test_every_clip_of_a_kind_is_as_likely_as_any_other():
    counts = np.zeros(len(SOURCES))
    for seed in range(4000):
        counts[draw(SOURCES, 30, seed=seed, tested_on=TESTED_ON, least=15)] += 1
    is_tested = np.isin(SOURCES, TESTED_ON)
    for of_kind in (counts[is_tested], counts[~is_tested]):
        share = of_kind.mean() / 4000
        assert abs(of_kind - of_kind.mean()).max() < 4.5 * np.sqrt(4000 * share * (1 - share))


def test_whoever_labels_a_part_from_the_top_labels_of_both_kinds():
    tops = [num_tested(drawn(seed, tested_on=TESTED_ON, least=15)[:10]) for seed in range(200)]
    assert 4 < np.mean(tops) < 6
