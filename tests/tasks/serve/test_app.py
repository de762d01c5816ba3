import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.predict import _prediction
from tasks.serve.follower import Standing
from tasks.serve.prediction_log import read_predictions
from tasks.serve.signature import DELIVERY_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from tests.support.films import write_film
from tests.support.serving import SECRET, classifier, running_service
from tests.support.videos import write_sound

KEY = "a key"


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    limits = {"api_key": KEY, "max_upload_mb": 0.2, "max_duration_s": 6.0}
    with running_service(tmp_path_factory.mktemp("service"), **limits) as running:
        yield running


def ask(running, content: bytes, kind: str = "video/mp4", **headers: str):
    return running.post("/v1/predict", data=content, headers={"X-API-Key": KEY, "Content-Type": kind, **headers})


def test_a_raw_body_and_a_form_get_the_answer_of_the_command_line(running, film):
    (answer,) = classifier(seed=1).classify([film])
    expected = _prediction(film, answer)
    raw = ask(running, film.read_bytes())
    form = running.post("/v1/predict", files={"video": film.read_bytes()}, headers={"Authorization": f"Bearer {KEY}"})
    for response in (raw, form):
        assert response.status_code == 200, response.text
        said = response.json()
        assert said["label"] == expected.label
        assert said["probabilities"] == pytest.approx(expected.probabilities, abs=1e-6)
        assert list(said["probabilities"]) == list(expected.probabilities)
        assert said["probability"] == said["probabilities"][said["label"]]
        assert (said["model"], said["windows"]) == ({"name": "actions", "version": 1}, 1)


def test_a_video_that_is_longer_than_a_clip_is_cut_into_windows(running, tmp_path):
    said = ask(running, write_film(tmp_path / "long.mp4", duration_s=5.0).read_bytes()).json()
    assert said["windows"] == 2
    assert sum(said["probabilities"].values()) == pytest.approx(1.0)


@pytest.mark.parametrize("key", ["", "a kex", "ä key"])
def test_without_the_key_there_is_no_answer(running, film, key):
    response = ask(running, film.read_bytes(), **{"X-API-Key": key.encode()})
    assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
    assert response.headers["content-type"] == "application/problem+json"


def test_what_is_no_video_is_refused_by_type(running, film, tmp_path):
    good = film.read_bytes()
    long = write_film(tmp_path / "long.mp4", duration_s=9.0).read_bytes()
    short = write_film(tmp_path / "short.mp4", duration_s=0.25).read_bytes()
    sound = write_sound(tmp_path / "sound.mp4").read_bytes()
    for content, kind, status, code, said in (
        (b"", "video/mp4", 422, "video_missing", "no video"),
        (b"not a film", "video/mp4", 422, "video_refused", "cannot be read as video"),
        (b"#EXTM3U\n/etc/passwd\n", "", 422, "video_refused", "cannot be read as video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "video/mp4", 422, "video_refused", "cannot be read"),
        (good[:-2000], "video/mp4", 422, "video_refused", "the video is refused"),
        (sound, "video/mp4", 422, "video_refused", "only sound"),
        (short, "video/mp4", 422, "video_refused", r"lasts 0\.\d+ s, less than the 0\.5 s"),
        (long, "video/mp4", 413, "video_too_long", r"lasts [\d.]+ s, more than the 6 s that this service takes"),
        (bytes(300_000), "video/mp4", 413, "upload_too_large", "larger than the 0.2 MB"),
        (good, "application/json", 415, "unsupported_media_type", "not as application/json"),
        (good, "multipart/form-data", 400, "malformed_form", "no boundary"),
        (good, "multipart/form-data; boundary=x", 400, "malformed_form", "the form cannot be read"),
    ):
        response = ask(running, content, kind)
        problem = response.json()
        assert (response.status_code, problem["code"]) == (status, code), problem
        assert re.search(said, problem["detail"]), problem
    assert not list(running.service.uploads.iterdir())


def test_a_body_that_grows_beyond_the_limit_is_stopped_though_it_did_not_say_so(running):
    def endless():
        while True:
            yield bytes(50_000)

    response = ask(running, endless())
    assert (response.status_code, response.json()["code"]) == (413, "upload_too_large")
    assert not list(running.service.uploads.iterdir())


def test_forms_with_two_files_or_with_endless_fields_are_refused(running, film):
    def post(**form):
        return running.post("/v1/predict", headers={"X-API-Key": KEY}, **form)

    two = [("video", ("a.mp4", film.read_bytes())), ("video", ("b.mp4", film.read_bytes()))]
    assert post(files=two).json()["code"] == "several_videos"
    none = post(data={"source_id": "cam"}, files={"video": ("a.mp4", b"")})
    assert none.json()["code"] == "video_missing"
    assert post(data={"more": "x" * 400_000}, files={"video": ("a.mp4", b"")}).json()["code"] == "upload_too_large"
    many = {f"field{number}": "x" for number in range(40)}
    assert post(data=many, files={"video": ("a.mp4", b"x")}).json()["code"] == "malformed_form"
    for source in ("x" * 201, "line\nbreak", "turned \u202e round"):
        response = post(data={"source_id": source}, files={"video": ("a.mp4", film.read_bytes())})
        assert (response.status_code, response.json()["code"]) == (422, "bad_source_id")


def test_more_requests_than_can_wait_are_asked_to_come_back(tmp_path, film):
    with running_service(tmp_path, max_pending=1, log_share=0.0) as running, ThreadPoolExecutor(8) as executor:
        responses = list(executor.map(lambda _: ask(running, film.read_bytes()), range(8)))
    assert {response.status_code for response in responses} == {200, 429}
    refused = [response for response in responses if response.status_code == 429]
    assert {(response.json()["code"], response.headers["Retry-After"]) for response in refused} == {("busy", "1")}


def test_health_and_metrics_say_who_answers(running, film):
    ask(running, film.read_bytes())
    health = running.get("/healthz")
    assert health.status_code == 200
    assert (health.json()["name"], health.json()["version"], health.json()["refusal"]) == ("actions", 1, None)
    assert health.json()["format"] == "torch"
    page = running.get("/metrics").text
    assert re.search(r'videoloop_serve_requests_total\{status="200"\} [1-9]', page)
    assert "videoloop_serve_pending 0.0" in page
    assert "videoloop_serve_latency_seconds_bucket" in page


def test_without_a_model_it_says_so_and_is_not_ready(tmp_path, film):
    with running_service(tmp_path, live=False) as running:
        running.follower.standing = Standing(registry_error="MLflow does not answer")
        health = running.get("/healthz")
        assert (health.status_code, health.json()["ready"]) == (503, False)
        response = ask(running, film.read_bytes())
    assert (response.status_code, response.json()["code"]) == (503, "no_model")
    assert "MLflow does not answer" in response.json()["detail"]


def call(running, event: object, delivery_id: str, secret: str = SECRET, **data: str):
    body = json.dumps(event).encode()
    now = str(int(time.time()))
    headers = {
        DELIVERY_HEADER: delivery_id,
        TIMESTAMP_HEADER: now,
        SIGNATURE_HEADER: signature(secret, delivery_id, now, body),
    }
    return running.post("/hooks/mlflow", data=body, headers=headers)


def moved(name: str = "actions", alias: str = "champion"):
    data = {"name": name, "alias": alias, "version": "2"}
    return {"entity": "model_version_alias", "action": "created", "data": data}


def test_the_webhook_wakes_the_follower_once_for_its_champion_alone(running):
    def woken(*call_of) -> tuple[int, int]:
        before = running.follower.num_woken
        return call(running, *call_of).status_code, running.follower.num_woken - before

    assert woken(moved(), "1") == (202, 1)
    assert woken(moved(), "1") == (409, 0)
    assert woken(moved(), "2", "guessed") == (401, 0)
    assert woken(moved(name="others"), "3") == (202, 0)
    assert woken(moved(alias="challenger"), "4") == (202, 0)
    for number, event in enumerate(([], "text", {"entity": "model_version_alias"}, None)):
        assert woken(event, f"odd {number}") == (400, 0)
    assert woken({"padding": "x" * 70_000}, "5") == (413, 0)


def test_answers_are_logged_with_what_the_watch_needs(tmp_path, film):
    with running_service(tmp_path) as running:
        said = ask(running, film.read_bytes(), **{"X-Source-Id": "kamera-ä".encode()}).json()
        refused = ask(running, b"nothing")
    logged = read_predictions(tmp_path, "actions")
    assert (len(logged), refused.status_code) == (1, 422)
    row = logged.iloc[0]
    assert (row["id"], row["source_id"], row["label"]) == (said["id"], "kamera-ä", said["label"])
    assert dict(zip(row["labels"], row["probabilities"], strict=True)) == pytest.approx(said["probabilities"])
    assert (row["width"], row["height"], row["codec"]) == (96, 72, "h264")
