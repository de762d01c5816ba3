"""Smaller clips first: what clips look like at each time of a training, and how many more go into a batch."""

from collections.abc import Sequence
from dataclasses import replace

from models.clips.sampling import ClipInput
from models.spec import ProgressiveStage


def clip_input_at(progress: float, clip_input: ClipInput, stages: Sequence[ProgressiveStage]) -> ClipInput:
    """What is made of clips when ``progress`` (0..1) of the epochs is over: of the first stage that lasts longer."""
    stage = next((stage for stage in stages if progress < stage.until), None)
    return replaced(clip_input, stage) if stage else clip_input


def replaced(clip_input: ClipInput, stage: ProgressiveStage) -> ClipInput:
    """The flavour's input at the stage's size; fewer frames cover the same time."""
    return replace(clip_input, size=stage.size or clip_input.size, num_frames=stage.frames or clip_input.num_frames)


def batch_factor(clip_input: ClipInput, full: ClipInput) -> int:
    """How many clips take the place of one of ``full`` size: as many as do not have more pixels together."""
    return max(_num_pixels(full) // _num_pixels(clip_input), 1)


def _num_pixels(clip_input: ClipInput) -> int:
    return clip_input.num_frames * clip_input.size**2
