"""A served model's environment has what its family imports."""

from pathlib import Path

import pytest

import models.backbones
from models.backbones.family import family_names, load_family
from tasks.registry.package import _requirements

FOLDER = Path(models.backbones.__file__).parent


@pytest.mark.parametrize("family", [name for name in family_names() if load_family(name).is_installed])
def test_a_family_that_needs_a_package_says_so(family: str) -> None:
    required = {requirement.partition("==")[0] for requirement in _requirements(family)}
    sources = "".join(path.read_text() for path in (FOLDER / family).glob("*.py"))
    assert ("pytorchvideo" in required) == ("models.backbones.builders" in sources)
    assert load_family(family).package in {"", *required}
