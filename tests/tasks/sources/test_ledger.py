from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from tasks.sources.ledger import JOURNAL, LEDGER, Entry, Ledger, noted_verdicts
from tasks.video.clips import Reason, Refused

ENTRY = Entry("s3://films/walk/1.mp4", '"abc"', 7, "v1", "5" * 64, {"c1": ("duration", "is too short")})


def test_what_is_noted_is_known_by_its_content_and_stays(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "recipe")
    ledger.note(ENTRY)
    ledger.close()
    again = Ledger(tmp_path, "recipe")
    assert again.get(ENTRY.uri, '"abc"', 7) == ENTRY
    assert again.get(ENTRY.uri, '"abd"', 7) is None
    assert again.get(ENTRY.uri, '"abc"', 8) is None
    assert [path.name for path in tmp_path.iterdir()] == [LEDGER]


def test_a_ledger_that_learnt_nothing_keeps_its_bytes(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "recipe")
    ledger.note(ENTRY)
    ledger.close()
    before = (tmp_path / LEDGER).stat()
    Ledger(tmp_path, "recipe").close()
    assert (tmp_path / LEDGER).stat() == before


def test_a_killed_ingest_leaves_a_journal_of_which_a_torn_line_is_lost(tmp_path: Path) -> None:
    Ledger(tmp_path, "recipe").note(ENTRY)
    with (tmp_path / JOURNAL).open("a") as journal:
        journal.write('{"uri": "s3://films/run/2.mp4", "et')
    ledger = Ledger(tmp_path, "recipe")
    assert ledger.get(ENTRY.uri, ENTRY.etag, ENTRY.size) == ENTRY
    later = replace(ENTRY, uri="s3://films/run/2.mp4")
    ledger.note(later)
    ledger.close()
    assert Ledger(tmp_path, "recipe").get(later.uri, later.etag, later.size) == later


def test_refusals_hold_for_the_parameters_that_they_were_found_under(tmp_path: Path) -> None:
    for written in (tmp_path / "whole", tmp_path / "journal"):
        written.mkdir()
        ledger = Ledger(written, "recipe")
        ledger.note(ENTRY)
        if written.name == "whole":
            ledger.close()
        assert Ledger(written, "other").get(ENTRY.uri, ENTRY.etag, ENTRY.size) == replace(ENTRY, refused={})


def test_a_length_is_known_and_so_is_why_there_is_none(tmp_path: Path) -> None:
    silent = replace(ENTRY, uri="s3://films/walk/2.mp4", refused=noted_verdicts({}, Refused("no", Reason.DURATION)))
    ledger = Ledger(tmp_path, "recipe")
    for entry in (replace(ENTRY, length_s=4.0), silent):
        ledger.note(entry)
    ledger.close()
    found = [Ledger(tmp_path, "recipe").get(uri, ENTRY.etag, ENTRY.size) for uri in (ENTRY.uri, silent.uri)]
    assert [str(entry.length) for entry in found if entry] == ["4.0", "no"]


def test_a_ledger_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "recipe")
    ledger.note(ENTRY)
    ledger.close()
    pq.write_table(pq.read_table(tmp_path / LEDGER).drop_columns("length_s"), tmp_path / LEDGER)
    assert Ledger(tmp_path, "recipe").get(ENTRY.uri, ENTRY.etag, ENTRY.size) == ENTRY
