"""One builder for every way of pretraining."""

from models.backbones.family import Backbone
from models.backbones.tokens import PatchBackbone
from models.clips.sampling import ClipInput
from models.pretrain.contrastive import Byol
from models.pretrain.masked import MaskedAutoencoder
from models.pretrain.pretext import Pretext
from models.spec import PretrainParams


def build_pretext(backbone: Backbone, clip_input: ClipInput, params: PretrainParams) -> Pretext:
    """Put what ``params.objective`` needs on ``backbone``; what is new has random weights.

    Raises:
        UserError: The objective does not go with the backbone.
    """
    if params.objective == "contrastive":
        return Byol(backbone, params)
    patch = backbone.patch if isinstance(backbone, PatchBackbone) else 1
    return MaskedAutoencoder(backbone, backbone.num_steps, (clip_input.size // patch) ** 2, params)
