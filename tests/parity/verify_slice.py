"""Checkpoints of few layers at real widths, and a process that runs the reference on one and prints its peak memory.

Every layer is a shard of its own, so that a slice of two layers shares the files of one of four. The weights are one
block of random numbers, repeated: only sizes matter here.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from edge.checkpoint.names.hub import hub_table
from edge.config_json import model_config_from_dict
from tests.peak_memory import peak_rss_bytes
from tests.prompt_parts import TEMPLATES
from tests.real_tokenizer import tokenizer_json
from tests.system.folders import write_json
from tests.unit.checkpoint.checkpoints import Json, header_bytes, tiny_config_json, write_index

REAL_30B = {
    "hidden_size": 2048,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "intermediate_size": 6144,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
    "rope_theta": 5_000_000,
    "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
    "mlp_only_layers": [],
}
SMALL = REAL_30B | {"hidden_size": 512, "num_attention_heads": 8, "num_experts": 16, "moe_intermediate_size": 384}
VISION = {
    "depth": 4,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "num_position_embeddings": 2304,
    "patch_size": 16,
    "deepstack_visual_indexes": [0, 3],
}
BLOCK_BYTES = 1 << 24


def slice_config(widths: Json, num_layers: int) -> Json:
    """Return config.json with the real token ids."""
    raw = tiny_config_json()
    vision = raw["vision_config"] | VISION | {"out_hidden_size": widths["hidden_size"]}
    ids = {"image_token_id": 151655, "video_token_id": 151656, "vision_start_token_id": 151652}
    text = raw["text_config"] | widths | {"num_hidden_layers": num_layers}
    return raw | ids | {"vision_end_token_id": 151653, "text_config": text, "vision_config": vision}


def write_slice(folder: Path, widths: Json, num_layers: int) -> Path:
    """Write a checkpoint of bfloat16 weights, one shard per layer and one for the rest."""
    folder.mkdir(parents=True)
    raw = slice_config(widths, num_layers)
    shapes = hub_table(model_config_from_dict(raw), "hub").source_shapes()
    shards: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {}
    for name, shape in shapes.items():
        parts = name.split(".layers.")
        shard = f"model-layer{parts[1].split('.')[0]}.safetensors" if len(parts) > 1 else "model-rest.safetensors"
        shards.setdefault(shard, {})[name] = ("BF16", shape)
    for shard, entries in shards.items():
        _write_shard(folder / shard, entries)
    write_index(folder, {name: shard for shard, entries in shards.items() for name in entries})
    _write_companions(folder, raw)
    return folder


def cut_slice(source: Path, folder: Path, widths: Json, num_layers: int) -> Path:
    """Make a slice of fewer layers from the shards of another."""
    folder.mkdir(parents=True)
    raw = slice_config(widths, num_layers)
    shards = ["model-rest.safetensors", *(f"model-layer{index}.safetensors" for index in range(num_layers))]
    for shard in shards:
        os.link(source / shard, folder / shard)
    weight_map = json.loads((source / "model.safetensors.index.json").read_text())["weight_map"]
    write_index(folder, {name: shard for name, shard in weight_map.items() if shard in shards})
    _write_companions(folder, raw)
    return folder


def _write_shard(path: Path, entries: dict[str, tuple[str, tuple[int, ...]]]) -> None:
    with path.open("wb") as file:
        file.write(header_bytes(entries))
        for size in _block_sizes(sum(2 * prod(shape) for _, shape in entries.values())):
            file.write(_block()[:size])


@cache
def _block() -> bytes:
    values = np.random.default_rng(0).standard_normal(BLOCK_BYTES // 2, dtype=np.float32) * 0.02
    return (values.view(np.uint32) >> 16).astype("<u2").tobytes()  # bfloat16, cut


def _block_sizes(num_bytes: int) -> Iterator[int]:
    for start in range(0, num_bytes, BLOCK_BYTES):
        yield min(BLOCK_BYTES, num_bytes - start)


def _write_companions(folder: Path, raw: Json) -> None:
    write_json(folder / "config.json", raw)
    (folder / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATES["instruct"].read_text(encoding="utf-8"))
    sizes = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2}
    norm = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    for name, least, most in (("preprocessor", 65536, 16777216), ("video_preprocessor", 4096, 25165824)):
        size = {"shortest_edge": least, "longest_edge": most}
        write_json(folder / f"{name}_config.json", sizes | norm | {"size": size})


def main(folder: str, dtype: str, prompts: str, work: str) -> None:
    """Run the reference on prompts; print planned and measured peak memory in bytes."""
    import torch

    from convert.verify.measure import Measurement

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    assert dtype in ("float32", "bfloat16"), dtype
    prepared = Measurement.prepare(
        folder,
        candidates=[],
        prompts=prompts,
        dtype="bfloat16" if dtype == "bfloat16" else "float32",
        work=Path(work),
    )
    prepared.run(say=lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps({"planned": prepared.plan().memory_bytes, "peak": peak_rss_bytes()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
