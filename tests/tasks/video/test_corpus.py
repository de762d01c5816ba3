from pathlib import Path

import pytest

from tasks.video.clips import WHOLE, DecodedClip, Job, Recipe, Refused
from tasks.video.decode import decode
from tests.support.corpus import CORPUS, Case

RECIPE = Recipe(short_side=32, max_fps=10.0, jpeg_quality=95, min_duration_s=0.5, max_duration_s=20.0)


@pytest.mark.parametrize("case", CORPUS.values(), ids=CORPUS)
def test_verdict(case: Case, tmp_path: Path) -> None:
    [outcome] = decode(Job(str(case.make(tmp_path)), (WHOLE,), RECIPE, case.limits))
    if case.reasons:
        assert isinstance(outcome, Refused), outcome
        assert outcome.reason in case.reasons, (outcome.reason, str(outcome))
        assert case.says in str(outcome)
    else:
        assert isinstance(outcome, DecodedClip), outcome
        assert len(outcome.frames) == case.num_frames
        assert (outcome.facts.width, outcome.facts.height) == case.size
