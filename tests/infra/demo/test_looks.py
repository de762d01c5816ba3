import pytest

from infra.demo.looks import LOOKS, Look, look_named
from models.errors import UserError


def test_base_changes_nothing_and_every_other_look_something():
    assert LOOKS["base"] == Look()
    assert all(look != Look() for name, look in LOOKS.items() if name != "base")


def test_an_unknown_look_is_told_with_those_that_there_are():
    with pytest.raises(UserError, match=r"--look nigth: there is no such look; choose one of base, night"):
        look_named("nigth")
