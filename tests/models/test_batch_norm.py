import copy

import pytest
import torch
from torch import Tensor, nn

from models.batch_norm import batch_norm_together, normalises_together
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.target import Target
from models.optimise import make_optimizer
from models.parts import WHOLE
from models.processes import Group
from models.share import Share
from models.spec import FineTuneParams
from models.step import Step
from tests.support.threads import together

JOB = FineTuneParams(optimizer="sgd", lr=0.02, momentum=0.9, weight_decay=0.0, freeze_batch_norm=False, num_threads=1)


class Net(nn.Module):
    """Normalises clips, frames, and places without weights of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3)
        self.norm = nn.BatchNorm3d(4)
        self.cumulative = nn.BatchNorm2d(4, momentum=None)
        self.plain = nn.BatchNorm1d(4, affine=False, track_running_stats=False)
        self.out = nn.Linear(4, 3)

    def forward(self, clip_BCTHW: Tensor) -> Tensor:
        maps_BCTHW = self.norm(self.conv(clip_BCTHW)).tanh()
        frames_NCHW = self.cumulative(maps_BCTHW.transpose(1, 2).flatten(0, 1)).tanh()
        places_BCP = self.plain(frames_NCHW.view(len(clip_BCTHW), -1, *frames_NCHW.shape[1:]).flatten(3).mean(1))
        logits_BK: Tensor = self.out(places_BCP.square().mean(2) + places_BCP.amax(2))
        return logits_BK


def net() -> Net:
    torch.manual_seed(0)
    return Net()


def batches(sizes: list[int]) -> list[tuple[Tensor, Target]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (3.0 + torch.randn(size, 3, 4, 6, 6, generator=generator), Target(torch.arange(size) % 3)) for size in sizes
    ]


def trained(network: Net, group: Group, sizes: list[int], job: FineTuneParams = JOB) -> tuple[Net, list[float]]:
    with batch_norm_together(network, group):
        step = Step(network, make_optimizer(network, job), CrossEntropy(0.0).on(WHOLE), job, group)
        losses = []
        for clip_BCTHW, target in batches(sizes):
            rows = group.share.rows(len(clip_BCTHW))
            losses.append(float(step(clip_BCTHW[rows], target.rows(rows)).loss))
    return network, losses


@pytest.mark.parametrize(("num_processes", "sizes"), [(2, [7, 8, 5]), (3, [7, 4, 2]), (4, [9, 3])])
def test_processes_come_to_what_one_does_however_uneven_their_parts(num_processes: int, sizes: list[int]) -> None:
    alone, losses = trained(net(), Group(), sizes)
    networks = [net() for _ in range(num_processes)]  # beforehand: they share torch's generator
    results = together(num_processes, lambda group: trained(networks[group.share.index], group, sizes))
    for number, size in enumerate(sizes):
        parts = [Share(index, num_processes).rows(size) for index in range(num_processes)]
        mean = sum((part.stop - part.start) * each[1][number] for part, each in zip(parts, results, strict=True)) / size
        assert mean == pytest.approx(losses[number], abs=1e-5)
    for network, _ in results:
        for name, tensor in alone.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_micro_batches_are_equally_many_in_all_processes_and_their_gradients_add_up() -> None:
    job = JOB.model_copy(update={"accumulate": 2})
    networks = [net(), net()]
    (one, _), (other, _) = together(2, lambda group: trained(networks[group.share.index], group, [7, 3, 1], job))
    for name, tensor in one.state_dict().items():
        assert torch.isfinite(tensor).all()
        torch.testing.assert_close(other.state_dict()[name], tensor)


def test_what_is_frozen_or_evaluated_is_normalised_as_it_was_and_names_stay() -> None:
    network = net()
    names, before = list(network.state_dict()), copy.deepcopy(network).eval()(batches([4])[0][0])

    def run(group: Group) -> tuple[bool, bool, Tensor, list[str]]:
        if not group.is_first:
            return False, False, before, names
        with batch_norm_together(network, group):
            in_training = normalises_together(network)
            network.eval()
            return in_training, normalises_together(network), network(batches([4])[0][0]), list(network.state_dict())

    assert together(2, run)[0][:2] == (True, False)
    network.eval()
    said, names_in = together(2, run)[0][2:]
    assert torch.equal(said, before)
    assert names_in == names
    assert {type(each).__name__ for each in network.modules()} == {
        "Net", "Conv3d", "BatchNorm3d", "BatchNorm2d", "BatchNorm1d", "Linear"
    }  # fmt: skip


def test_alone_nothing_changes() -> None:
    network = net()
    with batch_norm_together(network, Group()):
        assert type(network.norm) is nn.BatchNorm3d
