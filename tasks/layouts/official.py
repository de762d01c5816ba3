"""Official splits, made to three: train, val and test.

Many datasets publish two, one to train on and one to report on. What is reported on is the test here, and clips to
validate on are held out of what is trained on, whole sources at a time. Nothing ever leaves the official test.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from tasks.layouts.claim import Claim


def with_three_splits(claims: Sequence[Claim], val: float) -> tuple[list[Claim], list[str]]:
    """Complete the official splits of labelled ``claims``; which sources are held out depends on their names alone.

    Args:
        claims: With the splits of their lists.
        val: Share of the training sources of each class that are held out where there is no validation.

    Returns:
        The claims, and what was done, in words.
    """
    done: list[str] = []
    splits = {claim.split for claim in claims if claim.label is not None}
    if splits >= {"train", "val"} and "test" not in splits:
        claims = [replace(claim, split="test") if claim.split == "val" else claim for claim in claims]
        done.append("its official validation is the test, as the test has no labels")
        splits = {"train", "test"}
    if splits >= {"train", "test"} and "val" not in splits:
        held_out = _held_out((claim for claim in claims if claim.split == "train"), val)
        claims = [
            replace(claim, split="val") if claim.split == "train" and claim.source_id in held_out else claim
            for claim in claims
        ]
        done.append(f"{len(held_out)} of its training sources are held out for validation")
    return list(claims), done


def _held_out(training: Iterable[Claim], val: float) -> set[str]:
    """Sources so that each class has about ``val`` of its sources held out, at least one, and one left to train on."""
    sources: dict[str, set[str]] = defaultdict(set)
    for claim in training:
        if claim.label is not None:
            sources[claim.label].add(claim.source_id)
    left = {label: len(of_class) for label, of_class in sources.items()}
    classes_of: dict[str, list[str]] = defaultdict(list)
    for label, of_class in sources.items():
        for source in of_class:
            classes_of[source].append(label)
    held_out: set[str] = set()
    num_held: Counter[str] = Counter()
    for label in sorted(sources):
        wanted = max(1, round(val * len(sources[label])))
        for source in sorted(sources[label] - held_out, key=_shuffled):
            if num_held[label] >= wanted:
                break
            if all(left[other] > 1 for other in classes_of[source]):
                held_out.add(source)
                left.update({other: left[other] - 1 for other in classes_of[source]})
                num_held.update(classes_of[source])
    return held_out


def _shuffled(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
