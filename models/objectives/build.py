"""The objective that params.yaml asks for."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from models.build import VideoModel
from models.champion import Champion, by_our_classes
from models.inference import Loader
from models.objectives.anchor import Anchor
from models.objectives.binary import Binary
from models.objectives.class_balance import class_weights
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.distillation import Distillation
from models.objectives.each_label import EachLabel
from models.objectives.fisher import fisher_diagonal
from models.objectives.focal import Focal
from models.objectives.objective import Objective, Total
from models.parts import Part
from models.spec import ContinualParams, FineTuneParams


def build_objective(job: FineTuneParams, count_K: Tensor | None = None, *, multi_label: bool = False) -> Objective:
    """The objective of a job that starts from nothing that it could forget.

    Args:
        job: The job.
        count_K: Training clips of each class, on the model's device; without them every class counts the same.
        multi_label: Whether clips may have several labels.
    """
    loss, smoothing = job.loss, job.label_smoothing
    weight_K = class_weights(count_K, loss.class_balance) if loss.class_balance and count_K is not None else None
    if multi_label:
        return EachLabel(smoothing, gamma=loss.focal_gamma if loss.name == "focal" else 0.0, weight_K=weight_K)
    if loss.name == "focal":
        return Focal(loss.focal_gamma, smoothing, weight_K)
    if loss.name == "binary":
        return Binary(smoothing, weight_K)
    return CrossEntropy(smoothing, weight_K)


def build_continual_objective(
    job: FineTuneParams,
    continual: ContinualParams,
    model: VideoModel,
    labels: Sequence[str],
    champion: Champion,
    memory: Loader | None,
    *,
    seed: int,
    count_K: Tensor | None = None,
) -> Objective:
    """The objective of a job that starts from a champion.

    Args:
        job: The job.
        continual: Which terms keep what the champion knows.
        model: What is trained.
        labels: Its classes.
        champion: On the same device.
        memory: Plain clips that the champion knows, for the Fisher information; without any, no weight is held.
        seed: Of the Fisher information.
        count_K: See :func:`build_objective`.
    """
    terms: list[Objective] = [build_objective(job, count_K, multi_label=model.multi_label)]
    if continual.distillation.weight:
        terms.append(Distillation(champion, labels, continual.distillation))
    if continual.anchor.weight and (memory or continual.anchor.importance == "same"):

        def importance(part: Part) -> Mapping[str, Tensor]:
            if continual.anchor.importance == "fisher" and memory:
                counts = fisher_diagonal(champion.model, part, memory, seed=seed)
            else:
                weights = champion.model.named_parameters()
                counts = {name: torch.ones_like(each) for name, each in weights if name.startswith(part.prefix)}
            return by_our_classes(counts, champion.labels, labels)

        anchor = by_our_classes(champion.model.state_dict(), champion.labels, labels)
        terms.append(Anchor(model, anchor, importance, continual.anchor.weight))
    return Total(terms)


def near_start(model: VideoModel, weight: float) -> Objective:
    """L2-SP (Li et al. 2018, arXiv:1802.01483): what trains of the backbone stays near where it is now.

    Args:
        model: Ready for its job.
        weight: Of half the squared distance.
    """
    start = {
        name: weights.detach().clone()
        for name, weights in model.named_parameters()
        if weights.requires_grad and name.startswith("backbone.")
    }

    def importance(part: Part) -> Mapping[str, Tensor]:
        return {name: torch.ones_like(weights) for name, weights in start.items() if name.startswith(part.prefix)}

    return Anchor(model, start, importance, weight)
