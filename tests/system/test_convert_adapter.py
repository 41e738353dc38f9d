"""An adapter beside the source: merged, refused or named, alike for every output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.convert_lines import (
    GGUF,
    MLX,
    REPACK,
    Line,
    assert_nothing_is_there,
    at_piece,
    cut,
    rewrite,
    run,
)
from tests.unit.checkpoint.adapters import pair_of, write_adapter

merging_line = pytest.mark.parametrize("line", [MLX, GGUF], ids=lambda line: line.name)


def made_without(line: Line, sound: Path, folder: Path) -> dict[str, str]:
    folder.mkdir()
    assert run(line, sound, folder) == (0, "")
    return line.files(folder)


def add_adapter(source: Path) -> Path:
    """Put an adapter beside the weights; return the file of its matrices."""
    write_adapter(source, pair_of("model.language_model.layers.0.self_attn.q_proj", outputs=512, inputs=256))
    return source / "adapter_model.safetensors"


@merging_line
def test_an_adapter_is_merged(line: Line, sound: Path, source: Path, place: Path, tmp_path: Path) -> None:
    without = made_without(line, sound, tmp_path / "without")
    add_adapter(source)
    assert run(line, source, place) == (0, "")
    made = line.files(place)
    changed = {name for name in made if made[name] != without.get(name)}
    assert any(name.endswith((".safetensors", ".gguf")) for name in changed)
    assert set(made) == set(without)


@pytest.mark.long
def test_worker_processes_merge_as_one_does(source: Path, place: Path, tmp_path: Path) -> None:
    add_adapter(source)
    assert run(GGUF, source, place) == (0, "")
    (tmp_path / "two").mkdir()
    two = replace(GGUF, options=("--type", "Q8_0", "--processes", "2"))
    assert run(two, source, tmp_path / "two") == (0, "")
    assert two.files(tmp_path / "two") == GGUF.files(place)


def test_an_adapter_beside_a_gguf_file_is_not_left_out_without_a_word(
    sound: Path, source: Path, place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without = made_without(REPACK, sound, tmp_path / "without")
    add_adapter(source)
    assert run(REPACK, source, place)[0] == 0
    assert "adapter_config.json: not merged, a GGUF file's weights are final" in caplog.text
    assert REPACK.files(place) == without


def infinite(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-4:] = b"\0\0\x80\x7f"
    path.write_bytes(content)


@merging_line
@pytest.mark.parametrize(
    ("harm", "moment", "message"),
    [
        (cut, None, "truncated"),
        (infinite, None, "infinite or no number"),
        (lambda path: path.unlink(), None, "file not found"),
        (rewrite, 3, "changed while it was converted"),
    ],
    ids=["cut", "infinite", "removed", "changed"],
)
def test_a_broken_adapter_is_refused_and_nothing_is_left(
    line: Line,
    harm: Callable[[Path], object],
    moment: int | None,
    message: str,
    source: Path,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = add_adapter(source)
    if moment is None:
        harm(weights)
    else:
        at_piece(moment, lambda: harm(weights), monkeypatch)
    code, shown = run(line, source, place)
    assert code == 1
    assert message in shown
    assert_nothing_is_there(line, place)
