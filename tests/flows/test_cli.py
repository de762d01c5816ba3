import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app, main
from models.errors import UserError
from tasks.promote import Promotion

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("command", "variable"),
    [("status", "VIDEOLOOP_SLOTS"), ("doctor", "VIDEOLOOP_MLFLOW_PORT"), ("serve", "VIDEOLOOP_SERVE_POLL_S")],
)
def test_a_setting_that_cannot_be_is_one_sentence(command, variable):
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", command],
        env={**os.environ, variable: "many", "COLUMNS": "300"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"{variable}: it is 'many' and should be a valid" in " ".join(said.split())
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (lambda: None, 0),
        (lambda: sys.exit(), 0),
        (lambda: sys.exit(3), 3),
        (lambda: sys.exit("no"), 1),
        (lambda: _raise(UserError("a mistake")), 2),
        (lambda: _raise(KeyboardInterrupt()), 130),
        (lambda: _raise(ZeroDivisionError("a fault")), 1),
    ],
)
def test_however_a_command_ends_its_exit_code_says_so(monkeypatch, ends, code):
    monkeypatch.setattr("flows.cli.app", ends)
    monkeypatch.setattr("flows.cli.speak", lambda: None)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == code


def test_a_command_that_is_interrupted_says_how_it_goes_on(monkeypatch, capsys):
    monkeypatch.setattr("tasks.params_file.load_params", lambda: _raise(KeyboardInterrupt()))
    monkeypatch.setattr("flows.cli.speak", lambda: None)
    monkeypatch.setattr("sys.argv", ["videoloop", "ingest", "clips"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 130
    assert "run the same command to go on" in capsys.readouterr().err


def _raise(error):
    raise error


def test_a_source_that_is_not_there_costs_no_start_of_servers(monkeypatch, tmp_path):
    monkeypatch.setattr("infra.servers.connect", lambda _say: _raise(AssertionError("servers were started")))
    monkeypatch.setattr("tasks.repository.demand_ready", lambda _checkout: None)
    ran = CliRunner().invoke(app, ["run", "--source", str(tmp_path / "nothing")])
    assert isinstance(ran.exception, UserError)
    assert str(ran.exception).startswith(f"{tmp_path / 'nothing'}: there is no such file or folder")


@pytest.mark.parametrize(
    ("environment", "who"),
    [
        ({"GIT_AUTHOR_NAME": "Ada"}, "Ada"),
        ({"GIT_AUTHOR_NAME": " "}, "Grace"),
        ({}, "Grace"),
    ],
)
def test_who_promotes_is_whom_git_would_name(monkeypatch, tmp_path, environment, who):
    monkeypatch.delenv("GIT_AUTHOR_NAME", raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    (tmp_path / "config").write_text("[user]\n\tname = Grace\n")
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told = {}

    def promote(name, version, **options):
        told.update(options)
        return Promotion(name, 1, None)

    monkeypatch.setattr("tasks.promote.promote", promote)
    done = CliRunner().invoke(app, ["promote", "actions"])
    assert done.exit_code == 0, done.output
    assert told["who"] == who
