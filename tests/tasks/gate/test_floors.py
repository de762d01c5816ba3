import json

import pytest

from models.errors import UserError
from models.saved import CARD
from tasks import layout
from tasks.gate.floors import demand_known_floors, idle_floors
from tasks.params.quality import JudgeParams
from tasks.params.watch import WatchParams
from tests.support.dataset import write_dataset
from tests.support.rounds import MODEL
from tests.support.verdicts import part

WATCH = WatchParams(groups={"cam[34]": "yard", "roof-*": "roof"})


@pytest.fixture
def workspace(tmp_path):
    """A dataset of left and right, a class that only people named, a champion that knows wave; no model yet."""
    write_dataset(tmp_path / layout.DATA)
    (tmp_path / layout.PERSON_LABELS).write_text("clip_id,label\nc1,bow\n")
    (tmp_path / layout.CHAMPION).mkdir()
    card = {"format": 1, "model": MODEL.model_dump(mode="json"), "labels": ["wave"], "weights_sha256": ""}
    (tmp_path / layout.CHAMPION / CARD).write_text(json.dumps(card))
    return tmp_path


def test_what_the_dataset_people_and_the_champion_name_exists_and_so_does_a_group_without_sources(workspace):
    floors = JudgeParams(
        class_floors={"left": 0.1, "bow": 0.1, "wave": 0.1}, group_floors={"yard": 0.1, "roof": 0.1, "cam0": 0.1}
    )
    demand_known_floors(workspace, floors, WATCH)


@pytest.mark.parametrize(
    ("floors", "says"),
    [
        ({"class_floors": {"lft": 0.1}}, r"params.yaml: judge.class_floors: 'lft' is no label.*; did you mean left\?"),
        ({"class_floors": {"zzz": 0.1}}, r"'zzz' is no label .*\(known: bow, left, right, wave\)"),
        ({"group_floors": {"yrad": 0.1}}, r"judge.group_floors: 'yrad' is no group or source .*did you mean yard\?"),
        ({"group_floors": {"cam3": 0.1}}, "'cam3' is no group or source"),
    ],
)
def test_what_does_not_exist_is_a_sentence(workspace, floors, says):
    with pytest.raises(UserError, match=says):
        demand_known_floors(workspace, JudgeParams(**floors), WATCH)


def test_a_floor_without_a_test_clip_is_named():
    floors = JudgeParams(class_floors={"wave": 0.1, "bow": 0.1}, group_floors={"roof": 0.1, "wave": 0.1})
    assert idle_floors([part("class", "wave", 0.1)], floors) == ["group roof", "group wave", "class bow"]
