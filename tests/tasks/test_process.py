import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from models.errors import UserError
from tasks.process import readable, run_child


def _fail(error: Exception) -> None:
    raise error


def test_a_persons_mistake_is_one_sentence_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert readable(lambda: _fail(UserError("clips.csv: no column label; add it"))) == 2
    assert capsys.readouterr().err == "error: clips.csv: no column label; add it\n"


def test_a_full_disk_is_a_sentence_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert readable(lambda: _fail(OSError(28, "No space left on device", "shards/a"))) == 2
    said = capsys.readouterr().err
    assert "disk is full" in said
    assert "shards/a" in said


@pytest.mark.parametrize("error", [PermissionError(13, "", "params.yaml"), IsADirectoryError(21, "", "params.yaml")])
def test_a_file_that_cannot_be_used_is_a_sentence_with_its_name(
    error: OSError, capsys: pytest.CaptureFixture[str]
) -> None:
    assert readable(lambda: _fail(error)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.endswith(" (params.yaml)\n")


def test_a_programming_error_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        readable(lambda: _fail(ZeroDivisionError()))


def test_the_terminal_shows_our_own_words_and_the_warnings_of_libraries() -> None:
    code = (
        "import logging; from tasks.process import speak; speak()\n"
        "for name in ('tasks.ingest', 'library', 'prefect.flow_runs'):\n"
        "    logger = logging.getLogger(name); logger.setLevel(logging.INFO)\n"
        "    logger.info('%s informs', name); logger.warning('%s warns', name)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["tasks.ingest informs", "tasks.ingest warns", "library warns"]


def test_a_child_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    child = f"import os,time,pathlib; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(60)"
    parent = (
        "import os,sys; from pathlib import Path; from tasks.process import run_child; "
        f"run_child([sys.executable, '-c', {child!r}], Path('.'), os.environ)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 30
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    orphan = psutil.Process(int(pid_file.read_text()))
    process.kill()
    process.wait()
    orphan.wait(timeout=10)
    assert not orphan.is_running()


def test_a_stage_that_lost_its_starter_while_it_was_loading_does_not_begin(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    code = f"import pathlib, tasks.process; tasks.process.run_stage(pathlib.Path({str(begun)!r}).touch)"
    between = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {code!r}]).returncode)"
    root = Path(__file__).parents[2]
    assert run_child([sys.executable, "-c", between], root, os.environ) == 0
    begun.unlink()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    lost = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env={**os.environ, "VIDEOLOOP_STARTER": str(gone.pid)}
    )
    assert lost.returncode == -signal.SIGKILL
    assert not begun.exists()


def test_a_child_gets_its_environment_and_returns_its_code(tmp_path: Path) -> None:
    code = "import os,sys; sys.exit(int(os.environ['CODE']))"
    assert run_child([sys.executable, "-c", code], tmp_path, {**os.environ, "CODE": "7"}) == 7
