"""Metadata and tensor lists: those llama.cpp's converter wrote for a tiny checkpoint with the real vocabulary."""

from __future__ import annotations

import ast
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from convert.gguf.plan import Wanted, make_plan
from convert.gguf.run import write_plan
from convert.gguf.types import FILE_TYPES
from edge.checkpoint.files.gguf import GgufFile, Value, open_gguf
from edge.checkpoint.folder import open_checkpoint
from edge.checkpoint.names.gguf import projector_table, text_table
from edge.checkpoint.names.hub import hub_table
from edge.config_json import model_config_from_dict
from tests.real_tokenizer import added_tokens, tokenizer_json
from tests.shared_facts import FACTS, needs_facts
from tests.unit.checkpoint.checkpoints import write_config, write_sparse_safetensors
from tests.unit.convert.gguf.sources import opened, source_json, token_ids, write_companions, write_source

Json = dict[str, Any]  # Any: JSON
TEXT, PROJECTOR = "text_metadata_and_tensors.txt", "projector_f16_metadata_and_tensors.txt"


def _facts_json() -> Json:
    """The config of the checkpoint the facts were taken from, with one layer in place of eight."""
    raw = source_json(layers=1, experts=16)
    raw["text_config"] |= {"intermediate_size": 768, "num_experts_per_tok": 4, "max_position_embeddings": 262144}
    raw["text_config"] |= {"rope_theta": 5000000, "vocab_size": 151936}
    raw["vision_config"] |= {"depth": 4, "hidden_size": 128, "intermediate_size": 256, "num_position_embeddings": 2304}
    raw["vision_config"] |= {"deepstack_visual_indexes": [0]}
    ids = {name: number for name, (number, _) in added_tokens().items()}
    for key, token in (("image", "image_pad"), ("video", "video_pad")):
        raw[f"{key}_token_id"] = ids[f"<|{token}|>"]
    for key in ("vision_start", "vision_end"):
        raw[f"{key}_token_id"] = ids[f"<|{key}|>"]
    return raw


def _read_facts(name: str) -> tuple[dict[str, str], list[str]]:
    keys, tensors = (FACTS / "gguf" / name).read_text().split("## tensors")
    pairs = [line.split(" | ", 2) for line in keys.splitlines()[1:] if not line.startswith("GGUF.")]
    return {key: value for key, _, value in pairs}, tensors.splitlines()[1:]


def _shown(value: Value) -> str:
    """A value as the facts show it: long lists and texts are cut."""
    if isinstance(value, list) and len(value) > 10:
        return f"[{len(value)}] {value[:4]!r}"
    return repr(value)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[GgufFile, GgufFile]:
    """Both files with their heads; the tensors are holes, since only what describes them counts here."""
    folder = tmp_path_factory.mktemp("facts") / "tiny-off"
    raw = _facts_json()
    write_config(folder, raw)
    shapes = hub_table(model_config_from_dict(raw), "hub").source_shapes()
    write_sparse_safetensors(folder / "model.safetensors", {name: ("BF16", shape) for name, shape in shapes.items()})
    write_companions(folder)
    (folder / "tokenizer.json").write_text(tokenizer_json())
    (folder / "generation_config.json").unlink()
    wanted = Wanted(folder.parent / "t.gguf", FILE_TYPES["BF16"], FILE_TYPES["F16"])
    plan = make_plan(open_checkpoint(folder), wanted)
    for file in plan.files:
        file.path.write_bytes(file.head)
        os.truncate(file.path, file.num_bytes)
    return open_gguf(plan.files[0].path), open_gguf(plan.files[1].path)


@needs_facts
def test_text_keys_and_values_are_those_of_llama_cpp(written: tuple[GgufFile, GgufFile]) -> None:
    facts, _ = _read_facts(TEXT)
    # What differs with one layer, one DeepStack level, and the companions of the tests.
    own = ("general.size_label", "qwen3vlmoe.block_count", "qwen3vlmoe.n_deepstack_layers", "tokenizer.chat_template")
    found = written[0].metadata
    keys = [key for key in facts if key not in ("tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_eos_token")]
    assert [key for key in found if key in keys] == keys
    for key in keys:
        value = found[key]
        shown = _shown(value)
        expected = facts[key].strip('"') if facts[key].startswith('"[') else facts[key]
        expected = ast.literal_eval(expected) if expected.startswith("'[") else expected
        if key not in (*own, "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"):
            assert shown == expected, key


@needs_facts
def test_projector_keys_and_values_are_those_of_llama_cpp(written: tuple[GgufFile, GgufFile]) -> None:
    facts, _ = _read_facts(PROJECTOR)
    found = written[1].metadata
    assert list(found) == list(facts)
    for key, value in found.items():
        if key not in ("general.size_label", "clip.vision.is_deepstack_layers"):
            assert _shown(value) == facts[key], key


@needs_facts
@pytest.mark.parametrize("name", [TEXT, PROJECTOR])
def test_tensor_lists_are_those_of_llama_cpp(name: str, written: tuple[GgufFile, GgufFile]) -> None:
    _, lines = _read_facts(name)
    file = written[0] if name == TEXT else written[1]
    found = [
        f"{tensor_name} {list(reversed(tensor.shape))} {tensor.type.name} {tensor.num_bytes}"
        for tensor_name, tensor in file.tensors.items()
    ]
    expected = [line for line in lines if not re.match(r"v\.deepstack\.[12]\.", line)]  # one level here, three there
    assert found == expected


def test_table_order_is_by_layer_number() -> None:
    config = model_config_from_dict(source_json(layers=12))
    names = [rule.sources[0] for rule in text_table(config).rules]
    assert names[:2] == ["output.weight", "token_embd.weight"]
    assert names[-1] == "output_norm.weight"
    layers = [int(name.split(".")[1]) for name in names if name.startswith("blk.")]
    assert layers == sorted(layers)
    assert projector_table(config).rules[0].sources[0] == "v.blk.0.attn_out.bias"


def test_other_pixel_limits_are_kept(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    path = folder / "preprocessor_config.json"
    path.write_text(path.read_text().replace("65536", "16384").replace("16777216", "16384"))
    source_of = opened(folder)
    plan = make_plan(source_of.checkpoint, Wanted(tmp_path / "t.gguf", FILE_TYPES["Q8_0"], FILE_TYPES["F16"]))
    write_plan(plan, source_of, num_processes=1)
    metadata = open_gguf(plan.files[1].path).metadata
    assert (metadata["clip.vision.image_min_pixels"], metadata["clip.vision.image_max_pixels"]) == (16384, 16384)


def test_tokens_have_llama_cpps_kinds(tmp_path: Path) -> None:
    from convert.gguf.vocabulary import read_tokens

    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    tokens, ids = read_tokens(folder, num_rows=280), token_ids()
    kinds = {text: tokens.kinds[number] for text, number in ids.items()}
    assert kinds["<|im_end|>"] == 3  # control
    assert kinds["<|fim_prefix|>"] == 3  # not special, but it looks so
    assert kinds["<think>"] == 4  # user-defined
    assert tokens.kinds[:261] == [1] * 261
    assert (tokens.texts[-1], tokens.kinds[-1]) == ("[PAD279]", 5)


def test_files_start_with_their_head_and_align_tensors(tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    plan = make_plan(open_checkpoint(folder), Wanted(tmp_path / "t.gguf", FILE_TYPES["Q6_K"], None))
    (file,) = plan.files
    assert len(file.head) % 32 == 0
    assert all(place.start % 32 == 0 for place in file.places)
    assert file.places[-1].start + file.places[-1].tensor.num_bytes <= file.num_bytes


@pytest.mark.parametrize("old", ["old", [{"name": "default", "template": "old"}, {"name": "rag", "template": "named"}]])
def test_a_corrected_template_wins_over_the_tokenizers_old_one(old: object, tmp_path: Path) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": old}))
    source_of = opened(folder)
    plan = make_plan(source_of.checkpoint, Wanted(tmp_path / "t.gguf", FILE_TYPES["Q8_0"], None))
    write_plan(plan, source_of, num_processes=1)
    metadata = open_gguf(tmp_path / "t.gguf").metadata
    assert metadata["tokenizer.chat_template"] == (folder / "chat_template.jinja").read_text()
    assert metadata.get("tokenizer.chat_template.rag") == ("named" if isinstance(old, list) else None)
