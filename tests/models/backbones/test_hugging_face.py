"""The families whose layers come from the package ``transformers``, beside that package's own networks."""

import importlib
import re
from typing import Any

import pytest
import torch
from torch import Tensor

from models.backbones.family import load_family
from models.backbones.published import Published
from tests.support.cost import cost

CLASSES = {
    "videomae": "VideoMAEForVideoClassification",
    "vivit": "VivitForVideoClassification",
    "timesformer": "TimesformerForVideoClassification",
}
SIZES = {
    "image_size": 32, "num_frames": 4, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 128, "num_labels": 7,
}  # fmt: skip
PATCHES: dict[str, dict[str, Any]] = {
    "videomae": {"patch_size": 8, "tubelet_size": 2},
    "vivit": {"tubelet_size": [2, 8, 8]},
    "timesformer": {"patch_size": 8},
}
# From today's names of layers to those in the files that the authors published.
AS_PUBLISHED = {
    "videomae": [(r"query\.bias$", "q_bias"), (r"value\.bias$", "v_bias")],
    "vivit": [
        (r"^vivit\.layers\.", "vivit.encoder.layer."),
        (r"attention\.([qkv])_proj", r"attention.attention.\1"),
        (r"attention\.attention\.q\.", "attention.attention.query."),
        (r"attention\.attention\.k\.", "attention.attention.key."),
        (r"attention\.attention\.v\.", "attention.attention.value."),
        (r"attention\.o_proj", "attention.output.dense"),
        (r"mlp\.fc1", "intermediate.dense"),
        (r"mlp\.fc2", "output.dense"),
    ],
    "timesformer": [],
}


def original(family: str) -> Any:
    module = importlib.import_module(f"transformers.models.{family}")
    network = getattr(module, CLASSES[family])
    torch.manual_seed(0)
    made = network(network.config_class(**SIZES, **PATCHES[family])).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return made


def published_state(network: Any, family: str) -> dict[str, Tensor]:
    state = {}
    for name, tensor in network.state_dict().items():
        for pattern, replacement in AS_PUBLISHED[family]:
            name = re.sub(pattern, replacement, name)
        state[name] = tensor
    return state


@pytest.mark.parametrize("family", CLASSES)
def test_published_weights_compute_what_they_compute_there(family: str) -> None:
    there, here = original(family), load_family(family)
    backbone = here.build(here.flavours["debug"]).eval()
    published = next(iter(here.weights["kinetics400"].values()))
    assert isinstance(published, Published)
    backbone.load_state_dict(published.convert(published_state(there, family), {}))
    clip_BCTHW = torch.randn(2, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        features_BTD = backbone(clip_BCTHW)
        if family == "videomae":
            tokens_BND = there.videomae(clip_BCTHW.transpose(1, 2)).last_hidden_state
            expected = there.fc_norm(tokens_BND.view(2, 2, 16, 32).mean(2))
            found = features_BTD
        else:
            expected = there(clip_BCTHW.transpose(1, 2)).logits
            found = there.classifier(features_BTD[:, 0, : backbone.num_features // 2])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["vivit", "timesformer"])
def test_the_second_half_is_each_steps_own_mean(family: str) -> None:
    there, here = original(family), load_family(family)
    backbone = here.build(here.flavours["debug"]).eval()
    published = next(iter(here.weights["kinetics400"].values()))
    assert isinstance(published, Published)
    backbone.load_state_dict(published.convert(published_state(there, family), {}))
    clip_BCTHW = torch.randn(1, 3, 4, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        tokens_BND = getattr(there, family)(clip_BCTHW.transpose(1, 2)).last_hidden_state[:, 1:]
        over_space = (
            tokens_BND.view(1, 2, 16, 32).mean(2) if family == "vivit" else tokens_BND.view(1, 16, 4, 32).mean(1)
        )
        torch.testing.assert_close(backbone(clip_BCTHW)[:, :, 32:], over_space, rtol=1e-4, atol=1e-4)


# Tong et al. 2022, table 6; Arnab et al. 2021, table 2; Bertasius et al. 2021, table 2 (0.59 TFLOPs for three views).
@pytest.mark.parametrize(
    ("family", "flavour", "classifier", "parameters_M", "multiply_adds_G"),
    [
        ("videomae", "base-16x4", 768, 87.0, 180.0),
        ("videomae", "small-16x4", 384, 22.0, 57.0),
        ("vivit", "base-32x2", 768, 88.9, 455.2),
        ("timesformer", "base-8x32", 768, 121.4, 590.0 / 3),
    ],
)
def test_it_costs_what_the_papers_say(
    family: str, flavour: str, classifier: int, parameters_M: float, multiply_adds_G: float
) -> None:
    found_M, found_G = cost(family, flavour)
    assert found_M + (classifier + 1) * 400 / 1e6 == pytest.approx(parameters_M, rel=0.02)
    assert found_G == pytest.approx(multiply_adds_G, rel=0.02)
