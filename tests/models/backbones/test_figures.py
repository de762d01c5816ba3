import pytest

from models.backbones.family import load_family
from models.backbones.figures import FIGURES
from models.cost import cost_of


@pytest.mark.parametrize(("family", "flavour"), FIGURES)
def test_size_and_cost_are_the_published_ones(family: str, flavour: str) -> None:
    figure = FIGURES[family, flavour]
    found = load_family(family)
    cost = cost_of(found, found.flavours[flavour], figure.num_classes, size=figure.size)
    assert figure.parameters_m is None or cost.num_parameters / 1e6 == pytest.approx(figure.parameters_m, rel=0.02)
    assert cost.multiply_adds / 1e9 == pytest.approx(figure.multiply_adds_g, rel=figure.tolerance)
