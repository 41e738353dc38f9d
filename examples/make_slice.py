"""Write a slice of Qwen3-VL-30B-A3B at real widths: a few decoder layers, full vocabulary, full vision tower.

Run: python examples/make_slice.py OUT [--layers 2]

All weights are random (standard deviation 0.02, seeded), stored as bf16 in the hub's layout and shard size, so that
converters and loaders can be timed without the 62 GB of the real model. Two layers take 4.8 GB.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edge.checkpoint.files.shards import INDEX_NAME
from edge.checkpoint.names.hub import hub_table
from edge.config_json import model_config_from_dict

SHARD_BYTES = 5_000_000_000
_BLOCK_WEIGHTS = 2**24
Shapes = dict[str, tuple[int, ...]]


def main() -> None:
    """Read the command line and write the folder."""
    parser = argparse.ArgumentParser(description="Write a random slice of Qwen3-VL-30B-A3B at real widths.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--layers", type=int, default=2)
    arguments = parser.parse_args()
    num_bytes = write_slice(arguments.out, num_layers=arguments.layers)
    print(f"{arguments.out}: {num_bytes / 1e9:.2f} GB")


def write_slice(folder: Path, *, num_layers: int) -> int:
    """Write the folder; return the bytes of its weights.

    Args:
        folder: Is made; must not exist.
        num_layers: Decoder layers, 48 in the real model.
    """
    raw = slice_config(num_layers)
    shapes = hub_table(model_config_from_dict(raw), "hub").source_shapes()
    shards = list(_in_shards(shapes))
    folder.mkdir(parents=True)
    weight_map: dict[str, str] = {}
    for index, shard in enumerate(shards):
        name = f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        _write_shard(folder / name, shard, seed=index)
        weight_map |= dict.fromkeys(shard, name)
    total = sum(2 * prod(shape) for shape in shapes.values())
    index_json = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / INDEX_NAME).write_text(json.dumps(index_json, indent=2))
    (folder / "config.json").write_text(json.dumps(raw, indent=2))
    return total


def slice_config(num_layers: int) -> dict[str, Any]:  # Any: JSON
    """Return the published config of the 30B with another number of layers."""
    return {
        "architectures": ["Qwen3VLMoeForConditionalGeneration"],
        "model_type": "qwen3_vl_moe",
        "image_token_id": 151655,
        "video_token_id": 151656,
        "vision_start_token_id": 151652,
        "vision_end_token_id": 151653,
        "tie_word_embeddings": False,
        "transformers_version": "4.57.0.dev0",
        "text_config": {
            "attention_bias": False,
            "decoder_sparse_step": 1,
            "dtype": "bfloat16",
            "eos_token_id": 151645,
            "head_dim": 128,
            "hidden_act": "silu",
            "hidden_size": 2048,
            "intermediate_size": 6144,
            "max_position_embeddings": 262144,
            "mlp_only_layers": [],
            "model_type": "qwen3_vl_moe_text",
            "moe_intermediate_size": 768,
            "norm_topk_prob": True,
            "num_attention_heads": 32,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "num_hidden_layers": num_layers,
            "num_key_value_heads": 4,
            "rms_norm_eps": 1e-06,
            "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
            "rope_theta": 5000000,
            "vocab_size": 151936,
        },
        "vision_config": {
            # Three DeepStack levels need three decoder layers.
            "deepstack_visual_indexes": [8, 16, 24][:num_layers],
            "depth": 27,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 1152,
            "in_channels": 3,
            "intermediate_size": 4304,
            "model_type": "qwen3_vl_moe",
            "num_heads": 16,
            "num_position_embeddings": 2304,
            "out_hidden_size": 2048,
            "patch_size": 16,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def _in_shards(shapes: Shapes) -> Iterator[Shapes]:
    shard: Shapes = {}
    num_bytes = 0
    for name, shape in shapes.items():
        if shard and num_bytes + 2 * prod(shape) > SHARD_BYTES:
            yield shard
            shard, num_bytes = {}, 0
        shard[name] = shape
        num_bytes += 2 * prod(shape)
    yield shard


def _write_shard(path: Path, shapes: Shapes, *, seed: int) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}  # Any: JSON
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    random = np.random.default_rng(seed)
    # One block of numbers for all tensors, begun at another place each time: drawing gigabytes would take minutes.
    block = (random.standard_normal(_BLOCK_WEIGHTS, dtype=np.float32) * 0.02).view(np.uint32)
    bits = np.tile(((block + 0x8000) >> 16).astype("<u2"), 2)  # rounded to bf16
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes.values():
            left = prod(shape)
            while left:
                start = int(random.integers(_BLOCK_WEIGHTS))
                count = min(left, _BLOCK_WEIGHTS)
                file.write(bits[start : start + count].tobytes())
                left -= count


if __name__ == "__main__":
    main()
