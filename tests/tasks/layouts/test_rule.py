import json
from pathlib import Path

import pandas as pd
import pytest

from models.errors import UserError
from tasks.layouts.rule import LabelRule
from tasks.layouts.table import read_table
from tasks.video.sources import read_claims
from tests.support.layouts import cvat_export

SEVERAL = LabelRule(several=True)


def table(root: Path, *cells: str, column: str = "label") -> Path:
    for number in range(len(cells)):
        (root / f"{number}.mp4").touch()
    path = root / "clips.csv"
    path.write_text("\n".join([f"path,{column}", *(f"{number}.mp4,{cell}" for number, cell in enumerate(cells)), ""]))
    return path


def labels(path: Path, rule: LabelRule = SEVERAL) -> list[str | None]:
    return [claim.label for claim in read_table(path, has_labels=True, rule=rule)]


@pytest.mark.parametrize("column", ["label", "labels"])
def test_a_cell_has_all_labels_of_a_clip_in_any_order_or_none(tmp_path: Path, column: str) -> None:
    assert labels(table(tmp_path, "walk | run", "walk", "-", column=column)) == ["run|walk", "walk", "-"]


def test_another_separator_and_lists(tmp_path: Path) -> None:
    assert labels(table(tmp_path, "walk;run"), LabelRule(several=True, separator=";")) == ["run|walk"]
    path = tmp_path / "clips.parquet"
    pd.DataFrame({"path": ["0.mp4", "0.mp4"], "labels": [["walk", "run"], []], "start_s": [0.0, 1.0]}).to_parquet(path)
    assert labels(path) == ["run|walk", "-"]


@pytest.mark.parametrize("column", ["labels"])
def test_one_class_a_clip_is_the_rule_until_the_switch_is_set(tmp_path: Path, column: str) -> None:
    with pytest.raises(UserError, match=r"row 2: it is 'walk' and 'run', and a clip has one .*ingest\.multi_label"):
        labels(table(tmp_path, "walk|run", column=column), LabelRule())
    assert labels(table(tmp_path, "walk|run"), LabelRule()) == ["walk|run"]  # a class of that name, as ever


@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("walk|walk", "row 2: label 'walk' is there twice"),
        ("walk||run", "row 2: one of its labels is empty"),
        ("walk|-", "'-' alone means none"),
        ("", "row 2: label is empty; name its labels, write - for none of them"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, cell: str, complaint: str) -> None:
    with pytest.raises(UserError) as caught:
        labels(table(tmp_path, cell))
    assert complaint in str(caught.value)


def test_tags_and_choices_may_be_several(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "annotations.xml").write_text(cvat_export({"a.mp4": [(0, "walk"), (9, "run")], "b.mp4": [(0, "-")]}))
    assert [claim.label for claim in read_claims(tmp_path, rule=SEVERAL)] == ["run|walk", "-"]
    (tmp_path / "annotations.xml").unlink()
    chosen = [{"type": "choices", "value": {"choices": ["walk", "run"]}}]
    tasks = [
        {"id": number, "data": {"video": f"/{name}.mp4"}, "annotations": annotations}
        for number, (name, annotations) in enumerate({"a": [{"result": chosen}], "b": [{"result": []}]}.items())
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    assert [claim.label for claim in read_claims(tmp_path, rule=SEVERAL)] == ["run|walk", "-"]
    tasks[0]["annotations"].append({"result": []})
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    with pytest.raises(UserError, match=r"task 0: it is '-' and 'run\|walk'; agree on one"):
        read_claims(tmp_path, rule=SEVERAL)
