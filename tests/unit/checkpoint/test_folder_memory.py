"""Large folders: planned from headers alone, loaded with one tensor in memory beside the model.

The files have true names and shapes and holes for data, so they take no space on disk.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.checkpoint.folder import open_checkpoint
from edge.checkpoint.names.hub import HubLayout, hub_table
from edge.config_json import model_config_from_dict, model_config_from_file
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import (
    Json,
    tiny_config_json,
    transformers5_config_json,
    write_config,
    write_index,
    write_sparse_safetensors,
)

SHARD_BYTES = 5_000_000_000
Shapes = dict[str, tuple[int, ...]]


def in_shards(shapes: Shapes) -> Iterator[Shapes]:
    """Cut a list of BF16 tensors where 5 GB are full, as published folders do."""
    shard: Shapes = {}
    num_bytes = 0
    for name, shape in shapes.items():
        size = 2
        for length in shape:
            size *= length
        if shard and num_bytes + size > SHARD_BYTES:
            yield shard
            shard, num_bytes = {}, 0
        shard[name] = shape
        num_bytes += size
    yield shard


def write_sparse_folder(folder: Path, raw: Json, layout: HubLayout) -> int:
    """Write a folder of holes; return its apparent bytes."""
    shards = list(in_shards(hub_table(model_config_from_dict(raw), layout).source_shapes()))
    weight_map: dict[str, str] = {}
    folder.mkdir(exist_ok=True)
    for index, shard in enumerate(shards):
        file_name = f"model-{index + 1:05d}-of-{len(shards):05d}.safetensors"
        write_sparse_safetensors(folder / file_name, {name: ("BF16", shape) for name, shape in shard.items()})
        weight_map |= dict.fromkeys(shard, file_name)
    write_index(folder, weight_map)
    write_config(folder, raw)
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


@needs_facts
@pytest.mark.parametrize("layout", ["hub", "transformers5"])
@pytest.mark.parametrize(
    ("config_file", "num_tensors", "least_bytes"),
    [("hub_30b_thinking/config.json", 882, 62_141_508_064), ("hub_235b/config.json", 1388, 471_340_045_792)],
)
def test_folders_of_true_size_are_planned_quickly_in_little_memory(
    tmp_path: Path, config_file: str, num_tensors: int, least_bytes: int, layout: HubLayout
) -> None:
    raw = json.loads((FACTS / "raw" / config_file).read_text())
    raw = transformers5_config_json(raw) if layout == "transformers5" else raw
    assert write_sparse_folder(tmp_path, raw, layout) > least_bytes
    tracemalloc.start()
    start_s = time.process_time()
    checkpoint = open_checkpoint(tmp_path)
    seconds = time.process_time() - start_s
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(checkpoint.source.tensors), checkpoint.layout) == (num_tensors, layout)
    assert checkpoint.config == model_config_from_file(tmp_path / "config.json")
    assert seconds < 2  # 0.1 s measured without tracing
    assert peak_bytes < 20_000_000  # 3 MB measured


ROOT = Path(__file__).resolve().parents[3]
LOAD = """
import sys
from pathlib import Path
import mlx.core as mx
from edge.model.qwen3vl import Qwen3VL
from edge.checkpoint.folder import load_folder
from tests.peak_memory import peak_rss_bytes
before = peak_rss_bytes()
loaded = load_folder(Path(sys.argv[1]), dtype=mx.bfloat16)
print(before, peak_rss_bytes(), loaded.num_bytes)
"""


@pytest.mark.parametrize("layout", ["hub", "transformers5"])
def test_loading_peaks_at_the_model_plus_the_tensors_of_one_rule(tmp_path: Path, layout: HubLayout) -> None:
    raw = tiny_config_json()
    raw["text_config"] |= {"num_hidden_layers": 8, "num_experts": 64, "hidden_size": 512, "moe_intermediate_size": 320}
    raw["vision_config"]["out_hidden_size"] = 512
    raw = transformers5_config_json(raw) if layout == "transformers5" else raw
    write_sparse_folder(tmp_path, raw, layout)
    words = [sys.executable, "-c", LOAD, str(tmp_path)]
    result = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    before, peak, num_bytes = map(int, result.stdout.split())
    largest = 64 * 512 * 640 * 2  # gate_up_proj of one layer
    assert num_bytes > 8 * largest
    # the source while its halves are made, and allocator slack; 53 MB measured
    assert peak - before < num_bytes + 2 * largest + 30_000_000
