from __future__ import annotations

from pathlib import Path

import pytest

import edge
from edge.checkpoint import door
from edge.errors import UsageError
from edge.short_names import SIZES, read_short_name, spell_out


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        ("30b", "mlx-community/Qwen3-VL-30B-A3B-Instruct-4bit"),
        ("30B", "mlx-community/Qwen3-VL-30B-A3B-Instruct-4bit"),
        ("8b-instruct", "mlx-community/Qwen3-VL-8B-Instruct-4bit"),
        ("30b-thinking-4bit", "mlx-community/Qwen3-VL-30B-A3B-Thinking-4bit"),
        ("qwen3-vl-30b-a3b-thinking-8bit", "mlx-community/Qwen3-VL-30B-A3B-Thinking-8bit"),
        ("Qwen3VL-4b-6bit", "mlx-community/Qwen3-VL-4B-Instruct-6bit"),
        ("235b-thinking", "mlx-community/Qwen3-VL-235B-A22B-Thinking-3bit"),
        ("2b_thinking", "mlx-community/Qwen3-VL-2B-Thinking-4bit"),
        ("8b-bf16", "Qwen/Qwen3-VL-8B-Instruct"),
        ("30b-thinking-fp8", "Qwen/Qwen3-VL-30B-A3B-Thinking-FP8"),
    ],
)
def test_short_names_mean_ready_folders(name: str, hub_id: str) -> None:
    short = read_short_name(name)
    assert short is not None
    assert short.hub_id == hub_id


@pytest.mark.parametrize("name", ["30b-thinking-3bit", "30b-5bit", "8b-7bit", "235b-8bit"])
def test_bits_that_are_not_ready_come_with_the_command_that_makes_them(name: str) -> None:
    with pytest.raises(UsageError, match=r"python -m convert mlx Qwen/Qwen3-VL-\S+ \S+ --recipe \dbit"):
        read_short_name(name)


@pytest.mark.parametrize("name", ["", "7b", "30b-chat", "org/30b", "./30b", "30b-4bit-x", "model.gguf"])
def test_other_names_are_left_to_others(name: str) -> None:
    assert read_short_name(name) is None


@pytest.mark.parametrize(
    ("size", "bits", "published_gb"),
    [("30b", 4, 18.27), ("30b", 8, 33.53), ("32b", 4, 19.64), ("8b", 8, 9.87), ("4b", 4, 3.11), ("235b", 3, 104.02)],
)
def test_sizes_are_those_of_the_published_folders(size: str, bits: int, published_gb: float) -> None:
    assert SIZES[size].weight_bytes(bits) == pytest.approx(published_gb * 1e9, rel=0.01)


def test_a_short_name_is_spelled_out_unless_a_path_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert spell_out("8b") == "mlx-community/Qwen3-VL-8B-Instruct-4bit"
    assert [spell_out(name) for name in ("org/8b", "./8b", "gpt5", "demo")] == ["org/8b", "./8b", "gpt5", "demo"]
    (tmp_path / "8b").mkdir()
    assert spell_out("8b") == "8b"
    assert spell_out(Path("4b")) == Path("4b")


def test_every_program_loads_short_names(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(model: str, **_: object) -> None:
        raise UsageError(f"opened {model}")

    monkeypatch.setattr(door, "open", refuse)
    with pytest.raises(UsageError, match="opened mlx-community/Qwen3-VL-2B-Thinking-4bit"):
        edge.load("2b-thinking")
