"""The service as a process beside a real MLflow server: it answers, follows the alias, and refuses what is broken."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tasks.decisions import decisions
from tasks.kept_secret import kept_secret
from tasks.predict import predict
from tasks.promote import promote, rollback
from tasks.register import register
from tasks.registry import package
from tasks.registry.client import registry
from tasks.registry.names import EXAMPLE_ANSWER
from tasks.serve.prediction_log import read_predictions
from tasks.serve.signature import DELIVERY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from tasks.settings import settings
from tests.support.films import write_film
from tests.support.registries import own_home
from tests.support.rounds import params_of, write_round
from tests.support.servers import mlflow_server, service
from tests.support.videos import write_sound

pytestmark = pytest.mark.integration

KEY = "key of the test"
BAD = 3


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(place):
    with mlflow_server(place / "server") as url:
        yield url


@pytest.fixture(scope="module", autouse=True)
def home(place, server):
    """Two good versions, and one that was registered with another model's answer to the example."""
    with own_home(place / "home", server) as home:
        for version in (1, 2, BAD):
            with pytest.MonkeyPatch.context() as patch:
                if version == BAD:
                    patch.setattr(package, "_write_example", _write_wrong_example)
                root = write_round(place / str(version), seed=version)
                assert register(root, params_of(), commit="c" * 40, dataset_version="d" * 32) == version
        promote("actions", 1, who="test", why="first")
        yield home


def _write_wrong_example(folder: Path, formats, write=package._write_example) -> None:
    write(folder, formats)
    wrong = {"probabilities": {"left": 0.0, "right": 1.0}, "error": None, "by_format": {}}
    (folder / EXAMPLE_ANSWER).write_text(json.dumps(wrong))


@pytest.fixture(autouse=True)
def _home(home, server, _home):  # the home of conftest.py would be another
    with own_home(home, server):
        yield


@pytest.fixture(scope="module")
def url(home, server):
    # Polling is slow here, so that what is fast came by the webhook.
    with service(home, server, VIDEOLOOP_SERVE_API_KEY=KEY, VIDEOLOOP_SERVE_POLL_S="60") as url:
        yield url


@pytest.fixture(scope="module")
def film(place):
    return write_film(place / "film.mp4")


def stored_weights(place: Path) -> Path:
    """The weights of the bad version in the server's store."""
    logged = registry().get_model_version("actions", str(BAD)).source.removeprefix("models:/")
    folder = registry().get_logged_model(logged).artifact_location.removeprefix("mlflow-artifacts:/")
    (weights,) = (place / "server" / "artifacts" / folder).rglob("weights.safetensors")
    return weights


def ask(url: str, film: Path, **headers: str) -> requests.Response:
    headers = {"X-API-Key": KEY, "Content-Type": "video/mp4", **headers}
    return requests.post(f"{url}/v1/predict", data=film.read_bytes(), headers=headers, timeout=60)


def move_alias(server: str, version: int) -> None:
    """As the MLflow UI does it."""
    moved = {"name": "actions", "alias": "champion", "version": str(version)}
    requests.post(f"{server}/api/2.0/mlflow/registered-models/alias", json=moved, timeout=30).raise_for_status()


def wait_until(url: str, seconds: float, **expected: object) -> float:
    """Seconds until /healthz says so."""
    began_s = time.monotonic()
    while True:
        health = requests.get(f"{url}/healthz", timeout=10).json()
        health["refused"] = health["refusal"]["version"] if health["refusal"] else None
        if all(health[key] == value for key, value in expected.items()):
            return time.monotonic() - began_s
        assert time.monotonic() - began_s < seconds, health
        time.sleep(0.02)


def test_predictions_equal_those_of_the_command_line(url, film):
    (expected,) = predict([film], "actions")
    raw = ask(url, film)
    form = requests.post(
        f"{url}/v1/predict",
        files={"video": ("film.mp4", film.read_bytes(), "video/mp4")},
        data={"source_id": "cam-7"},
        headers={"Authorization": f"Bearer {KEY}"},
        timeout=60,
    )
    for response in (raw, form):
        assert response.status_code == 200, response.text
        answer = response.json()
        assert answer["label"] == expected.label
        assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
        assert answer["model"] == {"name": "actions", "version": 1}
        assert answer["windows"] == 1


def test_hostile_and_unfit_uploads_get_typed_refusals(url, film, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("ffconcat version 1.0\nfile film.mp4\n")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(film.read_bytes()[:-2000])
    huge = tmp_path / "huge.mp4"
    huge.write_bytes(bytes(65_000_000))
    empty = tmp_path / "empty.mp4"
    empty.touch()
    for path, status, code, said in (
        (text, 422, "video_refused", "cannot be read as video"),
        (cut, 422, "video_refused", "the video is refused"),
        (write_sound(tmp_path / "sound.mp4"), 422, "video_refused", "only sound"),
        (huge, 413, "upload_too_large", "larger than the 64 MB"),
        (empty, 422, "video_missing", "no video"),
    ):
        response = ask(url, path)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (status, code), path
        assert said in problem["detail"]
    assert ask(url, film, **{"Content-Type": "application/json"}).status_code == 415
    assert ask(url, film, **{"X-API-Key": "guess"}).status_code == 401
    assert ask(url, film).status_code == 200


def test_a_call_of_the_webhook_needs_our_signature(url, server):
    secret = kept_secret(settings(), "serve-webhook")
    body = json.dumps({"entity": "model_version_alias", "action": "created", "data": {"name": "x", "alias": "y"}})
    now = str(int(time.time()))

    def call(signed: str) -> int:
        headers = {DELIVERY_HEADER: "once", TIMESTAMP_HEADER: now, SIGNATURE_HEADER: signed}
        return requests.post(f"{url}/hooks/mlflow", data=body, headers=headers, timeout=10).status_code

    assert call("v1,bm90IG91cnM=") == 401
    assert call(signature(secret, "once", now, body.encode())) == 202
    assert call(signature(secret, "once", now, body.encode())) == 409
    (hook,) = registry().list_webhooks()
    assert hook.url == f"{url}/hooks/mlflow"


def test_the_alias_moves_with_two_hundred_requests_in_flight(url, server, film):
    answers: list[tuple[int, int]] = []
    under_way, swapped = threading.Event(), threading.Event()

    def client() -> None:
        while not swapped.is_set():
            response = ask(url, film)
            answers.append((response.status_code, response.json()["model"]["version"] if response.ok else 0))
            if len(answers) >= 200:
                under_way.set()
            if answers[-1][1] == 2:
                swapped.set()

    with ThreadPoolExecutor(200) as executor:
        clients = [executor.submit(client) for _ in range(200)]
        assert under_way.wait(30)
        move_alias(server, 2)
        if not swapped.wait(30):
            swapped.set()
        for each in clients:
            each.result()
    assert {status for status, _ in answers} == {200}
    assert {version for _, version in answers} == {1, 2}
    print(f"\n{len(answers)} requests, 200 at a time, while the alias moved: none failed")
    assert ask(url, film).json()["model"]["version"] == 2


def test_a_promotion_by_hand_answers_within_seconds_and_is_in_the_decision_log(url, server, film):
    wait_until(url, 30, version=2, up_to_date=True)
    move_alias(server, 1)
    seconds = wait_until(url, 10, version=1, up_to_date=True)
    print(f"\nfrom the alias to the answer: {seconds:.2f} s")
    (expected,) = predict([film], "actions", version=1)
    assert ask(url, film).json()["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
    deadline = time.monotonic() + 10
    while decisions(1, "actions")[0].kind != "observe":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    move = decisions(1, "actions")[0]
    assert (move.evidence["from"], move.evidence["to"]) == (2, 1)


def test_a_champion_that_was_tampered_with_is_refused_in_sight_of_everyone(url, server, film, place):
    weights = stored_weights(place)
    content = weights.read_bytes()
    weights.write_bytes(content[:-4] + b"evil")
    try:
        demand_refusal(url, server, film, "sha256 differs")
    finally:
        weights.write_bytes(content)
    assert rollback("actions", who="ada", why="it is broken").version == 1
    wait_until(url, 10, version=1, up_to_date=True)


def test_a_champion_that_fails_its_self_check_is_refused(url, server, film):
    demand_refusal(url, server, film, "the answer to its example differs by")
    assert rollback("actions", who="ada", why="it is broken").version == 1
    wait_until(url, 10, version=1, up_to_date=True)


def demand_refusal(url: str, server: str, film: Path, reason: str) -> None:
    move_alias(server, BAD)
    wait_until(url, 20, version=1, up_to_date=False)
    health = requests.get(f"{url}/healthz", timeout=10).json()
    assert health["ready"]
    assert health["refusal"]["version"] == BAD
    assert reason in health["refusal"]["reason"]
    assert ask(url, film).json()["model"]["version"] == 1
    assert "videoloop_serve_up_to_date 0.0" in requests.get(f"{url}/metrics", timeout=10).text
    said = [row for row in decisions(None, "actions", "serve") if reason in row.why]
    assert [row.what for row in said] == [f"version {BAD} is not served; version 1 keeps answering"]


def test_a_deleted_champion_leaves_the_old_one_answering(url, server, film):
    move_alias(server, BAD)
    wait_until(url, 20, version=1, up_to_date=False, refused=BAD)
    registry().delete_model_version("actions", str(BAD))
    registry().delete_registered_model_alias("actions", "champion")
    wait_until(url, 10, version=1, up_to_date=False, refused=None)
    assert "alias champion" in requests.get(f"{url}/healthz", timeout=10).json()["refusal"]["reason"]
    assert ask(url, film).status_code == 200
    promote("actions", 2, who="ada", why="")
    wait_until(url, 10, version=2, up_to_date=True)


def test_without_the_registry_the_last_version_answers_and_what_was_asked_is_logged_before_the_end(home, film):
    with ThreadPoolExecutor(8) as executor:
        with service(home, "http://127.0.0.1:9") as alone:
            answer = ask(alone, film, **{"X-Source-Id": "cam-9"}).json()
            health = requests.get(f"{alone}/healthz", timeout=10).json()
            last = [executor.submit(ask, alone, film) for _ in range(8)]
            time.sleep(0.05)  # it is told to stop while these are under way
        assert {each.result().status_code for each in last} == {200}
    assert (health["version"], health["up_to_date"]) == (2, False)
    assert "127.0.0.1:9" in health["registry_error"]
    logged = read_predictions(home, "actions")
    row = logged[logged["id"] == answer["id"]].iloc[0]
    assert (row["source_id"], row["version"], row["label"]) == ("cam-9", 2, answer["label"])
    assert len(row["embedding"]) > len(row["probabilities"]) == 2
    assert row["width"] == 96
    assert set(logged["id"]) >= {each.result().json()["id"] for each in last}
