"""Depthwise 3D convolution in Triton, for clips whose channels lie innermost.

A program makes a block of places by a block of channels. It walks over the kernel's taps and finds most of what it
reads in the cache, since its neighbours read the same. Sums are in fp32 whatever the inputs' precision, and in an order
that depends on the shapes alone: the same inputs give the same bits.

Shapes: B clips, C channels; T frames, H height, W width of the input; P, Q, R frames, height, width of the output;
K, L, M size of the kernel; N parts of a sum.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

Triple = Sequence[int]
"""Of time, height, width."""

_PLACES, _CHANNELS = 64, 64
_PROGRAMS = 4096
"""Among how many programs the weights' gradient is divided: some dozens for each multiprocessor of a large GPU."""


def convolved(input_BCTHW: Tensor, weight_C1KLM: Tensor, stride: Triple, padding: Triple) -> Tensor:
    """Each channel convolved with its own kernel, in the input's precision; channels lie innermost, then as now."""
    shape = output_shape(input_BCTHW.shape, weight_C1KLM.shape, stride, padding)
    return _convolved(input_BCTHW, weight_C1KLM, shape, stride, padding)


def input_gradient(
    gradient_BCPQR: Tensor, input_shape: torch.Size, weight_C1KLM: Tensor, stride: Triple, padding: Triple
) -> Tensor:
    """Of the input, given the output's: its convolution with the kernel turned round, of one place a stride."""
    turned = weight_C1KLM.flip(2, 3, 4)
    outside = [taps - 1 - pad for taps, pad in zip(weight_C1KLM.shape[2:], padding, strict=True)]
    return _convolved(_spread(gradient_BCPQR, stride), turned, input_shape, (1, 1, 1), outside)


def weight_gradient(
    gradient_BCPQR: Tensor, input_BCTHW: Tensor, weight_shape: torch.Size, stride: Triple, padding: Triple
) -> Tensor:
    """Of the weights in fp32, given the output's."""
    num_channels, _, *kernel = weight_shape
    num_rows = kernel[0] * kernel[1]
    num_places = gradient_BCPQR.numel() // num_channels
    num_blocks = num_rows * _divided(num_channels, _CHANNELS)
    share = max(_divided(num_places, max(_PROGRAMS // num_blocks, 1)), _PLACES)
    num_parts = _divided(num_places, share)
    parts_NKLMC = torch.empty((num_parts, *kernel, num_channels), dtype=torch.float32, device=input_BCTHW.device)
    grid = (num_rows, _divided(num_channels, _CHANNELS), num_parts)
    _correlate[grid](
        _innermost(input_BCTHW), _innermost(gradient_BCPQR), parts_NKLMC, num_places, share,
        *_sizes(input_BCTHW.shape, gradient_BCPQR.shape, weight_shape, stride, padding),
    )  # fmt: skip
    return parts_NKLMC.sum(0).permute(3, 0, 1, 2).unsqueeze(1)


def output_shape(input_shape: torch.Size, weight_shape: torch.Size, stride: Triple, padding: Triple) -> torch.Size:
    """Of the convolution."""
    lengths = zip(input_shape[2:], weight_shape[2:], stride, padding, strict=True)
    return torch.Size((*input_shape[:2], *((size + 2 * pad - taps) // step + 1 for size, taps, step, pad in lengths)))


def _convolved(input_BCTHW: Tensor, weight_C1KLM: Tensor, shape: torch.Size, stride: Triple, padding: Triple) -> Tensor:
    output_BCPQR = _empty(shape, input_BCTHW)
    num_channels = len(weight_C1KLM)
    num_places = output_BCPQR.numel() // num_channels
    grid = (_divided(num_places, _PLACES), _divided(num_channels, _CHANNELS))
    weight_KLMC = weight_C1KLM[:, 0].permute(1, 2, 3, 0).contiguous()
    _convolve[grid](
        _innermost(input_BCTHW), weight_KLMC, output_BCPQR, num_places,
        *_sizes(input_BCTHW.shape, shape, weight_C1KLM.shape, stride, padding),
    )  # fmt: skip
    return output_BCPQR


def _spread(maps_BCPQR: Tensor, stride: Triple) -> Tensor:
    """With ``stride - 1`` zeros between neighbours."""
    if max(stride) == 1:
        return maps_BCPQR
    lengths = ((size - 1) * step + 1 for size, step in zip(maps_BCPQR.shape[2:], stride, strict=True))
    spread_BCTHW = _empty(torch.Size((*maps_BCPQR.shape[:2], *lengths)), maps_BCPQR).zero_()
    spread_BCTHW[:, :, :: stride[0], :: stride[1], :: stride[2]] = maps_BCPQR
    return spread_BCTHW


def _divided(number: int, by: int) -> int:
    return -(-number // by)


def _sizes(
    input_shape: torch.Size, output_shape: torch.Size, weight_shape: torch.Size, stride: Triple, padding: Triple
) -> tuple[int, ...]:
    return (*input_shape[2:], *output_shape[2:], weight_shape[0], *weight_shape[2:], *stride, *padding,
            _PLACES, _CHANNELS)  # fmt: skip


def _empty(shape: torch.Size, like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last_3d)


def _innermost(maps_BCTHW: Tensor) -> Tensor:
    return maps_BCTHW.contiguous(memory_format=torch.channels_last_3d)


@triton.jit
def _convolve(
    input_BTHWC, weight_KLMC, output_BPQRC, num_places,
    T, H, W, P, Q, R,
    C: tl.constexpr, K: tl.constexpr, L: tl.constexpr, M: tl.constexpr,
    STEP_T: tl.constexpr, STEP_H: tl.constexpr, STEP_W: tl.constexpr,
    PAD_T: tl.constexpr, PAD_H: tl.constexpr, PAD_W: tl.constexpr,
    PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    place = tl.program_id(0) * PLACES + tl.arange(0, PLACES)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    is_place, is_channel = place < num_places, channel < C
    first_w = place % R * STEP_W - PAD_W
    first_h = place // R % Q * STEP_H - PAD_H
    first_t = place // (R * Q) % P * STEP_T - PAD_T
    first = ((place // (R * Q * P) * T + first_t) * H + first_h) * W + first_w
    corner = input_BTHWC + first.to(tl.int64)[:, None] * C + channel[None, :]
    total = tl.zeros((PLACES, CHANNELS), tl.float32)
    for i in tl.static_range(K):
        for j in tl.static_range(L):
            for k in tl.static_range(M):
                t, h, w = first_t + i, first_h + j, first_w + k
                inside = (t >= 0) & (t < T) & (h >= 0) & (h < H) & (w >= 0) & (w < W) & is_place
                is_there = inside[:, None] & is_channel[None, :]
                value = tl.load(corner + ((i * H + j) * W + k) * C, mask=is_there, other=0.0)
                tap = tl.load(weight_KLMC + ((i * L + j) * M + k) * C + channel, mask=is_channel, other=0.0)
                total += value.to(tl.float32) * tap.to(tl.float32)[None, :]
    out = output_BPQRC + place.to(tl.int64)[:, None] * C + channel[None, :]
    tl.store(out, total.to(output_BPQRC.dtype.element_ty), mask=is_place[:, None] & is_channel[None, :])


@triton.jit
def _correlate(
    input_BTHWC, gradient_BPQRC, parts_NKLMC, num_places, share,
    T, H, W, P, Q, R,
    C: tl.constexpr, K: tl.constexpr, L: tl.constexpr, M: tl.constexpr,
    STEP_T: tl.constexpr, STEP_H: tl.constexpr, STEP_W: tl.constexpr,
    PAD_T: tl.constexpr, PAD_H: tl.constexpr, PAD_W: tl.constexpr,
    PLACES: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    # Rows of taps are innermost in the grid: programs that read the same places run at the same time.
    row, part = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    is_channel = channel < C
    end = tl.minimum((part + 1) * share, num_places)
    first = tl.zeros((PLACES, CHANNELS), tl.float32)
    second = tl.zeros((PLACES, CHANNELS), tl.float32)
    third = tl.zeros((PLACES, CHANNELS), tl.float32)
    for offset in range(0, share, PLACES):
        place = part * share + offset + tl.arange(0, PLACES)
        w = place % R * STEP_W - PAD_W
        h = place // R % Q * STEP_H - PAD_H + row % L
        t = place // (R * Q) % P * STEP_T - PAD_T + row // L
        is_row = (t >= 0) & (t < T) & (h >= 0) & (h < H) & (place < end)
        at = (((place // (R * Q * P) * T + t) * H + h) * W + w).to(tl.int64)
        corner = input_BTHWC + at[:, None] * C + channel[None, :]
        slope_at = gradient_BPQRC + place.to(tl.int64)[:, None] * C + channel[None, :]
        slope = tl.load(slope_at, mask=is_row[:, None] & is_channel[None, :], other=0.0).to(tl.float32)
        first += slope * _inside(corner, is_row & (w >= 0) & (w < W), is_channel)
        if M == 3:
            second += slope * _inside(corner + C, is_row & (w + 1 >= 0) & (w + 1 < W), is_channel)
            third += slope * _inside(corner + 2 * C, is_row & (w + 2 >= 0) & (w + 2 < W), is_channel)
    out = parts_NKLMC + ((part * K * L + row) * M) * C + channel
    tl.store(out, tl.sum(first, 0), mask=is_channel)
    if M == 3:
        tl.store(out + C, tl.sum(second, 0), mask=is_channel)
        tl.store(out + 2 * C, tl.sum(third, 0), mask=is_channel)


@triton.jit
def _inside(at, is_place, is_channel):
    return tl.load(at, mask=is_place[:, None] & is_channel[None, :], other=0.0).to(tl.float32)
