"""Adapters put into a model. They are found again under ``backbone.adapters``, each under its host's name."""

import torch
from torch import nn

from models.adapters.aim import AIM
from models.adapters.sites import Blocks, blocks_of, family_of, map_channels
from models.adapters.st_adapter import AfterStage, BeforeBlock, STAdapter
from models.build import VideoModel
from models.errors import UserError
from models.parts import ADAPTERS
from models.spec import AdapterParams


def add_adapters(model: VideoModel, params: AdapterParams, *, seed: int) -> None:
    """Give a model adapters that say nothing yet. One that has such adapters already keeps them as they are.

    Args:
        model: On any device.
        params: Which adapters.
        seed: Of their random weights. The caller's random state is left as it was.

    Raises:
        UserError: They do not fit the family, or the model has adapters of this kind and another width.
    """
    for there in model.added:
        if there.kind == params.kind:
            if there.width != params.width:
                raise UserError(
                    f"params.yaml: fine_tune.adapter.width: {params.width:g}, but the champion that training starts "
                    f"from has adapters of width {there.width:g}; set it to that, or continual.start to scratch"
                )
            return
    blocks = blocks_of(model.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if params.kind == "aim":
            _add_aim(model, blocks, params.width)
        elif blocks:
            _add_before_blocks(model, blocks, params.width)
        else:
            _add_after_stages(model, params.width)
    model.added = (*model.added, params)


def _add_aim(model: VideoModel, blocks: Blocks | None, width: float) -> None:
    if blocks is None:
        raise UserError(
            "params.yaml: fine_tune.adapter.kind: aim is made for transformer blocks, and "
            f"{family_of(model.backbone)} has none; take st, or a family that is a transformer, such as vit"
        )
    for name, block in _blocks(model):
        adapter = AIM(block, blocks, width, model.backbone.num_steps)
        _keep(model, name, "aim", adapter)
        adapter.put_on(block)


def _add_before_blocks(model: VideoModel, blocks: Blocks, width: float) -> None:
    for name, block in _blocks(model):
        norm = block.get_submodule(blocks.norm)
        adapter = _st_adapter(int(norm.normalized_shape[0]), width)  # type: ignore[index]
        _keep(model, name, "st", adapter)
        block.register_forward_pre_hook(BeforeBlock(adapter, blocks, model.backbone.num_steps))


def _add_after_stages(model: VideoModel, width: float) -> None:
    sites = map_channels(model.backbone, model.clip_input)
    if not sites:
        raise UserError(
            "params.yaml: fine_tune.adapter.kind: it is not known where adapters go in "
            f"{family_of(model.backbone)}; take method lora, which fits every family"
        )
    for stage, channels in sites.items():
        adapters = [_st_adapter(each, width) for each in channels]
        _keep(model, stage, "st", nn.ModuleList(adapters))
        hook = AfterStage(adapters, model.clip_input.num_frames)
        model.backbone.get_submodule(stage).register_forward_hook(hook)


def _blocks(model: VideoModel) -> list[tuple[str, nn.Module]]:
    return [(f"blocks.{name}", block) for name, block in model.backbone.get_submodule("blocks").named_children()]


def _st_adapter(channels: int, width: float) -> STAdapter:
    return STAdapter(channels, max(round(width * channels), 1))


def _keep(model: VideoModel, host: str, kind: str, adapter: nn.Module) -> None:
    backbone = model.backbone
    if ADAPTERS not in dict(backbone.named_children()):
        backbone.add_module(ADAPTERS, nn.ModuleDict())
    kept = backbone.get_submodule(ADAPTERS)
    key = host.replace(".", "-")
    if key not in dict(kept.named_children()):
        kept.add_module(key, nn.ModuleDict())
    weights = next(model.parameters())
    kept.get_submodule(key).add_module(kind, adapter.to(weights.device))
