"""Write tiny checkpoints in every layout, with random weights of standard deviation 0.2.

Sizes are pairwise different where a mix-up would be silent: 2 * expert width is not the hidden size,
heads * head size is not the hidden size, and every group of 32 fits, so that all packings can be written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from edge.checkpoint.files.dtypes import DTYPES
from edge.checkpoint.names.hub import HubLayout, expected_parameters, hub_table
from edge.checkpoint.names.joined import JOINED, join_names
from edge.checkpoint.names.table import Table
from edge.config import LayerQuantization, ModelConfig
from edge.config_json import model_config_from_dict
from edge.model.quantized import QuantizedSwitchLinear
from edge.model.qwen3vl import Qwen3VL

Json = dict[str, Any]  # Any: JSON
Parameters = dict[str, mx.array]

_FORMAT_NAMES = {
    mx.float32: "F32",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.uint32: "U32",
    mx.uint8: "U8",
}


def tiny_config_json(*, is_moe: bool = True, is_tied: bool = False) -> Json:
    """Return a config in the hub's spelling."""
    text: Json = {
        "attention_bias": False,
        "head_dim": 16,
        "hidden_act": "silu",
        "hidden_size": 64,
        "intermediate_size": 224,
        "max_position_embeddings": 512,
        "num_attention_heads": 6,
        "num_hidden_layers": 3,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
        "rope_theta": 70,
        "vocab_size": 100,
    }
    if is_moe:
        text |= {
            "decoder_sparse_step": 1,
            "mlp_only_layers": [1],
            "moe_intermediate_size": 160,
            "norm_topk_prob": True,
            "num_experts": 5,
            "num_experts_per_tok": 2,
        }
    return {
        "model_type": "qwen3_vl_moe" if is_moe else "qwen3_vl",
        "image_token_id": 91,
        "video_token_id": 92,
        "vision_start_token_id": 93,
        "vision_end_token_id": 94,
        "tie_word_embeddings": is_tied,
        "transformers_version": "4.57.0.dev0",
        "text_config": text,
        "vision_config": {
            "deepstack_visual_indexes": [0, 2],
            "depth": 3,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_size": 32,
            "in_channels": 3,
            "intermediate_size": 48,
            "num_heads": 4,
            "num_position_embeddings": 25,
            "out_hidden_size": 64,
            "patch_size": 4,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
    }


def transformers5_config_json(raw: Json) -> Json:
    """Spell a hub config as transformers 5 saves it."""
    text = dict(raw["text_config"])
    text["rope_parameters"] = {**text.pop("rope_scaling"), "rope_theta": text.pop("rope_theta")}
    if "num_experts" in text:
        text["num_local_experts"] = text.pop("num_experts")
    text.pop("norm_topk_prob", None)
    text |= {"tie_word_embeddings": True, "dtype": "float32", "sliding_window": None, "pad_token_id": None}
    vision = {
        **raw["vision_config"],
        "model_type": f"{raw['model_type']}_vision",
        "rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"},
    }
    return {**raw, "text_config": text, "vision_config": vision, "transformers_version": "5.23.0"}


def random_parameters(config: ModelConfig, *, seed: int = 0) -> Parameters:
    """Return every parameter of the model, float32."""
    random = np.random.default_rng(seed)
    return {
        name: mx.array(random.normal(0, 0.2, shape).astype(np.float32))
        for name, shape in expected_parameters(config).items()
    }


def parameters_of(model: Qwen3VL) -> Parameters:
    """Return the parameters of a model under the paths of files: joined ones taken apart."""
    flat: list[tuple[str, mx.array]] = tree_flatten(model.parameters())  # type: ignore[assignment]  # mlx: a union
    arrays = dict(flat)
    separate: Parameters = {}
    for rule in join_names(model.config, packed_forms(model)).rules:
        separate |= rule.inverse([arrays.pop(target.name) for target in rule.targets])
    return arrays | separate


def packed_forms(model: Qwen3VL) -> dict[str, LayerQuantization]:
    """Return how each module is packed, under the paths of files."""
    forms: dict[str, LayerQuantization] = {}
    for path, module in model.named_modules():
        if isinstance(module, QuantizedSwitchLinear):
            form = module.setting
        elif isinstance(module, nn.QuantizedLinear | nn.QuantizedEmbedding):
            form = LayerQuantization(group_size=module.group_size, bits=module.bits, mode=module.mode)
        else:
            continue
        forms |= dict.fromkeys(stored_paths(model, path), form)
    return forms


def stored_paths(model: Qwen3VL, path: str) -> list[str]:
    """Return the paths in files of the matrices that make up a module of the model."""
    whole, _, index = path.partition(".parts.")
    joined = re.sub(r"language_model\.model\.layers\.\d+\.", "", whole)
    if joined not in JOINED:
        return [path]
    layer = whole.removesuffix(joined)
    names = [f"{layer}{name}" for name in JOINED[joined]]
    if not index:
        return names
    shapes = expected_parameters(model.config)
    modules = dict(model.named_modules())
    outputs = [module.weight.shape[-2] for module in modules[whole].parts]
    runs: list[list[str]] = []
    for size in outputs:
        runs.append([])
        while sum(shapes[f"{name}.weight"][-2] for name in runs[-1]) < size:
            runs[-1].append(names.pop(0))
    return runs[int(index)]


def hub_tensors(parameters: Parameters, table: Table) -> Parameters:
    """Turn parameters into the tensors of a hub folder."""
    tensors: Parameters = {}
    for rule in table.rules:
        tensors.update(rule.inverse([parameters[target.name] for target in rule.targets]))
    return tensors


def write_hub_folder(
    folder: Path, raw: Json, parameters: Parameters, *, layout: HubLayout = "hub", num_shards: int = 1
) -> Path:
    """Write a hub folder in one of its two expert orders; `raw` is spelled by the caller."""
    tensors = hub_tensors(parameters, hub_table(model_config_from_dict(raw), layout))
    write_shards(folder, tensors, num_shards=num_shards)
    return write_config(folder, raw)


def write_fp8_folder(folder: Path, raw: Json, parameters: Parameters, *, block_shape: tuple[int, int]) -> Path:
    """Write a hub folder with the decoder's matrices as FP8 blocks, as the hub's FP8 repositories have it."""
    raw = {**raw, "quantization_config": fp8_config_json(block_shape)}
    config = model_config_from_dict(raw)
    names = [name for name in hub_table(config, "hub").source_shapes() if is_fp8_on_hub(name)]
    tensors = hub_tensors(parameters, hub_table(config, "hub", fp8_names=names))
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(folder / "model.safetensors", tensors, dtypes=dict.fromkeys(names, "F8_E4M3"))
    return write_config(folder, raw)


def fp8_config_json(block_shape: tuple[int, int]) -> Json:
    """Return the quantization_config of an FP8 repository."""
    return {
        "quant_method": "fp8",
        "fmt": "e4m3",
        "activation_scheme": "dynamic",
        "weight_block_size": list(block_shape),
        "modules_to_not_convert": ["lm_head", "model.visual.merger"],
    }


def is_fp8_on_hub(name: str) -> bool:
    """Tell which tensors Qwen's FP8 repositories pack: projections of the decoder, not the router."""
    return ".layers." in name and ("_proj" in name) and not name.endswith("norm.weight")


def write_mlx_folder(
    folder: Path,
    raw: Json,
    parameters: Parameters,
    *,
    quantization: Json | None = None,
    plain: tuple[str, ...] = ("vision_tower.",),
) -> Path:
    """Write an MLX folder; with `quantization` all matrices are packed but those whose path starts with `plain`."""
    raw = dict(raw)
    tensors = dict(parameters)
    if quantization is not None:
        raw["quantization"] = raw["quantization_config"] = quantization
        tensors = pack(parameters, quantization, plain=plain)
    write_shards(folder, tensors)
    return write_config(folder, raw)


def pack(parameters: Parameters, quantization: Json, *, plain: tuple[str, ...]) -> Parameters:
    """Pack matrices as MLX does."""
    tensors: Parameters = {}
    for name, array in parameters.items():
        module = name.removesuffix(".weight")
        setting = quantization.get(module, {key: quantization[key] for key in ("group_size", "bits", "mode")})
        if array.ndim < 2 or module.startswith(plain) or setting is False:
            tensors[name] = array
            continue
        parts = mx.quantize(array, **setting)
        names = (name, f"{module}.scales", f"{module}.biases")
        tensors.update(zip(names, parts, strict=False))
    return tensors


def write_config(folder: Path, raw: Json) -> Path:
    """Write `config.json`; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(raw))
    return folder


def write_shards(folder: Path, tensors: Parameters, *, num_shards: int = 1) -> None:
    """Write tensors in shards, with an index when there are several."""
    folder.mkdir(parents=True, exist_ok=True)
    if num_shards == 1:
        write_safetensors(folder / "model.safetensors", tensors)
        return
    names = list(tensors)
    weight_map = {}
    for shard in range(num_shards):
        file_name = f"model-{shard + 1:05d}-of-{num_shards:05d}.safetensors"
        part = {name: tensors[name] for name in names[shard::num_shards]}
        write_safetensors(folder / file_name, part)
        weight_map.update(dict.fromkeys(part, file_name))
    write_index(folder, weight_map)


def write_index(folder: Path, weight_map: Mapping[str, str]) -> None:
    """Write `model.safetensors.index.json`."""
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": dict(weight_map)}))


def write_safetensors(path: Path, tensors: Parameters, *, dtypes: Mapping[str, str] | None = None) -> None:
    """Write arrays; `dtypes` overrides format dtypes of arrays that hold codes."""
    dtypes = dtypes or {}
    entries = {name: (dtypes.get(name, _FORMAT_NAMES[array.dtype]), array.shape) for name, array in tensors.items()}
    with path.open("wb") as file:
        file.write(header_bytes(entries))
        for array in tensors.values():
            data = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
            file.write(np.array(data).tobytes())


def write_sparse_safetensors(path: Path, entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Write a file of true length whose data is a hole: all zero, and next to nothing on disk."""
    with path.open("wb") as file:
        file.write(header_bytes(entries))
        file.truncate(file.tell() + sum(_num_bytes(*entry) for entry in entries.values()))


def header_bytes(entries: Mapping[str, tuple[str, tuple[int, ...]]], **metadata: str) -> bytes:
    """Return length and header of a safetensors file with these (dtype, shape) entries in order."""
    raw: Json = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, (dtype, shape) in entries.items():
        start, end = end, end + _num_bytes(dtype, shape)
        raw[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(raw).encode()
    return len(text).to_bytes(8, "little") + text


def _num_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    return prod(shape) * DTYPES[dtype].bits // 8
