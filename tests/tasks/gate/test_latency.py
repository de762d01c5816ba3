import torch

from tasks.gate.latency import median_latencies_ms


class Clock:
    """A time that passes only while a model works."""

    def __init__(self) -> None:
        self.now = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.now

    def model(self, name: str, *seconds: float):
        passes = iter(range(10**6))

        def answer(clip_BCTHW: torch.Tensor) -> None:
            assert torch.is_inference_mode_enabled()
            assert torch.get_num_threads() == 1
            self.order.append(name)
            self.now += seconds[next(passes) % len(seconds)]

        return answer


CLIPS = [torch.zeros(1, 3, 2, 4, 4), torch.ones(1, 3, 2, 4, 4)]


def test_the_median_of_passes_in_turn_forgets_those_that_were_interrupted():
    clock, threads = Clock(), torch.get_num_threads()
    models = [clock.model("new", 0.02, 0.02, 0.02, 0.02, 9.0), clock.model("old", 0.01)]
    new, old = median_latencies_ms(models, [CLIPS, CLIPS], clock=clock)
    assert (round(new, 6), round(old, 6)) == (20.0, 10.0)
    assert torch.get_num_threads() == threads


def test_models_take_turns_and_each_goes_first_as_often_as_last():
    clock = Clock()
    median_latencies_ms([clock.model("new", 0.01), clock.model("old", 0.01)], [CLIPS, CLIPS], clock=clock)
    pairs = list(zip(clock.order[::2], clock.order[1::2], strict=True))[3:]
    assert len(pairs) == 40
    assert pairs.count(("new", "old")) == pairs.count(("old", "new")) == 20


def test_slow_models_are_asked_less_often_but_not_once():
    clock = Clock()
    assert median_latencies_ms([clock.model("new", 60.0)], [CLIPS], clock=clock) == [60_000.0]
    assert len(clock.order) == 3 + 5


def test_each_model_gets_its_own_clips_in_turn():
    seen: list[float] = []
    median_latencies_ms([lambda clip: seen.append(float(clip.mean()))], [CLIPS])
    assert seen[3:7] == [0.0, 1.0, 0.0, 1.0]
