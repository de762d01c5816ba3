"""A job on a GPU that is interrupted goes on near where it would have been: sums there differ in their last bits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from models.build import VideoModel
from models.clips.loader import Batch
from models.loop import Epoch, fit
from models.spec import FineTuneParams
from tests.support.clips import NoiseLoader
from tests.support.gpu import DEVICE, NEEDS_GPU, debug_model

pytestmark = [*NEEDS_GPU, pytest.mark.usefixtures("exact")]

JOB = FineTuneParams(
    epochs=3, head_epochs=1, batch_size=4, optimizer="sgd", lr=0.02, ema=0.5, early_stopping_patience=0,
    num_threads=1, clip_norm=1.0,
)  # fmt: skip


class KilledError(Exception):
    pass


class _OnDevice(NoiseLoader):
    """Breaks off before batch ``last``, counted over all epochs."""

    def __init__(self, model: VideoModel, last: int | None = None) -> None:
        super().__init__(model.clip_input)
        self._left = last

    def epoch(self, number: int, **options: object) -> Iterator[Batch]:
        for batch in super().epoch(number, **options):  # type: ignore[arg-type]
            if self._left == 0:
                raise KilledError
            self._left = None if self._left is None else self._left - 1
            yield Batch(*(each.to(DEVICE) for each in (batch.clip_BCTHW, batch.label_B, batch.index_B)))


def trained(precision: str, last: int | None = None, **options: object) -> tuple[VideoModel, list[Epoch]]:
    model = debug_model("efficientnet_lite0")
    params = JOB.model_copy(update={"precision": precision})
    return model, fit(model, _OnDevice(model, last), _OnDevice(model), params, seed=0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-3), ("bf16", 0.03), ("fp16", 0.03)])
def test_interrupted_it_goes_on_near_where_it_would_have_been(precision: str, tolerance: float, tmp_path: Path) -> None:
    model, epochs = trained(precision)
    # Four views of three batches are the head's features; the seventeenth batch is within the second epoch of clips.
    with pytest.raises(KilledError):
        trained(precision, last=16, checkpoint=tmp_path, checkpoint_s=0.0)
    resumed, again = trained(precision, checkpoint=tmp_path, checkpoint_s=0.0)
    assert [epoch.epoch for epoch in again] == [1, 2, 3, 4]
    assert [epoch.val_loss for epoch in again] == pytest.approx([epoch.val_loss for epoch in epochs], abs=tolerance)
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            torch.testing.assert_close(resumed.state_dict()[name], tensor, rtol=10 * tolerance, atol=10 * tolerance)
