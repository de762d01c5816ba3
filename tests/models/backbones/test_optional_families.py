import sys

import pytest

from models.backbones.family import family_names, load_family
from models.build import families
from models.errors import UserError

OPTIONAL = [name for name in family_names() if load_family(name).package]


def test_they_are_listed_whether_or_not_their_package_is_installed() -> None:
    assert OPTIONAL == ["timesformer", "videomae", "vivit"]
    assert all("debug" in families()[name] for name in OPTIONAL)


@pytest.mark.parametrize("name", OPTIONAL)
def test_without_the_package_a_sentence_names_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("transformers", f"transformers.models.{name}.configuration_{name}"):
        monkeypatch.setitem(sys.modules, module, None)
    family = load_family(name)
    with pytest.raises(UserError, match=rf"{name} needs the package transformers.*pip install -e '\.\[transformers\]'"):
        family.build(family.flavours["debug"])
