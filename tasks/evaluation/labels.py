"""A model that names any number of labels a clip, on the test split.

Legend: N clips, D features, K labels.

Mean average precision says how well it ranks, whatever the thresholds; the rest is about the labels that it gives at
those that were chosen on val. ``correct`` is a clip whose labels are all given, and no other.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.build import VideoModel, build_model
from models.clips.label_sets import NOTHING, labels_in, probability_of_sets, texts_of
from models.errors import UserError
from models.features import plain_features
from models.inference import infer
from models.predict import predict
from models.saved import thresholds_of
from models.spec import ModelParams
from tasks.evaluation.classes import INVERSE_REGULARISATION
from tasks.evaluation.clips import Split, loader_of, to_device
from tasks.evaluation.measure import MEAN_AVERAGE_PRECISION as MAP
from tasks.evaluation.measure import Measure
from tasks.evaluation.results import Measured
from tasks.params.quality import EvaluateParams
from tasks.statistics.average_precision import map_interval, mean_average_precision
from tasks.statistics.bootstrap import is_rough, source_bootstrap
from tasks.statistics.calibration import expected_calibration_error, reliability
from tasks.statistics.slices import slices, worst
from tasks.statistics.temperature import uncalibrated_answers
from tasks.statistics.thresholds import given_labels, label_scores, mean_f1, pooled_f1

_Scores = NDArray[np.floating]


def measured_labels(
    tuned: VideoModel,
    params: ModelParams,
    splits: Mapping[str, Split],
    data: Path,
    evaluate: EvaluateParams,
    *,
    seed: int,
) -> Measured:
    """Measure ``tuned``, and what was there before fine-tuning.

    Arguments are those of :func:`tasks.evaluation.classes.measured_classes`.

    Raises:
        UserError: The section asks for what is not measured where clips have several labels.
    """
    _refuse(evaluate)
    to_device(tuned)
    probabilities = {
        name: predict(tuned, loader_of(splits[name], data, tuned, evaluate.batch_size)) for name in ("val", "test")
    }
    thresholds = thresholds_of(tuned, len(splits["test"].labels))
    given = {name: given_labels(probabilities_NK, thresholds) for name, probabilities_NK in probabilities.items()}
    before = _before(params, splits, data, seed, evaluate.batch_size)
    test = splits["test"]
    correct_N = (given["test"] == test.wanted_NK).all(1)
    parts = slices(test.clips, correct_N, resamples=evaluate.bootstrap, confidence=evaluate.confidence, seed=seed)
    metrics = {
        **_ranked(test, probabilities["test"], before, seed, evaluate),
        **_given(test, given["test"], correct_N, probabilities["test"], thresholds, seed, evaluate),
        **_calibration(test, probabilities["test"], tuned.temperature, evaluate.bins),
        "worst_slice": worst(parts),
    }
    return Measured(
        metrics,
        _predictions(splits, probabilities, given),
        parts,
        _pairs(test, given["test"]),
        _bins(test, probabilities["test"], evaluate.bins),
    )


def _refuse(params: EvaluateParams) -> None:
    reason = "is not measured where clips have several labels (ingest.multi_label)"
    if params.adversarial.epsilon:
        raise UserError(f"params.yaml: evaluate.adversarial.epsilon: robust accuracy {reason}; set it to 0")
    if params.views.temporal * params.views.spatial > 1:
        raise UserError(f"params.yaml: evaluate.views: more than one view {reason}; set temporal and spatial to 1")


def _before(
    params: ModelParams, splits: Mapping[str, Split], data: Path, seed: int, batch_size: int
) -> dict[str, _Scores]:
    """How each way of doing without fine-tuning ranks the test clips."""
    test = splits["test"]
    initial = build_model(params, len(test.labels), seed=seed)
    initial.multi_label = True
    to_device(initial)
    features = {
        name: plain_features(initial, loader_of(split, data, initial, batch_size)).mean(1).cpu().numpy()
        for name, split in splits.items()
    }
    untrained = infer(initial, initial, loader_of(test, data, initial, batch_size), title="initial")[0]
    return {
        "majority": np.tile(splits["train"].wanted_NK.mean(0), (len(test.clips), 1)),
        "initial": untrained.cpu().numpy(),
        "pretrained_features": _linear(features, splits),
    }


def _linear(features_ND: Mapping[str, NDArray[np.float32]], splits: Mapping[str, Split]) -> _Scores:
    """Scores by a logistic regression for each label, regularised by one number for all, chosen on val."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    scaler = StandardScaler().fit(features_ND["train"])
    scaled = {name: scaler.transform(values_ND) for name, values_ND in features_ND.items()}
    wanted_NK = splits["train"].wanted_NK

    def scores(inverse_regularisation: float, split: str) -> _Scores:
        found_NK = np.zeros((len(scaled[split]), wanted_NK.shape[1]))
        for label in np.flatnonzero(wanted_NK.any(0) & ~wanted_NK.all(0)):
            classifier = LogisticRegression(C=inverse_regularisation, max_iter=2000)
            classifier.fit(scaled["train"], wanted_NK[:, label])
            found_NK[:, label] = classifier.decision_function(scaled[split])
        return found_NK

    def on_val(inverse_regularisation: float) -> float:
        return float(
            np.nan_to_num(mean_average_precision(scores(inverse_regularisation, "val"), splits["val"].wanted_NK))
        )

    with threadpool_limits(limits=1):  # sums, and so the last digits, depend on the number of threads
        return scores(max(INVERSE_REGULARISATION, key=on_val), "test")


def _ranked(
    test: Split, probabilities_NK: _Scores, before: Mapping[str, _Scores], seed: int, params: EvaluateParams
) -> dict[str, Any]:
    wanted_NK, source_N = test.wanted_NK, test.source_N
    how: dict[str, Any] = {"resamples": params.bootstrap, "confidence": params.confidence, "seed": seed}
    gains = {
        name: map_interval(probabilities_NK, wanted_NK, source_N, minus_NK=other_NK, **how)
        for name, other_NK in before.items()
    }
    by_source = [(str(source), source_N == source) for source in sorted(set(source_N))]
    return {
        **MAP.values(map_interval(probabilities_NK, wanted_NK, source_N, **how)),
        "interval_is_rough": is_rough(source_N),
        "clips": len(test.clips),
        "sources": len(by_source),
        "classes": len(test.labels),
        "labels_a_clip": float(wanted_NK.sum(1).mean()),
        "before": {
            name: MAP.values(map_interval(other_NK, wanted_NK, source_N, **how)) for name, other_NK in before.items()
        },
        "gain": {
            f"over_{name}": {"difference": gain.estimate, "low": gain.low, "high": gain.high}
            for name, gain in gains.items()
        },
        "per_source": {
            source: {
                "map": _or_none(mean_average_precision(probabilities_NK[in_N], wanted_NK[in_N])),
                "clips": int(in_N.sum()),
            }
            for source, in_N in by_source
        },
    }


def _given(
    test: Split,
    given_NK: NDArray[np.bool_],
    correct_N: NDArray[np.bool_],
    probabilities_NK: _Scores,
    thresholds: list[float],
    seed: int,
    params: EvaluateParams,
) -> dict[str, Any]:
    wanted_NK, source_N = test.wanted_NK, test.source_N
    scores = label_scores(given_NK, wanted_NK)
    exact = source_bootstrap(correct_N, source_N, resamples=params.bootstrap, confidence=params.confidence, seed=seed)
    unknown = {"ap": None, "ap_low": None, "ap_high": None}
    aps = [_ap(test, probabilities_NK, at, seed, params) if scores[at].clips else unknown for at in range(len(scores))]
    of_label = {
        label: {**aps[at], "threshold": thresholds[at], **asdict(scores[at])} for at, label in enumerate(test.labels)
    }
    return {
        "exact": exact.estimate,
        "exact_low": exact.low,
        "exact_high": exact.high,
        "macro_f1": mean_f1(scores),
        "micro_f1": pooled_f1(given_NK, wanted_NK),
        "per_class": of_label,
    }


def _ap(test: Split, probabilities_NK: _Scores, at: int, seed: int, params: EvaluateParams) -> dict[str, float]:
    """Average precision of one label."""
    interval = map_interval(
        probabilities_NK[:, [at]],
        test.wanted_NK[:, [at]],
        test.source_N,
        resamples=params.bootstrap,
        confidence=params.confidence,
        seed=seed,
    )
    return Measure("ap", "average precision").values(interval)


def _calibration(test: Split, probabilities_NK: _Scores, temperature: float, num_bins: int) -> dict[str, float]:
    raw_NK = uncalibrated_answers(probabilities_NK, temperature)
    return {
        "loss": _loss(probabilities_NK, test.wanted_NK),
        "ece": expected_calibration_error(_bins(test, probabilities_NK, num_bins)),
        "temperature": temperature,
        "ece_uncalibrated": expected_calibration_error(_bins(test, raw_NK, num_bins)),
        "loss_uncalibrated": _loss(raw_NK, test.wanted_NK),
    }


def _bins(test: Split, probabilities_NK: _Scores, num_bins: int) -> pd.DataFrame:
    """Of all answers, one for each label of each clip: how often the clip has a label of which that was said."""
    return reliability(probabilities_NK.ravel(), test.wanted_NK.ravel(), num_bins)


def _loss(probabilities_NK: _Scores, wanted_NK: NDArray[np.bool_]) -> float:
    """Mean over clips of the negative log-likelihood of all answers about it."""
    right_NK = np.where(wanted_NK, probabilities_NK, 1.0 - probabilities_NK).astype(np.float64)
    return float(-np.log(np.maximum(right_NK, np.finfo(np.float32).tiny)).sum(1).mean())


def _predictions(
    splits: Mapping[str, Split], probabilities: Mapping[str, _Scores], given: Mapping[str, NDArray[np.bool_]]
) -> pd.DataFrame:
    tables = []
    for name, given_NK in given.items():
        split, probabilities_NK = splits[name], probabilities[name]
        table = split.clips[["clip_id", "source_id", "split", "label"]].assign(
            predicted=texts_of(given_NK, split.labels),
            confidence=probability_of_sets(given_NK, probabilities_NK),
            correct=(given_NK == split.wanted_NK).all(1),
            probabilities=list(probabilities_NK),
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _pairs(test: Split, given_NK: NDArray[np.bool_]) -> pd.DataFrame:
    """One row for each label that a clip has or was given: ``-`` stands against what was missed or is too much."""
    rows = []
    for actual, predicted in zip(test.clips["label"], texts_of(given_NK, test.labels), strict=True):
        has, got = labels_in(actual), labels_in(predicted)
        rows += [(label, label if label in got else NOTHING) for label in has]
        rows += [(NOTHING, label) for label in got if label not in has]
    return pd.DataFrame(rows, columns=["actual", "predicted"])


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value
