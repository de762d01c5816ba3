from pathlib import Path

import pytest
import yaml

from models.errors import UserError
from tasks.params_file import load_params

ROOT = Path(__file__).parents[2]


def _written(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            content[section][name] = value
        else:
            content[section] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_the_shipped_file_is_valid_and_names_no_unknown_search_field() -> None:
    params = load_params(ROOT / "params.yaml")
    assert set(params.fine_tune.from_search) <= set(params.search.space)


def test_training_on_is_what_was_measured_where_the_file_says_nothing_of_it(tmp_path: Path) -> None:
    content = yaml.safe_load((ROOT / "params.yaml").read_text())
    del content["continual"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load_params(path).continual == load_params(ROOT / "params.yaml").continual


def test_an_unknown_key_names_itself_and_its_nearest_neighbour(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"params.yaml: fine_tune.epoch: unknown key; did you mean epochs\?"):
        load_params(_written(tmp_path, fine_tune__epoch=3))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "base: {name: a}\nbase: {name: b}\n",
            r"params\.yaml: base is there twice, in lines 1 and 2; remove one of them",
        ),
        (
            "base:\n  seed: 1\n  name: a\n  seed: 2\n",
            r"params\.yaml: seed is there twice, in lines 2 and 4; remove one",
        ),
        (
            "base: {seed: 1, name: a, seed: 2}\n",
            r"params\.yaml: seed is there twice, in lines 1 and 1; remove one",
        ),
    ],
)
def test_a_key_that_is_there_twice_names_both_lines(tmp_path: Path, content: str, says: str) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(UserError, match=says):
        load_params(tmp_path / "params.yaml")


def test_an_unknown_section_names_those_that_exist_or_are_near(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"serch: unknown key; did you mean search\?"):
        load_params(_written(tmp_path, serch={}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fine_tune__epochs": "many"}, "fine_tune.epochs: .*integer.*'many'"),
        ({"fine_tune__lr": -1}, "fine_tune.lr: .*greater than 0.*-1"),
        ({"fine_tune__optimizer": "adam"}, "fine_tune.optimizer: .*'adamw' or 'sgd'.*'adam'"),
        ({"split__test": 0.9}, "split: .*nothing would be left to train on$"),
        ({"ingest__min_duration_s": 50}, r"ingest: min_duration_s \(50\) must be less than max_duration_s \(30\)$"),
        ({"judge__class_floors": {"wave": 1.5}}, "judge.class_floors.wave: .*less than or equal to 1.*1.5"),
        ({"judge__promote": "robots"}, "judge.promote: .*'people' or 'auto'.*'robots'"),
        (
            {"fine_tune__method": "head", "fine_tune__stochastic_depth": 0.1},
            "fine_tune: stochastic_depth has no effect",
        ),
        ({"base__name": "../evil"}, "base.name: .*'../evil'"),
    ],
)
def test_a_value_out_of_range_names_file_field_and_value(tmp_path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=f"params.yaml: {says}"):
        load_params(_written(tmp_path, **change))


def test_a_missing_section_is_named(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("base: {name: x}\n")
    with pytest.raises(UserError, match=r"params.yaml: model: this key is missing"):
        load_params(path)


@pytest.mark.parametrize("content", ["", "- a\n", "base: [\n", "\x00"])
def test_what_is_no_mapping_is_said(tmp_path: Path, content: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"params.yaml"):
        load_params(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        load_params(tmp_path / "params.yaml")
