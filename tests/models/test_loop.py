"""How training goes on from anywhere: after a kill, too little memory, a loss that is no number."""

import math
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.build import VideoModel, build_model
from models.checkpoint import Checkpoints
from models.clips.loader import Batch
from models.digest import tensors_digest
from models.errors import DivergedError, UserError
from models.loop import fit
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.target import Target
from models.optimise import make_optimizer, schedule_factor
from models.parts import WHOLE
from models.spec import FineTuneParams, HeadParams, ModelParams
from models.step import Step
from tests.support.clips import NoiseLoader

MODEL = ModelParams(family="efficientnet_lite0", flavour="debug", head=HeadParams(name="linear", dropout=0.3))
JOB = FineTuneParams(
    method="full", epochs=2, head_epochs=1, batch_size=4, lr=0.01, early_stopping_patience=0, num_threads=1
)
ALL_OF_IT = {"accumulate": 2, "clip_norm": 1.0, "ema": 0.9, "schedule": "one_cycle"}


class KilledError(Exception):
    pass


def changed(**fields: Any) -> FineTuneParams:
    return FineTuneParams.model_validate(JOB.model_dump() | fields)


def model(seed: int = 0, params: ModelParams = MODEL) -> VideoModel:
    return build_model(params, 3, seed=seed)


class Loader(NoiseLoader):
    """Calls ``before`` with the number of each batch that is asked for."""

    def __init__(self, clip_input: Any, before: Callable[[int], None] = lambda _: None) -> None:
        super().__init__(clip_input)
        self._before = before
        self._asked = 0

    def epoch(self, number: int, **options: Any) -> Iterator[Batch]:
        for batch in super().epoch(number, **options):
            self._before(self._asked)
            self._asked += 1
            yield batch


def trained(
    params: FineTuneParams = JOB, before: Callable[[int], None] = lambda _: None, **options: Any
) -> tuple[VideoModel, list[Any]]:
    network = model()
    plain = NoiseLoader(network.clip_input)
    epochs = fit(network, Loader(network.clip_input, before), plain, params, seed=0, **options)
    return network, epochs


def digest(network: nn.Module) -> str:
    return tensors_digest(network.state_dict())


@pytest.mark.parametrize("fields", [{}, ALL_OF_IT], ids=["as it is", "all of it"])
def test_killed_within_an_epoch_it_ends_with_the_same_bytes(fields: dict[str, Any], tmp_path: Path) -> None:
    params = changed(**fields)
    alive, epochs = trained(params)

    def kill(at: int) -> Callable[[int], None]:
        def before(batch: int) -> None:
            if batch == at:
                raise KilledError

        return before

    # Four views of three batches are the head's features; 13 and later are steps of the full phase.
    for at in (5, 14, 2):
        with pytest.raises(KilledError):
            trained(params, kill(at), checkpoint=tmp_path, checkpoint_s=0.0)
    resumed, again = trained(params, checkpoint=tmp_path, checkpoint_s=0.0)
    assert digest(resumed) == digest(alive)
    assert [replace(epoch, seconds=0) for epoch in again] == [replace(epoch, seconds=0) for epoch in epochs]


@pytest.mark.parametrize("again", [False, True], ids=["after an epoch", "a second time, within an epoch"])
def test_asked_to_stop_while_a_checkpoint_is_written_it_is_written(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[int, int]] = []
    save = Checkpoints.save

    def ask(batch: int = 1) -> None:
        handler = signal.getsignal(signal.SIGTERM)
        assert callable(handler)
        if batch == 1:
            handler(signal.SIGTERM, None)

    def slowly(checkpoints: Checkpoints, progress: tuple[int, int], state: dict[str, Any]) -> None:
        ask()
        save(checkpoints, progress, state)
        saved.append(progress)

    monkeypatch.setattr(Checkpoints, "save", slowly)
    params = changed(head_epochs=0)
    with pytest.raises(SystemExit) as ended:
        trained(params, ask if again else lambda _: None, checkpoint=tmp_path, checkpoint_s=math.inf)
    assert ended.value.code == 143
    assert saved == [(0, 2) if again else (1, 0)]


class _Poisoned(nn.Module):
    """A head whose output is no number on the calls that are asked for."""

    def __init__(self, head: nn.Module, poisoned: Callable[[int], bool]) -> None:
        super().__init__()
        self.inner = head
        self._poisoned = poisoned
        self.calls = 0

    def forward(self, features_BTD: Tensor) -> Tensor:
        logits_BK: Tensor = self.inner(features_BTD)
        if not self.training:
            return logits_BK
        self.calls += 1
        return logits_BK * math.nan if self._poisoned(self.calls) else logits_BK


def poisoned(when: Callable[[int], bool], params: FineTuneParams, **options: Any) -> tuple[VideoModel, list[Any]]:
    network = model()
    network.head = _Poisoned(network.head, when)
    loaders = NoiseLoader(network.clip_input), NoiseLoader(network.clip_input)
    return network, fit(network, *loaders, params, seed=0, **options)


def test_a_loss_that_is_no_number_begins_the_epoch_again_at_half_the_rate(caplog: pytest.LogCaptureFixture) -> None:
    params = changed(head_epochs=0, epochs=3, schedule="step", warmup_epochs=0.0)
    network, epochs = poisoned(lambda call: call == 5, params)
    assert all(torch.isfinite(tensor).all() for tensor in network.state_dict().values())
    assert [epoch.lr for epoch in epochs] == pytest.approx([0.01, 0.005, 0.00005])
    assert "beginning epoch 2 again" in caplog.text


def test_the_fourth_time_a_person_is_asked() -> None:
    with pytest.raises(DivergedError, match=r"epoch 2.*lower rate than 0\.01"):
        poisoned(lambda call: call > 3, changed(head_epochs=0))


def test_micro_batches_add_up_to_the_batch() -> None:
    def after_one_step(accumulate: int) -> nn.Module:
        network = model(params=MODEL.model_copy(update={"head": HeadParams(name="linear", dropout=0.0)})).eval()
        params = changed(accumulate=accumulate, optimizer="sgd")
        step = Step(network, make_optimizer(network, params), CrossEntropy(0.1).on(WHOLE), params)
        clip_BCTHW = torch.randn(7, 3, 4, 32, 32, generator=torch.Generator().manual_seed(0))
        outcome = step(clip_BCTHW, Target(torch.arange(7) % 3))
        assert outcome.logits_BK.shape == (7, 3)
        return network

    whole, parts = after_one_step(1).state_dict(), after_one_step(3).state_dict()
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-4, atol=1e-6)


class _Small(nn.Module):
    """A device with memory for so many clips."""

    def __init__(self, network: nn.Module, most: int, error: RuntimeError) -> None:
        super().__init__()
        self.network = network
        self.most = most
        self._error = error
        self.sizes: list[int] = []

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        self.sizes.append(len(clip_BCTHW))
        if len(clip_BCTHW) > self.most:
            raise self._error
        logits_BK: Tensor = self.network(clip_BCTHW)
        return logits_BK


_NO_MEMORY = torch.OutOfMemoryError()
_NO_ENGINE = RuntimeError("GET was unable to find an engine to execute this computation")


def step_on_a_small_device(most: int, error: RuntimeError = _NO_MEMORY) -> tuple[_Small, Step]:
    small = _Small(model().eval(), most, error)
    return small, Step(small, make_optimizer(small, JOB), CrossEntropy(0.1).on(WHOLE), JOB)


@pytest.mark.parametrize("error", [_NO_MEMORY, _NO_ENGINE], ids=["allocator", "library"])
def test_too_little_memory_halves_the_micro_batch_and_keeps_the_batch(
    error: RuntimeError, caplog: pytest.LogCaptureFixture
) -> None:
    small, step = step_on_a_small_device(2, error)
    batch = torch.randn(8, 3, 4, 32, 32), Target(torch.arange(8) % 3)
    assert len(step(*batch).logits_BK) == 8
    assert small.sizes == [8, 4, 2, 2, 2, 2]
    assert "micro-batches of 2 clips" in caplog.text
    step(*batch)
    assert small.sizes[6:] == [2, 2, 2, 2]
    assert step.state_dict()["num_micro"] == 4


def test_a_single_clip_that_does_not_fit_is_a_persons_mistake() -> None:
    _, step = step_on_a_small_device(most=0)
    with pytest.raises(UserError, match=r"model\.flavour: .* a single clip"):
        step(torch.randn(3, 3, 4, 32, 32), Target(torch.zeros(3, dtype=torch.long)))


def test_what_a_library_says_of_a_single_clip_is_no_persons_mistake() -> None:
    _, step = step_on_a_small_device(0, _NO_ENGINE)
    with pytest.raises(RuntimeError, match="unable to find an engine"):
        step(torch.randn(3, 3, 4, 32, 32), Target(torch.zeros(3, dtype=torch.long)))


def test_gradients_are_no_longer_than_asked() -> None:
    network, params = model(), changed(clip_norm=0.01)
    step = Step(network, make_optimizer(network, params), CrossEntropy(0.1).on(WHOLE), params)
    step(torch.randn(4, 3, 4, 32, 32), Target(torch.arange(4) % 3))
    length = torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None]).norm()
    assert float(length) == pytest.approx(0.01, rel=1e-3)


def test_one_cycle_rises_and_falls() -> None:
    factors = [schedule_factor(step, 100, 10, "one_cycle") for step in range(100)]
    assert factors[0] == pytest.approx(0.04)
    assert factors[30] == 1.0
    assert factors[99] < 0.001
    assert factors[:31] == sorted(factors[:31])
    assert factors[30:] == sorted(factors[30:], reverse=True)


def test_averaged_weights_are_those_that_are_judged_and_kept() -> None:
    plain, _ = trained(changed(epochs=1, head_epochs=0))
    seen = []

    def note(epoch: Any) -> None:
        seen.append(epoch)

    averaged, _ = trained(changed(epochs=1, head_epochs=0, ema=0.5), on_epoch=note)
    start = model().state_dict()
    name = "head.classifier.weight" if "head.classifier.weight" in start else list(start)[-2]
    moved = (averaged.state_dict()[name] - start[name]).norm()
    assert 0 < moved < (plain.state_dict()[name] - start[name]).norm()


def test_smaller_clips_come_first() -> None:
    shapes: list[tuple[int, ...]] = []

    class Watching(NoiseLoader):
        def epoch(self, number: int, **options: Any) -> Iterator[Batch]:
            for batch in super().epoch(number, **options):
                shapes.append(tuple(batch.clip_BCTHW.shape[2:]))
                yield batch

    network = model()
    params = changed(
        head_epochs=0, epochs=4, progressive=[{"until": 0.5, "size": 16, "frames": 2}, {"until": 0.75, "size": 24}]
    )
    fit(network, Watching(network.clip_input), NoiseLoader(network.clip_input), params, seed=0)
    assert shapes == [(2, 16, 16)] * 6 + [(4, 24, 24)] * 3 + [(4, 32, 32)] * 3


MULTIGRID = {
    "head_epochs": 0, "epochs": 4, "multigrid": True, "schedule": "step", "warmup_epochs": 0.0,
    "progressive": [{"until": 0.5, "size": 16, "frames": 2}, {"until": 0.75, "size": 24}],
}  # fmt: skip


def test_multigrid_takes_more_clips_a_step_where_they_are_smaller_at_a_higher_rate() -> None:
    sizes: list[int] = []
    network = model()

    class Watching(NoiseLoader):
        def epoch(self, number: int, **options: Any) -> Iterator[Batch]:
            for batch in super().epoch(number, **options):
                sizes.append(len(batch.clip_BCTHW))
                yield batch

    train = Watching(network.clip_input, num_clips=40)
    epochs = fit(network, train, NoiseLoader(network.clip_input), changed(**MULTIGRID), seed=0)
    # An eighth of the pixels, which is 32 clips for 4; 9/16 of them, for which none is added.
    assert sizes == [32, 8] * 2 + [4] * 20
    assert [epoch.lr for epoch in epochs] == pytest.approx([0.08, 0.08, 0.001, 0.0001])


def test_multigrid_killed_within_an_epoch_ends_with_the_same_bytes(tmp_path: Path) -> None:
    params = changed(**MULTIGRID, batch_size=2)
    alive, _ = trained(params)

    def kill(batch: int) -> None:
        if batch == 3:
            raise KilledError

    with pytest.raises(KilledError):
        trained(params, kill, checkpoint=tmp_path, checkpoint_s=0.0)
    assert digest(trained(params, checkpoint=tmp_path, checkpoint_s=0.0)[0]) == digest(alive)


def test_multigrid_without_sizes_is_a_persons_mistake() -> None:
    with pytest.raises(ValueError, match="multigrid has no effect where all clips are of one size"):
        changed(multigrid=True)


def test_a_size_that_the_model_does_not_take_is_a_persons_mistake() -> None:
    network = model(params=ModelParams(family="c3d", flavour="debug", head=HeadParams(name="linear")))
    loaders = NoiseLoader(network.clip_input), NoiseLoader(network.clip_input)
    with pytest.raises(UserError, match=r"fine_tune\.progressive\.0: .*16 frames of 64 pixels"):
        fit(network, *loaders, changed(head_epochs=0, progressive=[{"until": 0.5, "size": 64}]), seed=0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_on_a_cpu_too(precision: str) -> None:
    _, epochs = trained(changed(precision=precision, epochs=3, head_epochs=0))
    assert epochs[-1].val_loss < epochs[0].val_loss


def test_channels_last_is_the_same_network() -> None:
    network = model(params=ModelParams(family="x3d", flavour="debug", head=HeadParams(name="linear")))
    loaders = NoiseLoader(network.clip_input), NoiseLoader(network.clip_input)
    [epoch] = fit(network, *loaders, changed(head_epochs=0, epochs=1, channels_last=True), seed=0)
    other = model(params=ModelParams(family="x3d", flavour="debug", head=HeadParams(name="linear")))
    [plain] = fit(other, *loaders, changed(head_epochs=0, epochs=1), seed=0)
    assert epoch.val_loss == pytest.approx(plain.val_loss, rel=1e-3)
