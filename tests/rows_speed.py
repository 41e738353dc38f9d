"""Measure the decode speed of eight rows against one on the demo checkpoint: `python -m tests.rows_speed`.

Out: one line a pair. On Linux CPUs rows together are multiplied by numpy (`edge.products`), one row by MLX; a GPU reads
the weights once for all rows.
"""

from __future__ import annotations

import edge
from tests.figures import note_figure

ROWS = 8
TOKENS = 120
PAIRS = 5


def tokens_per_s(engine: edge.Engine, num_rows: int) -> float:
    """Decode some rows at the same time; returns tokens per second over all of them."""
    barred = dict.fromkeys(engine.config.eos_token_ids, -100.0)  # all rows are as long as they may be
    sampling = edge.SamplingParams(temperature=0.0, logit_bias=barred)
    streams = [
        engine.stream(
            edge.Request(
                messages=[edge.user_message(f"Tell me {number} things about shapes.")],
                sampling=sampling,
                max_tokens=TOKENS,
                answer_tokens=0,
                loop_guard=False,
            )
        )
        for number in range(num_rows)
    ]
    used = [stream.answer().usage for stream in streams]
    return sum(usage.completion_tokens for usage in used) / max(usage.decode_s for usage in used)


def main() -> None:
    """Print pairs of speeds and their ratio."""
    with edge.load(limits=edge.EngineLimits(max_rows=ROWS)) as engine:
        tokens_per_s(engine, 1), tokens_per_s(engine, ROWS)
        for _ in range(PAIRS):
            one, many = tokens_per_s(engine, 1), tokens_per_s(engine, ROWS)
            ratio = note_figure("rows", many / one)
            print(f"one row {one:.0f} tokens/s, {ROWS} rows {many:.0f} tokens/s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
