"""Type rules: those of llama.cpp's dry run on the real 30B, and the exceptions for other shapes."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from convert.gguf.types import FILE_TYPES, Layer, choose_file_type, projector_tensor_type, text_tensor_type
from edge.checkpoint.names.gguf import text_table
from edge.config import TextConfig
from edge.config_json import model_config_from_dict, model_config_from_file
from edge.errors import UsageError
from tests.shared_facts import FACTS, needs_facts
from tests.unit.convert.gguf.sources import source_json

REAL = [name for name in FILE_TYPES if name not in ("F32", "F16", "BF16", "Q5_0", "Q5_1", "IQ3_M")]
Row = dict[str, int | list[int]]


def _read_facts() -> dict[str, dict[str, Row]]:
    found: dict[str, dict[str, Row]] = {}
    for line in (FACTS / "gguf" / "types_per_tensor_30b.txt").read_text().splitlines():
        if line.startswith("## "):
            rows = found.setdefault(line[3:].strip(), {})
        else:
            name, _, row = line.strip().partition(" ")
            rows[name] = ast.literal_eval(row)
    return found


@needs_facts
@pytest.mark.parametrize("file_type", [name for name in REAL if FACTS.is_dir() and name in _read_facts()])
def test_the_30b_gets_the_types_of_llama_cpp(file_type: str) -> None:
    config = model_config_from_file(Path(FACTS / "raw" / "hub_30b_thinking" / "config.json"))
    chosen: dict[str, dict[str, list[int]]] = {}
    for name, shape in text_table(config).source_shapes().items():
        match = re.match(r"blk\.(\d+)\.(.*)", name)
        index, short = (int(match[1]), match[2]) if match else (0, name)
        kind = text_tensor_type(name, shape, FILE_TYPES[file_type], Layer(index, config.text)).name
        chosen.setdefault(short, {}).setdefault(kind, []).append(index)
    for short, row in _read_facts()[file_type].items():
        expected = {"F32": 48} if short == "ffn_gate_inp.weight" else {kind.upper(): n for kind, n in row.items()}
        counted = {
            kind: layers if isinstance(expected.get(kind), list) else len(layers)
            for kind, layers in chosen[short].items()
        }
        assert counted == expected, short


def _text(**changes: int) -> TextConfig:
    return replace(model_config_from_dict(source_json()).text, **changes)  # type: ignore[arg-type]  # sizes only


@pytest.mark.parametrize(
    ("file_type", "row", "expected"),
    [
        ("Q4_K_S", 96, "Q5_0"),
        ("Q5_K_S", 96, "Q5_1"),
        ("Q6_K", 96, "Q8_0"),
        ("Q3_K_S", 96, "Q4_0"),
        ("Q2_K", 96, "Q4_0"),
        ("IQ4_XS", 96, "IQ4_NL"),
        ("IQ3_M", 96, "IQ4_NL"),
        ("Q4_K_S", 80, "F16"),
        ("Q8_0", 80, "F16"),
    ],
)
def test_rows_that_do_not_divide_fall_back(file_type: str, row: int, expected: str) -> None:
    kind = text_tensor_type("blk.1.ffn_up.weight", (512, row), FILE_TYPES[file_type], Layer(1, _text()))
    assert kind.name == expected


@pytest.mark.parametrize("name", ["blk.0.attn_norm.weight", "blk.0.attn_q_norm.weight", "blk.0.ffn_gate_inp.weight"])
@pytest.mark.parametrize("file_type", ["F16", "BF16", "Q8_0", "Q2_K", "MXFP4_MOE"])
def test_norms_and_routers_stay_f32(name: str, file_type: str) -> None:
    shape = (4, 256) if "inp" in name else (256,)
    assert text_tensor_type(name, shape, FILE_TYPES[file_type], Layer(0, _text())).name == "F32"


def test_a_tied_embedding_gets_the_outputs_type() -> None:
    layer = Layer(0, _text(), is_tied=True)
    assert text_tensor_type("token_embd.weight", (280, 256), FILE_TYPES["Q4_K_M"], layer).name == "Q6_K"
    assert text_tensor_type("token_embd.weight", (280, 256), FILE_TYPES["Q4_K_M"], Layer(0, _text())).name == "Q4_K"


def test_importance_decides_early_layers() -> None:
    text = _text(num_layers=16)
    name, shape = "blk.1.ffn_down_exps.weight", (4, 256, 512)
    plain, weighed = Layer(1, text), Layer(1, text, has_imatrix=True)
    assert text_tensor_type(name, shape, FILE_TYPES["Q4_0"], weighed).name == "Q4_1"
    assert text_tensor_type(name, shape, FILE_TYPES["Q4_0"], plain).name == "Q4_0"
    assert text_tensor_type(name, shape, FILE_TYPES["IQ4_XS"], weighed).name == "IQ4_XS"
    assert text_tensor_type(name, shape, FILE_TYPES["IQ4_XS"], plain).name == "Q5_K"


@pytest.mark.parametrize(
    ("name", "file_type", "expected"),
    [
        ("v.patch_embd.weight", "F16", "F16"),
        ("v.patch_embd.weight.1", "Q8_0", "F32"),
        ("v.position_embd.weight", "F16", "F32"),
        ("v.blk.0.ffn_up.weight", "Q8_0", "Q8_0"),
        ("v.blk.0.ffn_down.weight", "Q8_0", "F16"),
        ("v.blk.0.ffn_down.weight", "BF16", "BF16"),
    ],
)
def test_projector_types(name: str, file_type: str, expected: str) -> None:
    shape = (64, 80) if "down" in name else (80, 64)
    assert projector_tensor_type(name, shape, FILE_TYPES[file_type]).name == expected


def test_an_unknown_type_lists_the_known_ones() -> None:
    assert choose_file_type("q4_k_m").name == "Q4_K_M"
    with pytest.raises(UsageError, match=r"expected a type out of F32, F16.*found 'Q9'"):
        choose_file_type("Q9")
