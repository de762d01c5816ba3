import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.build import build_model
from models.digest import tensors_digest
from models.errors import DivergedError
from models.pretrain.build import build_pretext
from models.pretrain.loop import pretrain
from models.pretrain.pretext import Pretext
from models.spec import ModelParams, PretrainParams

FAMILIES = {"masked": "vit", "contrastive": "efficientnet_lite0"}


class Noise:
    """Five videos, the last of them in a batch of its own."""

    def __init__(self, num_views: int) -> None:
        self._num_views = num_views
        self.epochs: list[int] = []

    def __len__(self) -> int:
        return 2

    def epoch(self, number: int, *, first: int = 0) -> Iterator[tuple[Tensor, ...]]:
        self.epochs.append(number)
        generator = torch.Generator().manual_seed(number)
        for at, size in enumerate((4, 1)):
            clips = tuple(torch.randn(size, 3, 4, 32, 32, generator=generator) for _ in range(self._num_views))
            if at >= first:
                yield clips


def made(params: PretrainParams) -> Pretext:
    network = build_model(ModelParams(family=FAMILIES[params.objective], flavour="debug"), 2, seed=0)
    torch.manual_seed(0)
    return build_pretext(network.backbone, network.clip_input, params)


@pytest.mark.parametrize("objective", FAMILIES)
def test_killed_after_any_epoch_it_ends_with_the_same_bytes(objective: str, tmp_path: Path) -> None:
    params = PretrainParams(objective=objective, epochs=3, warmup_epochs=1.0, decoder_blocks=1, num_threads=1)
    whole = made(params)
    losses = pretrain(whole, Noise(whole.num_views), params, seed=5)
    assert len(losses) == 3

    class Killed(Exception):  # noqa: N818 - a signal
        pass

    def kill(epoch: int, _: float) -> None:
        if epoch == 2:
            raise Killed

    begun = made(params)
    with pytest.raises(Killed):
        pretrain(begun, Noise(begun.num_views), params, seed=5, checkpoint=tmp_path, on_epoch=kill)
    resumed, views, told = made(params), Noise(whole.num_views), []
    again = pretrain(resumed, views, params, seed=5, checkpoint=tmp_path, on_epoch=lambda epoch, _: told.append(epoch))
    assert again == losses
    assert views.epochs == [2]
    assert told == [1, 2, 3]
    assert tensors_digest(resumed.state_dict()) == tensors_digest(whole.state_dict())


class AskingToStop(Noise):
    """After some batches the process gets SIGTERM, while a step is under way."""

    def __init__(self, num_views: int, after: int) -> None:
        super().__init__(num_views)
        self._left = after

    def epoch(self, number: int, *, first: int = 0) -> Iterator[tuple[Tensor, ...]]:
        for clips in super().epoch(number, first=first):
            self._left -= 1
            if not self._left:
                signal.raise_signal(signal.SIGTERM)
            yield clips


@pytest.mark.parametrize("objective", FAMILIES)
@pytest.mark.parametrize(("after", "progress"), [(1, (0, 1)), (2, (0, 2)), (3, (1, 1))])
def test_asked_to_stop_within_an_epoch_it_ends_with_the_same_bytes(
    objective: str, after: int, progress: tuple[int, int], tmp_path: Path
) -> None:
    params = PretrainParams(objective=objective, epochs=2, warmup_epochs=0.5, decoder_blocks=1, num_threads=1)
    whole = made(params)
    losses = pretrain(whole, Noise(whole.num_views), params, seed=5)
    begun = made(params)
    with pytest.raises(SystemExit) as ended:
        pretrain(begun, AskingToStop(begun.num_views, after), params, seed=5, checkpoint=tmp_path)
    assert ended.value.code == 143
    assert sorted(path.name[:16] for path in tmp_path.iterdir())[-1] == "{:06d}-{:09d}".format(*progress)
    resumed = made(params)
    assert pretrain(resumed, Noise(whole.num_views), params, seed=5, checkpoint=tmp_path) == losses
    assert tensors_digest(resumed.state_dict()) == tensors_digest(whole.state_dict())


def test_a_checkpoint_is_written_within_an_epoch_once_it_is_due(tmp_path: Path) -> None:
    params = PretrainParams(objective="masked", epochs=1, decoder_blocks=1, num_threads=1)
    pretrain(made(params), Noise(1), params, seed=5, checkpoint=tmp_path, checkpoint_s=0.0)
    assert sorted(path.name[:16] for path in tmp_path.iterdir()) == ["000000-000000002", "000001-000000000"]


def test_a_rate_that_is_too_high_is_named() -> None:
    params = PretrainParams(objective="masked", epochs=3, warmup_epochs=0.0, lr=1e30, decoder_blocks=1, num_threads=1)
    with pytest.raises(DivergedError, match=r"params.yaml: pretrain.lr: .*lower rate than 1e\+30"):
        pretrain(made(params), Noise(1), params, seed=0)
