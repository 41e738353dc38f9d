"""Measure the processor's time to build a decode step's graph at 48 layers: `python -m tests.host_time [CHECKOUT]`.

Out: one line each for this checkout as the CPU runs it, for its replayed pieces as a GPU runs them, for another
checkout if one is named, and for mlx-lm where it is installed; tiny widths, the 30B's structure, by turns in one
process: some tokens in a row each, of which the first is not counted, since building a graph takes longer or shorter
after the evaluation of another's. Time is the thread's own. Norms and attention are taken apart on the CPU, in all.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

LAYERS, ROUNDS, TOKENS, PROMPT = 48, 12, 6, 40
HERE = str(Path(__file__).resolve().parents[1])
Build = Callable[[mx.array], mx.array]


def use_checkout(folder: str) -> None:
    """Import `edge` and `tests` from a folder from now on."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("edge", "tests")]:
        del sys.modules[name]
    sys.path[:] = [folder, *(path for path in sys.path if path not in (folder, HERE, ""))]


def ours(folder: str, *, is_replayed: bool) -> Build:
    """Return what builds the best next token (1,) of a checkout's model."""
    use_checkout(folder)
    from edge.config import LayerQuantization, MoeConfig, QuantizationConfig, RopeConfig
    from edge.kv.make import make_memory
    from edge.model.moe import SwitchLinear
    from edge.model.qwen3vl import Qwen3VL
    from tests.unit.model.tiny import CONFIG, TEXT

    moe = MoeConfig(128, 8, 64, decoder_sparse_step=1, mlp_only_layers=())
    text = replace(TEXT, num_layers=LAYERS, num_heads=32, num_kv_heads=4, head_dim=32, vocab_size=512, moe=moe)
    text = replace(text, rope=RopeConfig(theta=60.0, mrope_section=(6, 5, 5)))
    model: Any = Qwen3VL(replace(CONFIG, text=text))  # Any: of either checkout
    kinds = (nn.Linear, nn.Embedding, SwitchLinear)
    paths = [path for path, module in model.named_modules() if isinstance(module, kinds)]
    setting = QuantizationConfig(LayerQuantization(group_size=32, bits=4, mode="affine"))
    try:
        placing = importlib.import_module("edge.checkpoint.modules")
    except ImportError:  # where older checkouts have it
        placing = importlib.import_module("edge.model.quantized")
    stored = [path for path in paths if path.startswith("language_model.")]
    placing.quantize_modules(model, setting, stored_paths=stored)
    mx.eval(model.language_model.parameters())
    memory, positions = make_memory(text, kv_bits=None), np.broadcast_to(np.arange(PROMPT), (3, 1, PROMPT))
    mx.eval(model(mx.zeros((1, PROMPT), mx.int32), positions=positions, memory=[memory], last_only=True))
    if is_replayed:
        from edge.run.replay import ShortForwards

        model = ShortForwards(model)
    place = iter(range(PROMPT, 10_000))

    def build(token: mx.array) -> mx.array:
        at = np.full((3, 1, 1), next(place))
        return mx.argmax(model(token[None], positions=at, memory=[memory], last_only=True)[:, -1], axis=-1)

    return build


def mlx_lm() -> Build:
    """Return what builds the best next token of mlx-lm's model of the same sizes."""
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.models.qwen3_moe import Model, ModelArgs

    sizes = {
        "model_type": "qwen3_moe", "hidden_size": 64, "num_hidden_layers": LAYERS, "intermediate_size": 96,
        "num_attention_heads": 32, "num_experts": 128, "num_experts_per_tok": 8, "decoder_sparse_step": 1,
        "mlp_only_layers": [], "moe_intermediate_size": 64, "rms_norm_eps": 1e-6, "vocab_size": 512,
        "num_key_value_heads": 4, "head_dim": 32, "rope_theta": 60.0, "tie_word_embeddings": False,
        "max_position_embeddings": 4096, "norm_topk_prob": True,
    }  # fmt: skip
    model = Model(ModelArgs(**sizes))
    nn.quantize(model, 32, 4)
    mx.eval(model.parameters())
    cache = make_prompt_cache(model)
    mx.eval(model(mx.zeros((1, PROMPT), mx.int32), cache=cache))
    return lambda token: mx.argmax(model(token[None], cache=cache)[:, -1], axis=-1)


def main() -> None:
    """Build by turns and print the medians and their ratios."""
    others = {f"checkout {folder}": ours(folder, is_replayed=False) for folder in sys.argv[1:2]}
    try:
        others["mlx-lm"] = mlx_lm()
    except ImportError:
        print("mlx-lm is not installed: left out")
    builds = {"plain": ours(HERE, is_replayed=False), "replayed": ours(HERE, is_replayed=True), **others}
    tokens, times = {name: mx.zeros((1,), mx.int32) for name in builds}, {name: list[float]() for name in builds}
    for _ in range(ROUNDS):
        for name, build in builds.items():
            run = []
            for _ in range(TOKENS):
                started = time.thread_time()
                tokens[name] = build(tokens[name])
                run.append(time.thread_time() - started)
                mx.eval(tokens[name])
            times[name].append(statistics.median(run[1:]))
    for name, found in times.items():
        ratio = statistics.median(mine / other for mine, other in zip(times["replayed"], found, strict=True))
        middle, least = statistics.median(found), min(found)
        print(f"{name:24} {1e3 * middle:.2f} ms, least {1e3 * least:.2f}, replayed to this {ratio:.2f}")


if __name__ == "__main__":
    main()
