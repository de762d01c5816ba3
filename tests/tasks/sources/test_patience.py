import time
from threading import Event

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, SSLError

from tasks.sources.patience import Failure, GaveUp, Patience, passes


def answer(status: int, code: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


@pytest.mark.parametrize(
    ("failure", "mends"),
    [
        (answer(500), True),
        (answer(503, "SlowDown"), True),
        (answer(429), True),
        (answer(400, "RequestTimeout"), True),
        (answer(403, "AccessDenied"), False),
        (answer(404, "NoSuchKey"), False),
        (answer(412, "PreconditionFailed"), False),
        (ConnectTimeoutError(endpoint_url="http://s3"), True),
        (SSLError(endpoint_url="https://s3", error="self-signed certificate"), False),
        (NoCredentialsError(), False),
    ],
)
def test_waiting_mends_what_the_network_or_a_busy_server_did(failure: Failure, mends: bool) -> None:
    assert passes(failure) is mends


def test_what_waiting_does_not_mend_is_said_at_once() -> None:
    with pytest.raises(ClientError):
        Patience(60.0, Event()).wait(answer(403))


def test_patience_ends_with_its_deadline_and_says_what_came_instead() -> None:
    patience = Patience(0.05, Event())
    time.sleep(0.06)
    with pytest.raises(GaveUp, match=r"no answer for 0.05 s \(503 SlowDown\)"):
        patience.wait(answer(503, "SlowDown"))


def test_a_wait_ends_when_all_is_to_stop() -> None:
    stopped = Event()
    stopped.set()
    with pytest.raises(GaveUp):
        Patience(600.0, stopped).wait(answer(503))


def test_a_long_wait_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("tasks.sources.patience._FIRST_WAIT_S", 0.0)
    patience = Patience(600.0, Event())
    for _ in range(4):
        patience.wait(answer(503, "SlowDown"))
    assert caplog.messages == []
    for _ in range(4):
        patience.wait(answer(503, "SlowDown"))
    assert caplog.messages == ["S3 does not answer (503 SlowDown); trying for 600 s more"]
