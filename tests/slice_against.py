"""Measure a slice of the 30B at real widths against mlx-lm: `python -m tests.slice_against [PAIRS]`.

In: how many pairs (default 5), and mlx-lm beside this runtime. Out: tokens a second of processor time of both by turns,
in one process on the CPU: two random layers in 4 bits, float32, the same arrays; a prompt of 64 tokens, and 16 tokens
decoded behind it. The processor's time counts all threads, so that other programs disturb it less than a clock.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import cache

import mlx.core as mx
import numpy as np

from edge.bench.device_check import check_config
from edge.bench.peer_models import mlx_lm_model
from edge.bench.random_model import random_model, random_parameters
from edge.bench.runners import MlxLmRunner, OurRunner, Runner, decode_s, prefill_s

PROMPT_TOKENS, DECODED_TOKENS = 64, 16


def main() -> None:
    """Print the ratios of all pairs."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    mx.set_default_device(mx.cpu)
    config = check_config(2, is_large=True)
    weights = cache(lambda: dict(random_parameters(config, dtype=mx.float32)))
    runners: list[Runner] = [OurRunner(random_model(config, dtype=mx.float32))]
    runners.append(MlxLmRunner(mlx_lm_model(config, weights)))
    ids = np.random.default_rng(0).integers(0, config.text.vocab_size, PROMPT_TOKENS).astype(np.int32)
    for runner in runners:
        speeds(runner, ids)
    found = [{one.name: speeds(one, ids) for one in (runners, runners[::-1])[pair % 2]} for pair in range(pairs)]
    for place, what in enumerate(("prefill", "decode")):
        ours, theirs = ([pair[runner.name][place] for pair in found] for runner in runners)
        ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
        print(
            f"{what}: {statistics.median(ours):.2f} and {statistics.median(theirs):.2f} tokens/s, "
            f"{statistics.median(ratios):.2f} times mlx-lm's ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def speeds(runner: Runner, ids: np.ndarray) -> tuple[float, float]:
    """Return tokens a second of processor time of a prompt, and of what is decoded behind it."""
    times = [time.process_time()]
    prefill_s(runner, ids)
    times.append(time.process_time())
    decode_s(runner, DECODED_TOKENS)
    times.append(time.process_time())
    return len(ids) / (times[1] - times[0]), DECODED_TOKENS / (times[2] - times[1])


if __name__ == "__main__":
    main()
