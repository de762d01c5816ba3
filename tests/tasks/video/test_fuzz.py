from pathlib import Path

import numpy as np

from tasks.video.clips import WHOLE, DecodedClip, Job, Limits, Reason, Recipe, Refused
from tasks.video.pool import decode_all
from tests.support.damage import DAMAGES
from tests.support.videos import pictures, write_video

RECIPE = Recipe(short_side=48, max_fps=240.0, jpeg_quality=80, min_duration_s=0.1, max_duration_s=60.0)
SUFFIXES = ("mp4", "mkv", "avi", "ts")
PER_DAMAGE = 3


def test_damaged_files_have_a_verdict_each_and_end_no_decoder(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    jobs = []
    for suffix in SUFFIXES:
        content = write_video(tmp_path / f"good.{suffix}", pictures(12), gop_size=4).read_bytes()
        for name, damage in DAMAGES.items():
            for number in range(PER_DAMAGE):
                path = tmp_path / f"{name} {number}.{suffix}"
                path.write_bytes(damage(content, rng))
                jobs.append(Job(str(path), (WHOLE,), RECIPE, Limits(timeout_s=20.0)))
    outcomes = [outcome for (outcome,) in decode_all(jobs, num_workers=1)]
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Refused)]
    assert len(outcomes) == len(SUFFIXES) * len(DAMAGES) * PER_DAMAGE
    assert Reason.CRASH not in reasons
    assert {Reason.CUT_OFF, Reason.DAMAGED, Reason.TRAILING} <= set(reasons)
    kept = [len(outcome.frames) + outcome.num_disordered for outcome in outcomes if isinstance(outcome, DecodedClip)]
    assert kept
    assert set(kept) == {12}
