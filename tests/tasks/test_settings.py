import json
import os

import psutil
import pytest

from models.errors import UserError
from tasks.settings import ServeSettings, Settings


@pytest.mark.parametrize(
    ("made", "variable", "value", "wanted"),
    [
        (ServeSettings, "VIDEOLOOP_SERVE_PORT", "eighty", "should be a valid integer"),
        (ServeSettings, "VIDEOLOOP_SERVE_LOG_SHARE", "2", "should be less than or equal to 1"),
        (ServeSettings, "VIDEOLOOP_SERVE_MAX_UPLOAD_MB", "64MB", "should be a valid number"),
        (Settings, "VIDEOLOOP_SLOTS", "0", "should be greater than or equal to 1"),
        (Settings, "VIDEOLOOP_MLFLOW_PORT", "70000", "should be less than or equal to 65535"),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(monkeypatch, made, variable, value, wanted):
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError) as caught:
        made()
    assert str(caught.value) == (
        f"{variable}: it is {value!r} and {wanted}; correct the variable, or unset it for its default"
    )


def test_all_of_them_are_named(monkeypatch):
    monkeypatch.setenv("VIDEOLOOP_SERVE_PORT", "x")
    monkeypatch.setenv("VIDEOLOOP_SERVE_POLL_S", "-1")
    with pytest.raises(UserError, match=r"VIDEOLOOP_SERVE_PORT: .*; VIDEOLOOP_SERVE_POLL_S: it is '-1'"):
        ServeSettings()


def test_what_is_right_is_read(monkeypatch):
    monkeypatch.setenv("VIDEOLOOP_SERVE_PORT", "8080")
    assert ServeSettings().port == 8080


@pytest.mark.parametrize("since_s", [0.0, -3600.0], ids=["it", "another one"])
def test_a_server_is_asked_only_while_the_process_that_was_started_lives(tmp_path, monkeypatch, since_s):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    started = psutil.Process().create_time() + since_s  # numbers come again after the machine was off
    entry = {"pid": os.getpid(), "started": started, "url": "http://127.0.0.1:5000"}
    (tmp_path / "servers.json").write_text(json.dumps({"mlflow": entry}))
    here = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert Settings(home=tmp_path).mlflow_uri == (here if since_s else "http://127.0.0.1:5000")
