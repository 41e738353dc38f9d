"""Time packed experts by numpy and by MLX, by their rows: `python -m tests.packed_speed`.

Out: a line for each packed form: milliseconds of processor time for a matrix of 1536x2048, best of four, at some
numbers of rows for each matrix. Where MLX begins to take longer is what `edge.packed_products.LEAST_ROWS` is chosen by.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import mlx.core as mx
import numpy as np

from edge import packed_products
from edge.config import LayerQuantization
from edge.packed_products import multiply_chosen_packed
from edge.products import by_mlx

OUTPUTS, WIDTH, EXPERTS, TRIES = 1536, 2048, 4, 4
ROWS, MLX_ROWS = (1, 2, 3, 4, 16, 64), (1, 2, 3, 4)
FORMS = [
    *(LayerQuantization(64, bits, "affine") for bits in (2, 3, 4, 5, 6, 8)),
    LayerQuantization(32, 4, "mxfp4"),
    LayerQuantization(32, 8, "mxfp8"),
    LayerQuantization(16, 4, "nvfp4"),
]


def best_ms(work: Callable[[], mx.array]) -> float:
    """Return the least processor time of some tries, for one expert."""
    times = []
    for _ in range(TRIES):
        started = time.process_time()
        mx.eval(work())
        times.append(time.process_time() - started)
    return 1e3 * min(times) / EXPERTS


def line(form: LayerQuantization) -> str:
    """Time one form."""
    rng = np.random.default_rng(0)
    weights = mx.array(rng.standard_normal((EXPERTS, OUTPUTS, WIDTH), dtype=np.float32))
    weight, scales, *biases = mx.quantize(weights, form.group_size, form.bits, form.mode)
    mx.eval(weight, scales, biases)
    parts = []
    for num_rows in ROWS:
        rows = mx.array(rng.standard_normal((EXPERTS * num_rows, 1, WIDTH), dtype=np.float32))
        chosen = mx.array(np.repeat(np.arange(EXPERTS), num_rows).astype(np.uint32))

        def product(rows: mx.array = rows, chosen: mx.array = chosen) -> mx.array:
            return multiply_chosen_packed(
                rows,
                weight,
                scales,
                biases[0] if biases else None,
                chosen,
                form=form,
                num_tokens=1000,
                is_sorted=True,
                row_indexes=lambda: chosen,
            )

        parts.append(f"{num_rows} rows {best_ms(product):.1f}")
        if num_rows in MLX_ROWS:
            with by_mlx():
                parts[-1] += f" (MLX {best_ms(product):.1f})"
    return f"{form.mode} {form.bits} bits: {', '.join(parts)}"


def main() -> None:
    """Print a line for each form; few rows are numpy's too."""
    packed_products.LEAST_ROWS = 1
    for form in FORMS:
        print(line(form), flush=True)


if __name__ == "__main__":
    main()
