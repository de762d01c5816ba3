import os
import socket
import stat

import pytest

from models.errors import UserError
from tasks.serve.run import _uploads, demand_key, hook_url, serve
from tasks.settings import ServeSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_without_a_key_it_listens_on_loopback(host):
    demand_key(ServeSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "serve.example"])
def test_without_a_key_it_listens_nowhere_else(host):
    with pytest.raises(UserError, match="VIDEOLOOP_SERVE_API_KEY"):
        demand_key(ServeSettings(host=host))
    demand_key(ServeSettings(host=host, api_key="key"))


def test_secrets_are_not_printed():
    config = ServeSettings(api_key="hidden-1", webhook_secret="hidden-2")
    assert "hidden" not in f"{config!r} {config}"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://127.0.0.1:8123/hooks/mlflow"),
        ({"host": "0.0.0.0"}, None),
        ({"host": "0.0.0.0", "url": "https://serve.example/"}, "https://serve.example/hooks/mlflow"),
    ],
)
def test_mlflow_is_told_where_it_reaches_the_service(settings, url):
    assert hook_url(ServeSettings(**settings), 8123) == url


def test_a_port_that_is_taken_is_named(monkeypatch):
    monkeypatch.setattr("tasks.serve.run._IMPATIENT", {})  # which is for a process of its own
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is not to be had"):
            serve("actions", ServeSettings(port=port))


def test_uploads_are_for_this_process_alone_and_leave_nothing_behind(tmp_path):
    (tmp_path / "uploads-999999999").mkdir()
    (tmp_path / "uploads-999999999" / "film").touch()
    mine = tmp_path / f"uploads-{os.getppid()}"  # a process that lives
    mine.mkdir()
    with _uploads(tmp_path) as uploads:
        assert stat.S_IMODE(uploads.stat().st_mode) == 0o700
        (uploads / "film").touch()
    assert list(tmp_path.iterdir()) == [mine]
