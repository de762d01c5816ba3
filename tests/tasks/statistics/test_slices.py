import numpy as np
import pandas as pd
import pytest

from tasks.statistics.slices import BRIGHTNESS, HOUR, SIZE, SOURCE, slices, worst

SAMPLING = {"resamples": 200, "confidence": 0.95, "seed": 0}
NUM_SOURCES, CLIPS_EACH = 20, 16


def clips(rng: np.random.Generator) -> pd.DataFrame:
    """Clips of cameras at all hours and in any light."""
    num_clips = NUM_SOURCES * CLIPS_EACH
    return pd.DataFrame({
        "source_id": np.repeat([f"cam {number:02}" for number in range(NUM_SOURCES)], CLIPS_EACH),
        "captured_at": pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.uniform(0, 240, num_clips), "h"),
        "brightness": rng.uniform(20, 200, num_clips), "height": 360, "width": np.resize([640, 200], num_clips),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("by", "name"), [(HOUR, "00 to 06 h"), (SIZE, "below 240 px"), (SOURCE, "cam 07"), (BRIGHTNESS, "dark")]
)
def test_a_planted_bad_slice_is_named_and_no_other_of_its_kind(by: str, name: str):
    rng = np.random.default_rng(1)
    table = clips(rng)
    planted = {
        HOUR: table["captured_at"].dt.hour < 6,
        SIZE: table["width"] == 200,
        SOURCE: table["source_id"] == "cam 07",
        BRIGHTNESS: table["brightness"] < table["brightness"].quantile(1 / 3),
    }[by].to_numpy()
    found = slices(table, rng.random(len(table)) < np.where(planted, 0.3, 0.95), **SAMPLING)
    named = found[found["worse"] & (found["by"] == by)]
    assert named["slice"].tolist() == [found.loc[found["by"] == by, "slice"].iloc[0] if name == "dark" else name]
    assert worst(found)["by"] == by
    assert named["clips"].item() == planted.sum()
    assert named["accuracy"].item() < 0.5 < 0.7 < found["accuracy"].max()


def test_noise_is_hardly_ever_named():
    named = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        found = slices(clips(rng), rng.random(NUM_SOURCES * CLIPS_EACH) < 0.8, **SAMPLING | {"resamples": 100})
        assert len(found) == NUM_SOURCES + 4 + 3 + 2
        named += bool(found["worse"].any())
    assert named <= 4  # of 40 that may be wrong with a chance of 0.05 each


def test_what_does_not_vary_or_is_not_known_gives_no_slices():
    rng = np.random.default_rng(0)
    table = clips(rng).assign(
        brightness=90.0, width=640, source_id="one", captured_at=pd.Series(pd.NaT, dtype="object")
    )
    table["captured_at"] = pd.to_datetime(table["captured_at"], utc=True)
    found = slices(table, rng.random(len(table)) < 0.5, **SAMPLING)
    assert found.empty
    assert worst(found) == {}
    assert list(found.columns) == ["by", "slice", "clips", "sources", "accuracy", "low", "high", "worse"]


def test_small_slices_are_left_out():
    rng = np.random.default_rng(0)
    table = clips(rng)
    table.loc[:4, "source_id"] = "hardly seen"
    found = slices(table, np.zeros(len(table), bool), **SAMPLING)
    assert "hardly seen" not in set(found["slice"])
    assert not found["worse"].any()
