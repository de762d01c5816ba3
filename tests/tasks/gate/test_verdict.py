import json
from dataclasses import asdict

from tasks.gate.show import tags_of
from tasks.gate.verdict import Verdict
from tests.support.verdicts import verdict

BEFORE = {
    "version": 2, "champion": 1, "outcome": "better", "difference": 0.1, "low": 0.01, "high": 0.2, "num_clips": 9,
    "num_sources": 3, "text": "as judged",
}  # fmt: skip


def test_a_verdict_comes_back_from_the_decision_log_as_it_was():
    for each in (verdict(), verdict("blocked", blocks=("slow",), left_out=3), verdict("first", new=None, cost=None)):
        assert Verdict.read(json.loads(json.dumps(asdict(each)))) == each


def test_a_row_from_before_the_gate_is_read():
    read = Verdict.read(BEFORE)
    assert (read.version, read.champion, read.outcome, read.text) == (2, 1, "better", "as judged")
    assert read.all is not None
    assert (read.all.low, read.all.num_sources) == (0.01, 3)
    first = {**BEFORE, "champion": None, "outcome": "first", "difference": None, "low": None, "high": None}
    assert Verdict.read(first).worlds == {}


def test_tags_name_the_outcome_the_worlds_and_what_blocks():
    tags = tags_of(verdict("blocked", old=None, blocks=("class wave is low", "it is slow")))
    assert tags["videoloop.verdict"] == "blocked"
    assert tags["videoloop.verdict.champion"] == "3"
    assert [tags[f"videoloop.verdict.new.{end}"] for end in ("low", "difference", "high")] == ["0.1", "0.2", "0.3"]
    assert tags["videoloop.verdict.blocks"] == "class wave is low; it is slow"
    assert "videoloop.verdict.old.low" not in tags
