"""Rotary frequencies, equal to the last bit to those of the reference.

The reference takes 1 / theta ** (2i / size) with torch's float32 power. One unit in the last place of a frequency
near 1 is an angle of 0.015 at position 250,000, so its rounding is made again here, without torch: torch's vector
power is SLEEF's, whose result is set by two short polynomials in float32; what SLEEF does between them in pairs of
floats, float64 does as exactly.
Source: SLEEF 3.6 `xpowf` (its coefficients), differs in: float64 in place of float pairs, positive bases only.
torch computes the last few of a table, those that do not fill a vector of the machine, with the C library's `powf`;
for the tables of published models both give the same bits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LOG = (0.240320354700088500976562, 0.285112679004669189453125, 0.400007992982864379882812)
_LOG_LAST = float(np.float32(0.66666662693023681640625)) + float(np.float32(3.69183861259614332084311e-09))
_EXP = (
    0.00136324646882712841033936,
    0.00836596917361021041870117,
    0.0416710823774337768554688,
    0.166665524244308471679688,
    0.499999850988388061523438,
)
_LN2 = float(np.float32(0.69314718246459960938)) - float(np.float32(1.904654323148236017e-09))
_LN2_HIGH, _LN2_LOW = 0.693145751953125, np.float32(1.428606765330187045e-06)


def inverse_frequencies(theta: float, size: int, *, factor: float = 1.0) -> Floats:
    """Return 1 / (factor * theta ** (2i / size)), (size / 2,) float32, rounded as the reference rounds."""
    exponents = np.arange(0, size, 2, dtype=np.float32) / np.float32(size)
    frequencies: Floats = np.float32(1.0) / (np.float32(factor) * float32_power(theta, exponents))
    return frequencies


def float32_power(base: float, exponents: Floats) -> Floats:
    """Return base ** exponents as torch's vector code rounds it; the base is positive."""
    mantissa, exponent = np.frexp(np.float64(np.float32(base)))  # mantissa from 0.5 to 1
    if mantissa < 0.75:
        mantissa, exponent = mantissa * 2, exponent - 1
    x = (mantissa - 1) / (mantissa + 1)
    series = _polynomial(np.array([x * x], dtype=np.float32), _LOG)[0] * x * x + _LOG_LAST
    logs = (_LN2 * exponent + 2 * x + x**3 * series) * exponents.astype(np.float64)
    twos = np.rint(logs.astype(np.float32) * np.float32(np.log2(np.e)))
    rest = logs - twos.astype(np.float64) * _LN2_HIGH - twos * _LN2_LOW  # the last product is a float32
    grown = (1 + (rest + rest * rest * _polynomial(rest.astype(np.float32), _EXP))).astype(np.float32)
    powers: Floats = np.ldexp(grown, twos.astype(np.int32))
    return powers


def _polynomial(x: Floats, coefficients: tuple[float, ...]) -> NDArray[np.float64]:
    """Evaluate with one float32 rounding per step, as a fused multiply-add does."""
    result = np.full(x.shape, np.float32(coefficients[0]), dtype=np.float64)
    for coefficient in coefficients[1:]:
        step = result * x.astype(np.float64) + np.float64(np.float32(coefficient))
        result = step.astype(np.float32).astype(np.float64)
    return result
