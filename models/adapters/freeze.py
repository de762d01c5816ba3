"""Which of a model's own weights a method trains."""

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from models.build import VideoModel
from models.errors import UserError
from models.parts import is_added, stage_indices
from models.spec import FineTuneParams

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def trained_names(model: VideoModel, params: FineTuneParams) -> frozenset[str]:
    """Names of the parameters that the job trains: the head's, and those of the method.

    Args:
        model: With all that the method adds.
        params: The job.

    Raises:
        UserError: The backbone has fewer stages than are to be trained.
    """
    names = [name for name, _ in model.named_parameters()]
    return frozenset(name for name in names if not name.startswith("backbone.")) | _of_backbone(model, params, names)


def _of_backbone(model: VideoModel, params: FineTuneParams, names: list[str]) -> frozenset[str]:
    own = [name for name in names if name.startswith("backbone.")]
    if params.method == "full":
        return frozenset(own)
    if params.method == "stages":
        return _last_stages(model, params.stages.last, own)
    if params.method == "norm":
        return _norms_and_biases(model.backbone)
    if params.method in ("lora", "adapter"):
        return frozenset(name for name in own if is_added(name))
    return frozenset()


def _last_stages(model: VideoModel, num_last: int, own: list[str]) -> frozenset[str]:
    stages = model.backbone.stages
    if num_last > len(stages):
        raise UserError(
            f"params.yaml: fine_tune.stages.last: {num_last}, but the backbone has {len(stages)} stages "
            f"({', '.join(stages)}); take at most so many"
        )
    indices = stage_indices(model)
    return frozenset(name for name in own if indices[name] >= len(stages) - num_last)


def _norms_and_biases(backbone: nn.Module) -> frozenset[str]:
    return frozenset(
        f"backbone.{prefix}.{name}" if prefix else f"backbone.{name}"
        for prefix, module in backbone.named_modules()
        for name, _ in module.named_parameters(recurse=False)
        if isinstance(module, _NORMS) or name.endswith("bias")
    )
