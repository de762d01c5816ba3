import itertools

import pandas as pd
import pytest

from models.clips.rehearsal import draw_memory, rehearsed


def table(counts: dict[tuple[str, str], int]) -> pd.DataFrame:
    """Clips by (label, source)."""
    rows = [
        {"clip_id": f"{label}-{source}-{number}", "label": label, "source_id": source}
        for (label, source), count in counts.items()
        for number in range(count)
    ]
    return pd.DataFrame(rows)


EVEN = table(dict.fromkeys(itertools.product("xyz", "abcd"), 10))


def counts(clips: pd.DataFrame, drawn: list[str], *by: str) -> list[int]:
    return clips[clips["clip_id"].isin(drawn)].groupby(list(by)).size().tolist()


@pytest.mark.parametrize("size", [12, 24, 60])
def test_as_many_of_each_class_and_source(size: int) -> None:
    drawn = draw_memory(EVEN, size, seed=0)
    assert len(set(drawn)) == size
    assert counts(EVEN, drawn, "label", "source_id") == [size // 12] * 12


def test_what_does_not_divide_is_spread() -> None:
    drawn = draw_memory(EVEN, 17, seed=0)
    assert sorted(counts(EVEN, drawn, "label")) == [5, 6, 6]
    assert sorted(counts(EVEN, drawn, "source_id")) == [4, 4, 4, 5]


def test_a_rare_class_and_a_small_source_give_all_they_have() -> None:
    clips = table({("rare", "a"): 2, ("often", "a"): 90, ("often", "b"): 3})
    drawn = draw_memory(clips, 12, seed=0)
    assert counts(clips, drawn, "label", "source_id") == [7, 3, 2]


def test_no_more_than_there_are() -> None:
    assert sorted(draw_memory(EVEN, 10_000, seed=0)) == sorted(EVEN["clip_id"])
    assert draw_memory(EVEN, 0, seed=0) == []
    assert draw_memory(EVEN.iloc[:0], 5, seed=0) == []


def test_the_draw_depends_on_the_clips_and_the_seed_alone() -> None:
    drawn = draw_memory(EVEN, 20, seed=0)
    assert draw_memory(EVEN.sample(frac=1.0, random_state=1), 20, seed=0) == drawn
    assert draw_memory(EVEN, 20, seed=1) != drawn


def test_a_larger_memory_holds_every_smaller_one() -> None:
    whole = draw_memory(EVEN, 60, seed=3)
    assert all(draw_memory(EVEN, size, seed=3) == whole[:size] for size in range(60))


def test_new_clips_are_all_there_with_a_memory_of_the_others() -> None:
    known = set(EVEN["clip_id"].iloc[:80])
    chosen = rehearsed(EVEN, known, 15, seed=0)
    is_new = ~chosen["clip_id"].isin(known)
    assert set(chosen.loc[is_new, "clip_id"]) == set(EVEN["clip_id"]) - known
    assert (~is_new).sum() == 15
    assert chosen.index.is_monotonic_increasing


def test_where_nothing_is_new_everything_is_used() -> None:
    assert rehearsed(EVEN, set(EVEN["clip_id"]), 15, seed=0).equals(EVEN)
