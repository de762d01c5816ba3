import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app, main
from models.errors import UserError
from tasks.ingest import IngestSummary
from tasks.predict import Prediction
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


def test_predictions_name_each_file_as_it_is_called(monkeypatch):
    names = ["[red]a.mp4", "b\nc.mp4", "\u202ed.mp4", "caf\udce9.mp4", f"{'deep/' * 40}e.mp4"]
    answers = [Prediction(Path(name), "[bold]walk", 0.9, {}, None) for name in names]
    monkeypatch.setattr("tasks.predict.predict", lambda _files, _name: answers)
    ran = CliRunner().invoke(app, ["predict", "--name", "any", "a.mp4"])
    assert ran.exit_code == 0, ran.exception
    said = "".join(character for character in ran.stdout if character not in "\u2502\n ")
    assert "[red]a.mp4" in said
    assert "[bold]walk" in said
    assert "b\\u000ac.mp4" in said
    assert "\\u202ed.mp4" in said
    assert "caf\\xe9.mp4" in said
    assert "\u2026" not in said


def test_what_an_ingest_refused_is_said_by_reason(monkeypatch):
    refused = [(f"{number}.mp4", "is empty (0 bytes)") for number in range(500)] + [("x.mp4", "[red]lies[/red]")]
    monkeypatch.setattr("tasks.ingest.ingest", lambda *_, **__: IngestSummary(7, 1, 3, 2, refused))
    monkeypatch.setattr("tasks.workspace.add_data_here", lambda: "version")
    monkeypatch.chdir(ROOT)
    ran = CliRunner().invoke(app, ["ingest", "tests"])
    assert ran.exit_code == 0, ran.exception
    assert ran.stdout.splitlines()[:4] == [
        "501 refused; `videoloop profile` names them",
        "  500 x is empty (0 bytes)",
        "  1 x [red]lies[/red]",
        "7 clips (1 new), 3 sources, 2 classes",
    ]


def test_a_source_that_is_not_there_costs_no_start_of_servers(monkeypatch, tmp_path):
    monkeypatch.setattr("infra.servers.connect", lambda _say: _raise(AssertionError("servers were started")))
    monkeypatch.setattr("tasks.repository.demand_ready", lambda _checkout: None)
    ran = CliRunner().invoke(app, ["run", "--source", str(tmp_path / "nothing")])
    assert isinstance(ran.exception, UserError)
    assert str(ran.exception).startswith(f"{tmp_path / 'nothing'}: there is no such file or folder")


@pytest.mark.parametrize("command", [["ingest", "tests"], ["doctor"]])
def test_without_git_there_is_one_sentence(command, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", *command],
        env={**os.environ, "PATH": str(tmp_path), "COLUMNS": "300"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "git is not on PATH; install it" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


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
