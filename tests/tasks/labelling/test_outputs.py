from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.errors import UserError
from tasks.labelling.outputs import Outputs, read_outputs, write_outputs
from tests.support.questions import outputs_of

CLIPS = pd.DataFrame(
    {"clip_id": ["b", "a", "c"], "source_id": ["x", "y", "x"], "captured_at": pd.to_datetime([None] * 3, utc=True)}
)
LABELS = ["sit, down", "日本語"]


def test_what_was_written_is_read_in_order_of_identity(tmp_path: Path) -> None:
    outputs = outputs_of(CLIPS, LABELS)
    write_outputs(outputs, tmp_path / "outputs.parquet")
    found = read_outputs(tmp_path / "outputs.parquet")
    assert found.clips["clip_id"].tolist() == ["a", "b", "c"]
    assert found.labels == LABELS
    np.testing.assert_array_equal(found.embedding_ND, outputs.embedding_ND[[1, 0, 2]])
    np.testing.assert_array_equal(found.probability_NK, outputs.probability_NK[[1, 0, 2]])


def sets() -> Outputs:
    outputs = outputs_of(CLIPS, LABELS)
    probability_NK = np.array([[0.9, 0.4], [0.1, 0.2], [0.6, 0.7]], np.float32)
    return replace(outputs, probability_NK=probability_NK, thresholds=(0.5, 0.3))


def test_a_class_is_what_is_most_probable(tmp_path: Path) -> None:
    outputs = replace(sets(), thresholds=None)
    assert outputs.said().tolist() == [LABELS[0], LABELS[1], LABELS[1]]
    assert outputs.confidence().tolist() == outputs.probability_NK.max(1).tolist()
    assert outputs.given().tolist() == [[True, False], [False, True], [False, True]]
    assert not outputs.names_several
    write_outputs(outputs, tmp_path / "outputs.parquet")
    assert list(pq.read_schema(tmp_path / "outputs.parquet").metadata) == [b"videoloop.labels"]


def test_a_set_is_what_reaches_its_thresholds(tmp_path: Path) -> None:
    write_outputs(sets(), tmp_path / "outputs.parquet")
    outputs = read_outputs(tmp_path / "outputs.parquet").part(np.array([1, 0, 2]))
    assert (outputs.names_several, outputs.thresholds) == (True, (0.5, 0.3))
    assert outputs.said().tolist() == ["|".join(LABELS), "-", "|".join(LABELS)]
    assert outputs.confidence() == pytest.approx([0.9 * 0.4, 0.9 * 0.8, 0.6 * 0.7])


def test_a_set_is_known_where_all_of_it_is() -> None:
    outputs = sets()
    labelled = replace(outputs, clips=CLIPS.assign(label=[f"{LABELS[0]}|up", "-", LABELS[1]]))
    assert labelled.has_known_label().tolist() == [False, True, True]
    assert replace(labelled, thresholds=None).has_known_label().tolist() == [False, False, True]


def test_no_clips(tmp_path: Path) -> None:
    write_outputs(outputs_of(CLIPS[:0], LABELS), tmp_path / "outputs.parquet")
    assert len(read_outputs(tmp_path / "outputs.parquet").clips) == 0


def test_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "outputs.parquet"
    with pytest.raises(UserError, match="there is no such file"):
        read_outputs(path)
    path.write_text("text")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read_outputs(path)
    CLIPS.to_parquet(path)
    with pytest.raises(UserError, match="column embedding is missing"):
        read_outputs(path)
    outputs = outputs_of(CLIPS, LABELS)
    write_outputs(Outputs(CLIPS.assign(clip_id="a"), outputs.embedding_ND, outputs.probability_NK, LABELS), path)
    with pytest.raises(UserError, match="clip a is there twice"):
        read_outputs(path)
    write_outputs(Outputs(CLIPS, outputs.embedding_ND, outputs.probability_NK, ["one"]), path)
    with pytest.raises(UserError, match="2 probabilities for 1 labels"):
        read_outputs(path)
    write_outputs(replace(outputs, thresholds=(0.5,)), path)
    with pytest.raises(UserError, match="1 thresholds for 2 labels"):
        read_outputs(path)
    write_outputs(outputs, path)
    table = pq.read_table(path)
    short = pa.array([[1.0], [1.0, 2.0], [1.0]], table.schema.field("embedding").type)
    pq.write_table(table.set_column(3, table.schema.field("embedding"), short), path)
    with pytest.raises(UserError, match="rows differ in their number of features"):
        read_outputs(path)
