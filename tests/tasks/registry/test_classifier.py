import numpy as np
import pytest

from models.build import build_model
from models.clips.loader import ClipLoader
from models.clips.manifest import read_manifest
from models.errors import UserError
from models.predict import predict
from tasks.ingest import ingest
from tasks.params.data import IngestParams, SplitParams
from tasks.registry.classifier import VideoClassifier
from tasks.registry.preprocessing import Preprocessing
from tasks.video.clips import Recipe
from tests.support.films import write_film
from tests.support.rounds import LABELS, MODEL

RECIPE = Recipe(short_side=48, max_fps=10, jpeg_quality=90, min_duration_s=0.5, max_duration_s=4.0)


@pytest.fixture(scope="module")
def classifier():
    return VideoClassifier.of(build_model(MODEL, 2, seed=0), LABELS, Preprocessing(RECIPE, window_s=2.0))


def test_a_file_and_the_clip_that_was_ingested_from_it_get_the_same_probabilities(classifier, tmp_path):
    for camera in range(3):
        for label in LABELS:
            write_film(
                tmp_path / "films" / label / f"{camera}-{label}.mp4",
                seed=2 * camera + LABELS.index(label),
                duration_s=1.5 + camera / 2,
            )
    params = IngestParams(short_side=48, max_fps=10, max_duration_s=4.0, min_duration_s=0.5)
    ingest(tmp_path / "films", tmp_path / "data", params, SplitParams(), seed=0)
    clips = read_manifest(tmp_path / "data" / "manifest.parquet")
    model = build_model(MODEL, 2, seed=0)
    expected = predict(model, ClipLoader(tmp_path / "data", clips, LABELS, model.clip_input, 1))
    files = [tmp_path / "films" / label / f"{c}-{label}.mp4" for c in range(3) for label in LABELS]
    by_name = {file.name: answer for file, answer in zip(files, classifier.classify(files), strict=True)}
    found = [list(by_name[uri.rsplit("/", 1)[-1]].probabilities.values()) for uri in clips["uri"]]
    assert len(found) == 6
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert len({round(row[0], 6) for row in found}) > 1  # the model does tell films apart


def test_a_long_film_is_answered_by_the_mean_over_its_windows(classifier, tmp_path):
    film = write_film(tmp_path / "long.mp4", duration_s=9.0)
    (answer,) = classifier.classify([film])
    assert answer.error is None
    assert sum(answer.probabilities.values()) == pytest.approx(1.0)


def test_what_cannot_be_read_gets_its_reason_and_the_others_go_on(classifier, tmp_path):
    good = write_film(tmp_path / "good.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("not a film")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(good.read_bytes()[:-2000])
    answers = list(classifier.classify([text, good, cut, tmp_path / "absent.mp4"]))
    assert [answer.error is None for answer in answers] == [False, True, False, False]
    assert "cannot be read" in answers[0].error
    assert "no such file" in answers[3].error
    assert answers[1].probabilities.keys() == set(LABELS)


def test_preprocessing_survives_its_file_and_refuses_another_format(tmp_path):
    path = tmp_path / "preprocessing.json"
    Preprocessing(RECIPE, 1.5).write(path)
    assert Preprocessing.read(path) == Preprocessing(RECIPE, 1.5)
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(UserError, match="format 2"):
        Preprocessing.read(path)
