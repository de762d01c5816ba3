import subprocess
import sys

import pytest

IMPORTED = """
import sys
from models.backbones import builders
assert "torchvision" not in sys.modules and "torchvision.ops" not in sys.modules
assert callable(builders.create_x3d) and callable(builders.create_resnet)
"""
BESIDE_THE_REAL_ONE = """
import sys, types
real, ops = types.ModuleType("torchvision"), types.ModuleType("torchvision.ops")
real.ops, ops.RoIAlign = ops, object
sys.modules |= {"torchvision": real, "torchvision.ops": ops}
from models.backbones import builders
assert sys.modules["torchvision"] is real
from pytorchvideo.models import head
assert head.RoIAlign is object
"""


@pytest.mark.parametrize("program", [IMPORTED, BESIDE_THE_REAL_ONE])
def test_the_placeholder_for_torchvision_goes_away_and_never_hides_the_real_one(program: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=120)
