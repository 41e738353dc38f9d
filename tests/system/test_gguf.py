"""GGUF as a user meets it: a real llama.cpp answers as this runtime does, and the chat program takes a pair."""

from __future__ import annotations

import base64
import io
from contextlib import redirect_stdout
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from convert.__main__ import main
from edge.checkpoint.files.gguf import open_gguf
from edge.engine import Engine
from edge.loading import demo_folder, load
from edge.request import Request
from edge.run.sample import SamplingParams
from examples.demo_model.held_out import cases
from tests.system.chat_process import run_chat
from tests.system.llama_process import Json, ask_llama_cpp, has_llama_cpp
from tests.unit.checkpoint.checkpoints import write_hub_folder
from tests.unit.convert.gguf.sources import source_json, source_parameters, write_companions, write_source

NUM_TOKENS = 16
needs_llama_cpp = pytest.mark.skipif(not has_llama_cpp, reason="needs xllamacpp")


def _convert(source: Path, out: Path, *options: str) -> Path:
    with redirect_stdout(io.StringIO()):
        assert main(["gguf", str(source), str(out), "--processes", "1", *options]) == 0
    return out


def _picture_url() -> str:
    """A picture that neither side resizes: sides are multiples of 32, the area lies in both ranges."""
    pixels = np.random.default_rng(0).integers(0, 255, (256, 320, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer := io.BytesIO(), "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _conversations() -> list[list[Json]]:
    picture = {"type": "image_url", "image_url": {"url": _picture_url()}}
    return [
        [{"role": "user", "content": "the ab"}],
        [{"role": "system", "content": "be"}, {"role": "user", "content": "Hello there?"}],
        [{"role": "user", "content": [picture, {"type": "text", "text": "what"}]}],
    ]


def _answers(engine: Engine) -> list[str]:
    greedy = SamplingParams(temperature=0.0)
    requests = [Request(messages=talk, max_tokens=NUM_TOKENS, sampling=greedy) for talk in _conversations()]
    return [engine.answer(request).text for request in requests]


def _as_urls(messages: list[Json]) -> list[Json]:
    """Put pictures into messages as other programs take them."""
    found = []
    for message in messages:
        parts = []
        for part in message["content"]:
            if part["type"] == "image":
                part["image"].save(buffer := io.BytesIO(), "PNG")
                url = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
                part = {"type": "image_url", "image_url": {"url": url}}
            parts.append(part)
        found.append({**message, "content": parts})
    return found


def _write_lively_source(folder: Path, *, is_moe: bool) -> Path:
    """A random model whose answers are text: llama.cpp tells nothing of an answer of broken characters only."""
    raw = source_json(is_moe=is_moe)
    parameters = source_parameters(raw, seed=0 if is_moe else 7)
    damped = {
        name: mx.multiply(array, 0.5) if array.ndim > 1 and ".layers." in name else array
        for name, array in parameters.items()
    }
    write_hub_folder(folder, raw, damped)
    return write_companions(folder)


@needs_llama_cpp
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["F32", "F16"])
@pytest.mark.parametrize("is_moe", [True, False])
def test_llama_cpp_gives_our_greedy_answers(is_moe: bool, kind: str, tmp_path: Path) -> None:
    source = _write_lively_source(tmp_path / "Tiny", is_moe=is_moe)
    model = _convert(source, tmp_path / "t.gguf", "--type", kind, "--mmproj", kind)
    requests = [{"messages": talk, "max_tokens": NUM_TOKENS} for talk in _conversations()]
    theirs = ask_llama_cpp(model, tmp_path / f"mmproj-t-{kind}.gguf", requests, folder=tmp_path)
    ours = _answers(load(source))
    assert theirs == ours
    assert len({*ours}) == 3
    assert _answers(load(model)) == ours


@needs_llama_cpp
@pytest.mark.long
def test_llama_cpp_runs_types_chosen_under_a_budget(tmp_path: Path) -> None:
    """The demo's own questions, at the bytes of its plain 4-bit types: at least three of four right, word for word."""
    model = _convert(demo_folder(), tmp_path / "d.gguf", "--size", "16.0MB", "--mmproj", "F16")
    types = {tensor.type.name for tensor in open_gguf(model).tensors.values()} - {"F32", "F16"}
    assert len(types) > 2
    asked = cases("describe", 2) + cases("count", 2)
    requests = [{"messages": _as_urls(case.messages), "max_tokens": 200} for case in asked]
    theirs = ask_llama_cpp(model, tmp_path / "mmproj-d-F16.gguf", requests, folder=tmp_path)
    answers = [text.rpartition("</think>")[2].strip() for text in theirs]
    assert sum(case.check(answer) for case, answer in zip(asked, answers, strict=True)) >= 3


@pytest.mark.slow
def test_the_chat_program_answers_from_a_pair(tmp_path: Path) -> None:
    source = write_source(tmp_path / "Tiny", source_json(is_moe=False))
    model = _convert(source, tmp_path / "t.gguf", "--type", "Q8_0", "--mmproj", "F16")
    (tmp_path / "mmproj-t-F16.gguf").rename(tmp_path / "vision.gguf")
    options = ("--temperature", "0", "--max-tokens", "5", "hello")
    missing = run_chat(["--model", model, *options], data=tmp_path)
    assert missing.code == 1
    assert missing.err.count("\n") == 1
    assert "expected its projector beside it" in missing.err
    found = run_chat(["--model", model, "--mmproj", tmp_path / "vision.gguf", *options], data=tmp_path)
    assert found.code == 0
    assert found.out


@pytest.mark.slow
def test_a_cut_file_is_one_line(tmp_path: Path) -> None:
    source = write_source(tmp_path / "Tiny", source_json(is_moe=False))
    model = _convert(source, tmp_path / "t.gguf", "--type", "Q8_0", "--mmproj", "F16")
    raw = model.read_bytes()
    for length in (0, 3, 30, 5000, len(raw) - 1):
        model.write_bytes(raw[:length])
        done = run_chat(["--model", model, "hello"], data=tmp_path)
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert str(model) in done.err
