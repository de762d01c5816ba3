from typing import Literal

import numpy as np
import pytest

from models.errors import UserError
from tasks.labelling.choose import choose

RNG = np.random.default_rng(0)


def probabilities(margins: np.ndarray) -> np.ndarray:
    """Of two classes, with the given margins."""
    return np.stack([(1 + margins) / 2, (1 - margins) / 2], axis=1).astype(np.float32)


def clusters(num_clusters: int, clips_each: int, features: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Clips around centres, and the cluster of each."""
    of_clip = np.repeat(np.arange(num_clusters), clips_each)
    centres = np.random.default_rng(1).normal(size=(num_clusters, features))
    noise = np.random.default_rng(2).normal(size=(len(of_clip), features))
    return (centres[of_clip] + 0.02 * noise).astype(np.float32), of_clip


def test_the_same_seed_chooses_the_same_and_no_clip_twice() -> None:
    embedding, probability = RNG.normal(size=(200, 8)), RNG.dirichlet(np.ones(3), 200)
    source = RNG.integers(20, size=200)
    first, again, other = (choose(embedding, probability, source, budget=40, seed=seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    assert len(set(first.tolist())) == 40


def test_unsure_clips_come_before_sure_ones() -> None:
    margin = np.where(np.arange(400) % 8 == 0, 0.05, 0.97)
    chosen = choose(RNG.normal(size=(400, 16)), probabilities(margin), np.arange(400), budget=30)
    assert (margin[chosen] < 0.5).mean() > 0.95


def test_every_cluster_is_asked_about_once_before_any_is_twice() -> None:
    embedding, of_clip = clusters(12, 50)
    chosen = choose(embedding, probabilities(np.full(600, 0.2)), np.arange(600), budget=12)
    assert sorted(of_clip[chosen]) == list(range(12))


def test_what_is_labelled_is_not_asked_about_again() -> None:
    embedding, of_clip = clusters(12, 50)
    labelled = clusters(12, 50)[0][of_clip < 9] + 1e-3
    chosen = choose(
        embedding, probabilities(np.full(600, 0.2)), np.arange(600), budget=3, labelled_MD=labelled[:450], seed=3
    )
    assert sorted(of_clip[chosen]) == [9, 10, 11]


def test_no_source_gives_more_than_its_share() -> None:
    source = np.array([0] * 180 + [1, 2, 3, 4] * 5)
    embedding, probability = RNG.normal(size=(200, 8)), RNG.dirichlet(np.ones(3), 200)
    capped = choose(embedding, probability, source, budget=20, per_source=3)
    assert np.bincount(source[capped]).tolist() == [3, 3, 3, 3, 3]
    usual = choose(embedding, probability, source, budget=20)
    assert len(usual) == 20
    assert np.bincount(source[usual], minlength=5).max() <= 8


def test_where_sources_are_small_the_largest_fills_the_budget() -> None:
    source = np.array(["big"] * 90 + ["a", "b"])
    chosen = choose(RNG.normal(size=(92, 8)), RNG.dirichlet(np.ones(3), 92), source, budget=50)
    assert len(chosen) == 50


def test_fewer_clips_than_the_budget_are_all_chosen() -> None:
    chosen = choose(RNG.normal(size=(5, 8)), RNG.dirichlet(np.ones(3), 5), np.zeros(5), budget=20)
    assert sorted(chosen) == [0, 1, 2, 3, 4]
    assert len(choose(np.empty((0, 8)), np.empty((0, 3)), np.empty(0), budget=20)) == 0


@pytest.mark.parametrize("one", [np.ones(8), np.zeros(8), np.full(8, 1e30)])
def test_clips_that_look_the_same_are_asked_about_once(one: np.ndarray) -> None:
    embedding = np.tile(one, (30, 1))
    probability = np.tile([0.5, 0.5], (30, 1))
    assert len(choose(embedding, probability, np.arange(30), budget=10)) == 1
    assert len(choose(embedding, probability, np.arange(30), budget=10, labelled_MD=embedding[:1])) == 0


def test_a_model_that_is_wholly_sure_is_asked_about_all_the_same() -> None:
    probability = np.tile([1.0, 0.0], (30, 1))
    for uncertainty in ("margin", "entropy"):
        chosen = choose(RNG.normal(size=(30, 8)), probability, np.arange(30), budget=10, uncertainty=uncertainty)
        assert len(set(chosen.tolist())) == 10


def test_margin_and_entropy_differ_where_there_are_many_classes() -> None:
    two_way, spread = [0.5, 0.5, 0.0, 0.0], [0.43, 0.19, 0.19, 0.19]
    probability = np.array([two_way] * 50 + [spread] * 50)
    embedding = RNG.normal(size=(100, 16))
    shares = {
        kind: (choose(embedding, probability, np.arange(100), budget=20, uncertainty=kind) < 50).mean()
        for kind in ("margin", "entropy")
    }
    assert shares["margin"] > 0.5 > shares["entropy"]


@pytest.mark.parametrize("uncertainty", ["margin", "entropy"])
def test_of_several_labels_one_that_is_unsure_is_enough(uncertainty: Literal["margin", "entropy"]) -> None:
    """As classes, the sure clip of two labels would have no margin."""
    unsure, sure = [0.99, 0.5, 0.01], [0.99, 0.99, 0.01]
    probability = np.array([unsure] * 50 + [sure] * 50)
    embedding = RNG.normal(size=(100, 16))
    chosen = choose(embedding, probability, np.arange(100), budget=20, uncertainty=uncertainty, several=True)
    assert (chosen < 50).mean() > 0.9


def test_one_label_alone_is_a_question_too() -> None:
    probability = np.array([[0.5]] * 50 + [[0.99]] * 50)
    chosen = choose(RNG.normal(size=(100, 16)), probability, np.arange(100), budget=20, several=True)
    assert (chosen < 50).mean() > 0.9
    with pytest.raises(ValueError, match="do not fit"):
        choose(RNG.normal(size=(100, 16)), probability, np.arange(100), budget=20)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["embedding_ND", "probability_NK", "labelled_MD"])
def test_what_is_not_a_number_is_refused_in_one_sentence(where: str, value: float) -> None:
    arrays = {"embedding_ND": np.ones((9, 4)), "probability_NK": np.full((9, 2), 0.5), "labelled_MD": np.ones((9, 4))}
    arrays[where][3:5, 1] = value
    with pytest.raises(UserError, match=r"of 2 of 9 clips is not a finite number; run the model on them again$"):
        choose(**arrays, source_N=np.zeros(9), budget=3)


@pytest.mark.parametrize(
    "changed", [{"budget": 0}, {"per_source": 0}, {"source_N": np.zeros(4)}, {"labelled_MD": np.ones((2, 3))}]
)
def test_a_call_that_makes_no_sense(changed: dict) -> None:
    call = {"embedding_ND": np.ones((5, 4)), "probability_NK": np.ones((5, 2)), "source_N": np.zeros(5), "budget": 3}
    with pytest.raises(ValueError, match=r"fit|features|budget"):
        choose(**call | changed)
