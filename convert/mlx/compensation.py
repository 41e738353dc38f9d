"""Give every matrix the feedback of its inputs, from a calibration; matrices that share inputs share the work.

In: a calibration, parameter names and rows of them. Out: packed rows with compensated errors.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import mlx.core as mx

from convert.calibration.file import Calibration
from convert.calibration.sites import Site, site_of
from convert.mlx.affine import Floats, Packed
from convert.mlx.compensate import feedback_of, quantize_compensated
from edge.plan.recipes import Format

MOST_BITS = 6  # at 8 bits a search loses nothing that shows
_MOST_KEPT = 4  # feedbacks in memory: gate and up of an expert, or q, k and v, come one after another


class Compensation:
    """Compensates the matrices whose inputs a calibration knows; threads may share it."""

    def __init__(self, calibration: Calibration) -> None:
        self._calibration = calibration
        self._kept: OrderedDict[tuple[Site, int | None], Floats] = OrderedDict()
        self._lock = Lock()

    def covers(self, tensor: str, setting: Format) -> bool:
        """Tell whether a parameter is compensated in a format."""
        is_affine = setting is not None and setting.mode == "affine" and setting.bits <= MOST_BITS
        return is_affine and self._calibration.has(tensor)

    def quantize(self, tensor: str, rows: mx.array, *, first_row: int, group_size: int, bits: int) -> Packed:
        """Quantize some rows of axis 0 of a parameter.

        Args:
            tensor: Its name.
            rows: Outputs of a matrix (R, in), or experts of a stack (R, O, in).
            first_row: Number of the first of them, which names the experts.
            group_size: Weights that share a scale.
            bits: Up to `MOST_BITS`.
        """
        if rows.ndim == 2:
            return quantize_compensated(rows, self._feedback(tensor, None), group_size=group_size, bits=bits)
        done = [
            quantize_compensated(
                rows[index], self._feedback(tensor, first_row + index), group_size=group_size, bits=bits
            )
            for index in range(rows.shape[0])
        ]
        packed = Packed(
            weight=mx.stack([one.weight for one in done]),
            scales=mx.stack([one.scales for one in done]),
            biases=mx.stack([one.biases for one in done]),
        )
        mx.eval(packed.weight, packed.scales, packed.biases)
        return packed

    def _feedback(self, tensor: str, expert: int | None) -> Floats:
        site = site_of(tensor)
        assert site is not None, f"{tensor} has no inputs"
        with self._lock:
            found = self._kept.get((site, expert))
        if found is None:
            found = feedback_of(self._calibration.moments(tensor, expert))  # outside the lock: it takes seconds
            with self._lock:
                self._kept[site, expert] = found
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return found
