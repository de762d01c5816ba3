"""What tells a right set of labels from a wrong one: ``python -m bench.set_confidence``.

Simulated models whose probabilities are calibrated: of each label and clip a probability is drawn, then whether the
clip has it. Thresholds are chosen on 300 clips as after training. On other clips the probability of the set that is
given, and the entropy of all answers, are held against whether the set is right: the share of pairs of a right and a
wrong one in which the right one scores higher (area under the ROC curve), mean over seeds.
"""

import argparse
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bench.machine import describe
from models.clips.label_sets import probability_of_sets
from tasks.statistics.thresholds import best_thresholds

_NUM_CHOSEN_ON, _NUM_CLIPS = 300, 4_000
_LABELS, _SHARES = (3, 8, 20), (0.05, 0.2, 0.5)
# Of the Beta distribution that probabilities are drawn from: the smaller, the surer the model.
_SPREADS = (0.3, 1.0)


def main() -> None:
    """Print a row for each world."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=20)
    options = arguments.parse_args()
    print(describe("scipy"))
    print("| labels | of clips | spread | sets right | probability of the set | entropy |\n|---|---|---|---|---|---|")
    for world in product(_LABELS, _SHARES, _SPREADS):
        found = [row for seed in range(options.seeds) if (row := _measured(*world, seed=seed))]
        right, probability, entropy = np.mean(found, axis=0)
        labels, share, spread = world
        print(f"| {labels} | {share:.0%} | {spread:g} | {right:.0%} | {probability:.3f} | {entropy:.3f} |", flush=True)


def _measured(num_labels: int, share: float, spread: float, *, seed: int) -> tuple[float, float, float] | None:
    """Share of right sets, and the two areas; None where all or none are right."""
    rng = np.random.default_rng(seed)
    shape = (_NUM_CHOSEN_ON + _NUM_CLIPS, num_labels)
    probability_NK = rng.beta(spread * share, spread * (1.0 - share), shape).clip(1e-6, 1 - 1e-6)
    wanted_NK = rng.random(shape) < probability_NK
    thresholds_K = best_thresholds(probability_NK[:_NUM_CHOSEN_ON], wanted_NK[:_NUM_CHOSEN_ON])
    probability_NK, wanted_NK = probability_NK[_NUM_CHOSEN_ON:], wanted_NK[_NUM_CHOSEN_ON:]
    given_NK = probability_NK >= thresholds_K
    right_N = (given_NK == wanted_NK).all(1)
    if right_N.all() or not right_N.any():
        return None
    entropy_N = -(probability_NK * np.log(probability_NK) + (1 - probability_NK) * np.log1p(-probability_NK)).sum(1)
    return (
        float(right_N.mean()),
        _area(probability_of_sets(given_NK, probability_NK), right_N),
        _area(-entropy_N, right_N),
    )


def _area(score_N: NDArray[np.floating], right_N: NDArray[np.bool_]) -> float:
    num_right = int(right_N.sum())
    above = rankdata(score_N)[right_N].sum() - num_right * (num_right + 1) / 2
    return float(above / (num_right * (len(right_N) - num_right)))


if __name__ == "__main__":
    main()
