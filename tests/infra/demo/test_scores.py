import numpy as np
import pandas as pd

from infra.demo.calendar import Calendar
from infra.demo.scores import score
from tasks.labelling.outputs import Outputs

CALENDAR = Calendar(quiet_days=0, cameras=2, clips_per_day=2)


def test_clips_are_counted_by_the_look_of_their_camera_whatever_their_order():
    shots = list(CALENDAR.shots(1))
    labels = sorted({shot.label for shot in shots} | {"walk", "run"})
    answers = [shot.label for shot in shots]
    answers[0] = next(label for label in labels if label != answers[0])  # of cam-01, which has the new look
    order = [3, 0, 2, 1]
    outputs = Outputs(
        pd.DataFrame({
            "source_id": [shots[at].source_id for at in order],
            "at": pd.to_datetime([shots[at].captured_at for at in order], utc=True),
        }),
        np.zeros((4, 1), np.float32),
        np.eye(len(labels), dtype=np.float32)[[labels.index(answers[at]) for at in order]],
        labels,
    )  # fmt: skip
    found = score(outputs, shots)
    assert (found.right, found.clips, found.right_new, found.clips_new) == (2, 2, 1, 2)
    assert (found.accuracy, found.accuracy_old, found.accuracy_new) == (0.75, 1.0, 0.5)
