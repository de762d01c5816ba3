"""A model that names one class a clip, on the test split.

Legend: N clips, T steps in time, D features, K classes.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.build import VideoModel, build_model
from models.clips.sampling import spread_views
from models.cost import multiply_adds
from models.features import plain_features
from models.predict import predict
from models.robustness import robust_correct
from models.spec import ModelParams
from tasks.evaluation.clips import Split, loader_of, to_device
from tasks.evaluation.measure import ACCURACY
from tasks.evaluation.results import Measured
from tasks.params.quality import EvaluateParams
from tasks.statistics.bootstrap import is_rough, paired_source_bootstrap, source_bootstrap
from tasks.statistics.calibration import expected_calibration_error, reliability
from tasks.statistics.classification import class_scores, confusion, log_loss, macro_f1
from tasks.statistics.slices import slices, worst
from tasks.statistics.temperature import uncalibrated

INVERSE_REGULARISATION = tuple(float(c) for c in np.logspace(-5, 1, 7))
"""Of the linear classifier on pretrained features; val chooses."""


def measured_classes(
    tuned: VideoModel,
    params: ModelParams,
    splits: Mapping[str, Split],
    data: Path,
    evaluate: EvaluateParams,
    *,
    seed: int,
) -> Measured:
    """Measure ``tuned``, and what was there before fine-tuning.

    Args:
        tuned: The fine-tuned model.
        params: What it was built from.
        splits: Train, val and test.
        data: The dataset's folder.
        evaluate: How to measure.
        seed: Of the resampling and of the untrained head.
    """
    probabilities = _after(tuned, splits, data, evaluate.batch_size)
    before = _before(params, splits, data, seed, evaluate.batch_size)
    predictions = _predictions(splits, probabilities)
    parts = _slices(splits["test"], probabilities["test"], seed, evaluate)
    metrics = {
        **_metrics(splits["test"], probabilities["test"], before, seed, evaluate),
        **_calibration(splits["test"], probabilities["test"], tuned.temperature, evaluate.bins),
        **_views(tuned, splits["test"], probabilities["test"], data, seed, evaluate),
        **_robust(tuned, splits["test"], data, seed, evaluate),
        "worst_slice": worst(parts),
    }
    test = predictions[predictions["split"] == "test"]
    pairs = pd.DataFrame({"actual": test["label"], "predicted": test["predicted"]})
    bins = reliability(test["confidence"].to_numpy(), test["correct"].to_numpy(), evaluate.bins)
    return Measured(metrics, predictions, parts, pairs, bins)


def _after(
    model: VideoModel, splits: Mapping[str, Split], data: Path, batch_size: int
) -> dict[str, NDArray[np.float32]]:
    to_device(model)
    return {name: predict(model, loader_of(splits[name], data, model, batch_size)) for name in ("val", "test")}


def _before(
    params: ModelParams, splits: Mapping[str, Split], data: Path, seed: int, batch_size: int
) -> dict[str, NDArray[np.bool_]]:
    """Which test clips each way of doing without fine-tuning gets right."""
    test = splits["test"]
    initial = build_model(params, len(test.labels), seed=seed)
    to_device(initial)
    features = {
        name: plain_features(initial, loader_of(split, data, initial, batch_size)) for name, split in splits.items()
    }
    predicted = {
        "majority": np.full(len(test.label_N), np.bincount(splits["train"].label_N).argmax()),
        "initial": _classes(initial, features["test"]),
        "pretrained_features": _linear_classes(
            {name: features_NTD.mean(1).cpu().numpy() for name, features_NTD in features.items()}, splits
        ),
    }
    return {name: predicted_N == test.label_N for name, predicted_N in predicted.items()}


def _classes(model: VideoModel, features_NTD: Tensor) -> NDArray[np.int64]:
    model.eval()
    with torch.inference_mode():
        predicted_N: NDArray[np.int64] = model.logits(features_NTD).argmax(1).cpu().numpy()
    return predicted_N


def _linear_classes(features_ND: dict[str, NDArray[np.float32]], splits: Mapping[str, Split]) -> NDArray[np.int64]:
    """Classes of the test clips by multinomial logistic regression, its regularisation chosen on val."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    def fitted(inverse_regularisation: float) -> Any:
        classifier = LogisticRegression(C=inverse_regularisation, max_iter=2000)
        return make_pipeline(StandardScaler(), classifier).fit(features_ND["train"], splits["train"].label_N)

    with threadpool_limits(limits=1):  # sums, and so the last digits, depend on the number of threads
        candidates = [fitted(value) for value in INVERSE_REGULARISATION]
        best = max(candidates, key=lambda candidate: candidate.score(features_ND["val"], splits["val"].label_N))
        predicted_N: NDArray[np.int64] = best.predict(features_ND["test"])
    return predicted_N


def _predictions(splits: Mapping[str, Split], probabilities: dict[str, NDArray[np.float32]]) -> pd.DataFrame:
    tables = []
    for name, probabilities_NK in probabilities.items():
        predicted_N = probabilities_NK.argmax(1)
        table = (
            splits[name]
            .clips[["clip_id", "source_id", "split", "label"]]
            .assign(
                predicted=[splits[name].labels[index] for index in predicted_N],
                confidence=probabilities_NK.max(1),
                correct=predicted_N == splits[name].label_N,
                probabilities=list(probabilities_NK),
            )
        )
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _metrics(
    test: Split,
    probabilities_NK: NDArray[np.float32],
    before: dict[str, NDArray[np.bool_]],
    seed: int,
    params: EvaluateParams,
) -> dict[str, Any]:
    predicted_N = probabilities_NK.argmax(1)
    correct_N = predicted_N == test.label_N
    bins = reliability(probabilities_NK.max(1), correct_N, params.bins)
    scores = class_scores(confusion(test.label_N, predicted_N, len(test.labels)))
    source_N = test.clips["source_id"].to_numpy()
    paired = partial(paired_source_bootstrap, resamples=params.bootstrap, confidence=params.confidence, seed=seed)

    def gain(other_N: NDArray[np.bool_]) -> dict[str, float]:
        interval = paired(correct_N, other_N, source_N)
        return {"difference": interval.estimate, "low": interval.low, "high": interval.high}

    by_source = test.clips.assign(correct=correct_N).groupby("source_id", sort=True)["correct"]
    return {
        **_accuracy(correct_N, test, seed, params),
        "interval_is_rough": is_rough(source_N),
        "macro_f1": macro_f1(scores),
        "loss": log_loss(probabilities_NK, test.label_N),
        "ece": expected_calibration_error(bins),
        "clips": len(test.clips),
        "sources": len(by_source),
        "classes": len(test.labels),
        "before": {name: _accuracy(right_N, test, seed, params) for name, right_N in before.items()},
        "gain": {f"over_{name}": gain(right_N) for name, right_N in before.items()},
        "per_class": {label: asdict(score) for label, score in zip(test.labels, scores, strict=True)},
        "per_source": {source: {"accuracy": float(right.mean()), "clips": len(right)} for source, right in by_source},
    }


def _calibration(
    test: Split, probabilities_NK: NDArray[np.float32], temperature: float, num_bins: int
) -> dict[str, float]:
    """What the probabilities were worth before they were calibrated."""
    raw_NK = uncalibrated(probabilities_NK, temperature)
    bins = reliability(raw_NK.max(1), probabilities_NK.argmax(1) == test.label_N, num_bins)
    return {
        "temperature": temperature,
        "ece_uncalibrated": expected_calibration_error(bins),
        "loss_uncalibrated": log_loss(raw_NK, test.label_N),
    }


def _slices(test: Split, probabilities_NK: NDArray[np.float32], seed: int, params: EvaluateParams) -> pd.DataFrame:
    correct_N = probabilities_NK.argmax(1) == test.label_N
    return slices(test.clips, correct_N, resamples=params.bootstrap, confidence=params.confidence, seed=seed)


def _views(
    model: VideoModel, test: Split, one_NK: NDArray[np.float32], data: Path, seed: int, params: EvaluateParams
) -> dict[str, Any]:
    """What more looks at each test clip come to, beside the single one; nothing where one is all."""
    views = spread_views(params.views.temporal, params.views.spatial)
    if len(views) == 1:
        return {}
    each_NK = [predict(model, loader_of(test, data, model, params.batch_size, view)) for view in views]
    all_NK = np.mean(each_NK, axis=0)
    one_N, all_N = (found_NK.argmax(1) == test.label_N for found_NK in (one_NK, all_NK))
    gain = paired_source_bootstrap(
        all_N,
        one_N,
        test.clips["source_id"].to_numpy(),
        resamples=params.bootstrap,
        confidence=params.confidence,
        seed=seed,
    )
    cost = multiply_adds(model)
    return {
        "views": {
            "temporal": params.views.temporal,
            "spatial": params.views.spatial,
            "views": len(views),
            **_accuracy(all_N, test, seed, params),
            "loss": log_loss(all_NK, test.label_N),
            "gain": {"difference": gain.estimate, "low": gain.low, "high": gain.high},
            "multiply_adds_of_one": cost,
            "multiply_adds": len(views) * cost,
        }
    }


def _robust(model: VideoModel, test: Split, data: Path, seed: int, params: EvaluateParams) -> dict[str, Any]:
    """Accuracy on test clips that were changed to mislead the model; nothing where no change is allowed."""
    epsilon, steps = params.adversarial.epsilon, params.adversarial.steps
    if not epsilon:
        return {}
    loader = loader_of(test, data, model, params.batch_size)
    correct_N = robust_correct(model, loader, epsilon=epsilon, steps=steps, seed=seed)
    return {"robust": {"epsilon": epsilon, "steps": steps, **_accuracy(correct_N, test, seed, params)}}


def _accuracy(correct_N: NDArray[np.bool_], test: Split, seed: int, params: EvaluateParams) -> dict[str, float]:
    interval = source_bootstrap(
        correct_N,
        test.clips["source_id"].to_numpy(),
        resamples=params.bootstrap,
        confidence=params.confidence,
        seed=seed,
    )
    return ACCURACY.values(interval)
