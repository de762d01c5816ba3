import os
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.serve.prediction_log import SCHEMA, LoggedPrediction, PredictionLog, predictions_folder, read_predictions
from tasks.video.clips import Facts

FACTS = Facts(0.0, 2.0, "h264", 96, 72, 12.0, 0, 100.0, 10.0, 5.0, 1.0)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def prediction(number: int = 0, at: datetime = NOON, source_id: str | None = "cam") -> LoggedPrediction:
    embedding = np.arange(4, dtype=np.float32)
    probabilities = {"left": 0.25, "right": 0.75}
    return LoggedPrediction(str(number), at, source_id, "0" * 64, "actions", 3, probabilities, embedding, 1, FACTS)


@pytest.fixture
def outcomes():
    return []


@pytest.fixture
def make(tmp_path, outcomes):
    def make(**options):
        arguments = {"share": 1.0, "max_bytes": 1e9, "max_age_s": 60.0, **options}
        log = PredictionLog(
            tmp_path, "actions", logged=lambda what, number: outcomes.append((what, number)), **arguments
        )
        log.start()
        return log

    return make


def test_what_was_logged_is_read_back_by_time(make, tmp_path, outcomes):
    log = make()
    for number in range(3):
        log.offer(lambda number=number: prediction(number, NOON - timedelta(hours=10 * number)))
    log.close()
    found = read_predictions(tmp_path, "actions")
    assert list(found["id"]) == ["2", "1", "0"]
    assert list(found.columns) == SCHEMA.names
    row = found.iloc[0]
    assert (row["label"], list(row["labels"]), row["version"], row["fps"]) == ("right", ["left", "right"], 3, 12.0)
    np.testing.assert_array_equal(row["embedding"], [0, 1, 2, 3])
    assert list(read_predictions(tmp_path, "actions", since=NOON - timedelta(hours=11))["id"]) == ["1", "0"]
    assert read_predictions(tmp_path, "others").empty
    assert outcomes == [("written", 3)]


def test_a_prediction_is_on_the_disk_soon(make, tmp_path):
    log = make(max_age_s=0.05)
    log.offer(prediction)
    deadline = time.monotonic() + 10
    while read_predictions(tmp_path, "actions").empty:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    log.close()


def test_only_the_sample_is_made_and_logged(make, tmp_path):
    made = []

    def one():
        made.append(1)
        return prediction()

    log = make(share=0.25)
    for _ in range(400):
        log.offer(one)
    log.close()
    assert 60 <= len(made) == len(read_predictions(tmp_path, "actions")) <= 140
    nothing = make(share=0.0)
    nothing.offer(lambda: pytest.fail("not in the sample"))
    nothing.close()


def test_the_oldest_go_when_there_is_too_much(make, tmp_path):
    for day in range(4):
        log = make(max_bytes=1e9)
        log.offer(lambda day=day: prediction(day, NOON + timedelta(days=day)))
        log.close()
    (size,) = {path.stat().st_size for path in predictions_folder(tmp_path, "actions").glob("*/*.parquet")}
    log = make(max_bytes=2.5 * size)
    log.offer(lambda: prediction(4, NOON + timedelta(days=4)))
    log.close()
    assert list(read_predictions(tmp_path, "actions")["id"]) == ["3", "4"]


def test_a_disk_that_is_full_costs_the_log_and_nothing_else(make, tmp_path, outcomes, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    log = make()
    log.offer(prediction)
    log.close()
    assert outcomes == [("lost", 1)]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_cannot_be_written_in_time_is_counted_and_forgotten(make, outcomes, monkeypatch):
    monkeypatch.setattr("tasks.serve.prediction_log._MAX_WAITING", 2)
    log = make()
    for number in range(5):
        log.offer(lambda number=number: prediction(number))
    log.close()
    assert sorted(outcomes) == [("lost", 1)] * 3 + [("written", 2)]


def test_a_part_that_is_being_written_is_not_read(make, tmp_path):
    log = make()
    log.offer(prediction)
    log.close()
    (part,) = predictions_folder(tmp_path, "actions").glob("*/*.parquet")
    (part.parent / f".{part.name}.{os.getpid()}").write_bytes(b"half")
    assert len(read_predictions(tmp_path, "actions")) == 1
