"""The searches for the scales of groups of 32 and of 16 values, compiled by numba, 16 groups side by side.

All arithmetic is float32 and in llama.cpp's order; numba neither reorders nor fuses it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]

GROUP, LANES = 32, 16
_ROUNDER = np.float32(12582912.0)  # adding it leaves no bits for a fraction: rounds half to even
_F0, _F1 = np.float32(0), np.float32(1)
_DELTA = np.float32(0.1)
# numba refuses to start where it cannot keep what it compiled.
_CAN_KEEP = os.access(Path(__file__).parent, os.W_OK)


def search_groups(values: Floats, most: int, first: float, num_steps: int) -> tuple[Floats, Floats]:
    """Find the scale and the (negated) minimum of each group.

    Args:
        values: (groups, 32) float32.
        most: Largest code.
        first: First step of the search.
        num_steps: Steps after the first.

    Returns:
        Scales and minima, (groups,) float32 each.
    """
    num_groups = len(values)
    padded = -(-num_groups // LANES) * LANES
    if padded != num_groups:
        values = np.concatenate([values, np.zeros((padded - num_groups, GROUP), np.float32)])
    turned = np.ascontiguousarray(values.reshape(-1, LANES, GROUP).transpose(0, 2, 1))  # (batches, 32, lanes)
    scales, minima = np.empty(padded, np.float32), np.empty(padded, np.float32)
    _search(turned, np.float32(most), np.float32(first), num_steps, scales, minima)
    return scales[:num_groups], minima[:num_groups]


# Calls stand outside the loops over lanes: one inside would keep the lanes from being done in parallel.
@njit(cache=_CAN_KEEP, error_model="numpy")
def _search(
    turned: Floats, most: np.float32, first: np.float32, num_steps: int, scales: Floats, minima: Floats
) -> None:
    weights, codes = np.empty((GROUP, LANES), np.float32), np.empty((GROUP, LANES), np.float32)
    low, high, first_low = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    scale, best = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    sums, work = np.empty((2, LANES), np.float32), np.empty((7, LANES), np.float32)
    for batch in range(turned.shape[0]):
        x = turned[batch]
        _weigh(x, weights, low, high, sums)
        for k in range(LANES):
            first_low[k] = low[k]
        _take_whole_span(x, weights, most, low, high, scale, best)
        for step in range(num_steps + 1):
            aim = first + _DELTA * np.float32(step) + most
            _fit_codes(x, weights, codes, aim, most, high, low, sums, work)
            _keep_better(x, weights, codes, scale, low, best, work)
        for k in range(LANES):
            is_flat = high[k] == first_low[k]
            scales[batch * LANES + k] = _F0 if is_flat else scale[k]
            minima[batch * LANES + k] = -first_low[k] if is_flat else -low[k]


@njit(cache=_CAN_KEEP, error_model="numpy")
def _weigh(x: Floats, weights: Floats, low: Floats, high: Floats, sums: Floats) -> None:
    """Weigh each value by its size and that of its group; find the ends, at most 0 below, and the sums of w and w x."""
    average, sum_w, sum_x = np.empty(LANES, np.float32), sums[0], sums[1]
    for k in range(LANES):
        average[k] = _F0
    for i in range(GROUP):
        for k in range(LANES):
            average[k] += x[i, k] * x[i, k]
    for k in range(LANES):
        average[k] = np.sqrt(average[k] / np.float32(GROUP))
    for i in range(GROUP):
        for k in range(LANES):
            weights[i, k] = average[k] + abs(x[i, k])
    for k in range(LANES):
        low[k] = x[0, k]
        high[k] = x[0, k]
        sum_w[k] = weights[0, k]
        sum_x[k] = sum_w[k] * x[0, k]
    for i in range(1, GROUP):
        for k in range(LANES):
            value, weight = x[i, k], weights[i, k]
            low[k] = value if value < low[k] else low[k]
            high[k] = value if value > high[k] else high[k]
            sum_w[k] += weight
            sum_x[k] += weight * value
    for k in range(LANES):
        low[k] = _F0 if low[k] > _F0 else low[k]


@njit(cache=_CAN_KEEP, error_model="numpy")
def _take_whole_span(
    x: Floats, weights: Floats, most: np.float32, low: Floats, high: Floats, scale: Floats, best: Floats
) -> None:
    """Begin with the scale that reaches from end to end, and its error."""
    inverse = np.empty(LANES, np.float32)
    for k in range(LANES):
        span = high[k] - low[k]
        inverse[k] = most / span if span != _F0 else _F0
        scale[k] = _F1 / inverse[k] if span != _F0 else _F0
        best[k] = _F0
    for i in range(GROUP):
        for k in range(LANES):
            code = (inverse[k] * (x[i, k] - low[k]) + _ROUNDER) - _ROUNDER
            code = _F0 if code < _F0 else code
            code = most if code > most else code
            difference = scale[k] * code + low[k] - x[i, k]
            best[k] += weights[i, k] * (difference * difference)


@njit(cache=_CAN_KEEP, error_model="numpy")
def _fit_codes(
    x: Floats,
    weights: Floats,
    codes: Floats,
    aim: np.float32,
    most: np.float32,
    high: Floats,
    low: Floats,
    sums: Floats,
    work: Floats,
) -> None:
    """Round with another step, and find the scale and minimum that fit these codes best, into rows of `work`."""
    sum_w, sum_x = sums[0], sums[1]
    inverse, sum_l, sum_l2, sum_xl = work[3], work[4], work[5], work[6]
    new_scale, new_low, error = work[0], work[1], work[2]
    for k in range(LANES):
        span = high[k] - low[k]
        inverse[k] = aim / span if span != _F0 else _F0
        sum_l[k] = _F0
        sum_l2[k] = _F0
        sum_xl[k] = _F0
    for i in range(GROUP):
        for k in range(LANES):
            code = (inverse[k] * (x[i, k] - low[k]) + _ROUNDER) - _ROUNDER
            code = _F0 if code < _F0 else code
            code = most if code > most else code
            codes[i, k] = code
            weighed = weights[i, k] * code
            sum_l[k] += weighed
            sum_l2[k] += weighed * code
            sum_xl[k] += weighed * x[i, k]
    for k in range(LANES):
        divisor = sum_w[k] * sum_l2[k] - sum_l[k] * sum_l[k]
        safe = divisor if divisor > _F0 else _F1
        own_scale = (sum_w[k] * sum_xl[k] - sum_x[k] * sum_l[k]) / safe
        own_low = (sum_l2[k] * sum_x[k] - sum_l[k] * sum_xl[k]) / safe
        is_above = own_low > _F0
        new_scale[k] = sum_xl[k] / sum_l2[k] if is_above else own_scale
        new_low[k] = _F0 if is_above else own_low
        error[k] = _F0 if divisor > _F0 else np.float32(np.inf)


@njit(cache=_CAN_KEEP, error_model="numpy")
def _keep_better(
    x: Floats, weights: Floats, codes: Floats, scale: Floats, low: Floats, best: Floats, work: Floats
) -> None:
    """Measure what `_fit_codes` found, and keep it in the lanes where it errs less."""
    new_scale, new_low, error = work[0], work[1], work[2]
    for i in range(GROUP):
        for k in range(LANES):
            difference = new_scale[k] * codes[i, k] + new_low[k] - x[i, k]
            error[k] += weights[i, k] * (difference * difference)
    for k in range(LANES):
        is_better = error[k] < best[k]
        best[k] = error[k] if is_better else best[k]
        scale[k] = new_scale[k] if is_better else scale[k]
        low[k] = new_low[k] if is_better else low[k]  # the steps that follow count from here


def search_sixteens(values: Floats) -> Floats:
    """Find the scale of each group of 16 values for codes from -32 to 31 (ggml's `make_qx_quants`), (groups,) float32.

    Args:
        values: (groups, 16) float32.
    """
    num_groups = len(values)
    padded = -(-num_groups // LANES) * LANES
    if padded != num_groups:
        values = np.concatenate([values, np.zeros((padded - num_groups, 16), np.float32)])
    turned = np.ascontiguousarray(values.reshape(-1, LANES, 16).transpose(0, 2, 1))
    scales = np.empty(padded, np.float32)
    _search_sixteens(turned, scales)
    return scales[:num_groups]


@njit(cache=_CAN_KEEP, error_model="numpy")
def _search_sixteens(turned: Floats, scales: Floats) -> None:
    largest, size = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    sum_xl, sum_l2 = np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    inverse, scale, best = np.empty(LANES, np.float32), np.empty(LANES, np.float32), np.empty(LANES, np.float32)
    most, least = np.float32(31), np.float32(-32)
    for batch in range(turned.shape[0]):
        x = turned[batch]
        for k in range(LANES):
            largest[k] = _F0
            size[k] = _F0
        for i in range(16):
            for k in range(LANES):
                is_larger = abs(x[i, k]) > size[k]
                size[k] = abs(x[i, k]) if is_larger else size[k]
                largest[k] = x[i, k] if is_larger else largest[k]
        for turn in range(19):
            step = 0 if turn == 0 else (turn - 10 if turn < 10 else turn - 9)  # the middle, then -9 to 9 around it
            aim = -(np.float32(32) + _DELTA * np.float32(step)) if turn else least
            for k in range(LANES):
                inverse[k] = aim / largest[k] if largest[k] != _F0 else _F0
                sum_xl[k] = _F0
                sum_l2[k] = _F0
            for i in range(16):
                for k in range(LANES):
                    code = (inverse[k] * x[i, k] + _ROUNDER) - _ROUNDER
                    code = least if code < least else code
                    code = most if code > most else code
                    weight = x[i, k] * x[i, k]
                    sum_xl[k] += weight * x[i, k] * code
                    sum_l2[k] += weight * code * code
            for k in range(LANES):
                safe = sum_l2[k] if sum_l2[k] > _F0 else _F1
                new_scale = sum_xl[k] / safe if sum_l2[k] > _F0 else _F0
                is_better = turn == 0 or (sum_l2[k] > _F0 and sum_xl[k] * sum_xl[k] > best[k] * sum_l2[k])
                scale[k] = new_scale if is_better else scale[k]
                best[k] = new_scale * sum_xl[k] if is_better else best[k]
        for k in range(LANES):
            scales[batch * LANES + k] = scale[k] if size[k] >= np.float32(1e-15) else _F0
