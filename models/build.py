"""One builder for every model: family, flavour, weights, head.

Shapes: B clips, C channels, T frames or steps, H height, W width, D features, K classes.
"""

import torch
from torch import Tensor, nn

from models.adapters.record import Trained
from models.backbones.family import Backbone, family_names, find_flavour, load_family
from models.clips.sampling import ClipInput
from models.depthwise.layer import use_own_kernels
from models.heads import build_head
from models.spec import AdapterParams, ModelParams
from models.weights import load_weights


class VideoModel(nn.Module):
    """A backbone and a head.

    Attributes:
        clip_input: What :meth:`forward` takes.
        backbone: ``clip_BCTHW`` to ``features_BTD``.
        head: ``features_BTD`` to ``logits_BK``.
        temperature: By which class scores are divided so that probabilities are as sure as they are right
            (:mod:`tasks.calibrate`); 1 while a model is trained.
        multi_label: Whether each class is asked on its own: a clip may be several at once, or none.
        thresholds: Where it is: the probability from which a clip has a label, by class; empty for one half.
        added: Adapters that are in the backbone beside what was built.
        trained: What the last job trained; None where there was none since the model was built or loaded.
    """

    temperature: float = 1.0
    multi_label: bool = False
    thresholds: tuple[float, ...] = ()
    added: tuple[AdapterParams, ...] = ()
    trained: Trained | None = None

    def __init__(self, clip_input: ClipInput, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.clip_input = clip_input
        self.backbone = backbone
        self.head = head

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        """Class scores of each clip."""
        return self.logits(self.features(clip_BCTHW))

    def features(self, clip_BCTHW: Tensor) -> Tensor:
        """Spatially pooled ``features_BTD``; T is at least 1."""
        features_BTD: Tensor = self.backbone(clip_BCTHW)
        return features_BTD

    def logits(self, features_BTD: Tensor) -> Tensor:
        """Class scores that belong to :meth:`features`, calibrated."""
        logits_BK: Tensor = self.head(features_BTD)
        return logits_BK if self.temperature == 1.0 else logits_BK / self.temperature

    def probabilities(self, logits_BK: Tensor) -> Tensor:
        """Of each class; rows sum to 1 unless each class is asked on its own."""
        return probabilities_of(logits_BK, multi_label=self.multi_label)


def probabilities_of(logits_BK: Tensor, *, multi_label: bool) -> Tensor:
    """What class scores of a model, or of a program that was made from it, come to."""
    return logits_BK.sigmoid() if multi_label else logits_BK.softmax(1)


def families() -> dict[str, list[str]]:
    """Every family's flavours."""
    return {name: list(load_family(name).flavours) for name in family_names()}


def build_model(params: ModelParams, num_classes: int, *, seed: int) -> VideoModel:
    """Make a model; the same arguments give the same weights to the byte.

    Args:
        params: Section ``model`` of params.yaml.
        num_classes: Size of K.
        seed: Of the random weights. The caller's random state is left as it was.

    Raises:
        UserError: Family, flavour or weights are unknown, or the weights do not fit.
    """
    family, flavour = find_flavour(params)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = family.build(flavour)
        use_own_kernels(backbone)
        head = build_head(params.head, backbone.num_features, backbone.num_steps, num_classes)
    load_weights(backbone, params)
    return VideoModel(flavour.clip_input, backbone, head)


def clip_input_of(params: ModelParams) -> ClipInput:
    """What the model takes, without making it.

    Raises:
        UserError: Family or flavour are unknown.
    """
    clip_input: ClipInput = find_flavour(params)[1].clip_input
    return clip_input
