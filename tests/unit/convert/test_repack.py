"""Repacked folders: the same values as the file's blocks, the same prompts, nothing under the name before the end."""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import redirect_stdout
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.__main__ import main
from convert.repack import repack
from convert.repack_source import open_gguf_source
from edge.checkpoint.folder import open_checkpoint
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.gguf_door import gguf_processor
from edge.checkpoint.names.gguf import gguf_name
from edge.checkpoint.pair import open_pair
from edge.errors import UsageError, WeightError
from edge.prompt.processor import Processor
from tests.unit.convert.gguf.sources import source_json, write_source
from tests.unit.convert.stops import stop_after

EXACT = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K_S", "Q5_K_S", "MXFP4_MOE"]
BFLOAT16_BOUND = 0.01


def _quiet(*words: str) -> str:
    with redirect_stdout(out := io.StringIO()):
        assert main(list(words)) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "Tiny", source_json(experts=3))


def _differences(folder: Path, gguf: Path) -> dict[str, float]:
    """Packed module -> root mean square of folder minus file over that of the file."""
    pair, checkpoint = open_pair(gguf), open_checkpoint(folder)
    assert checkpoint.quantized == pair.packed_modules()
    found = {}
    for module, form in checkpoint.quantized.items():
        parts = [checkpoint.source.read(f"{module}.{part}") for part in ("weight", "scales")]
        biases = checkpoint.source.read(f"{module}.biases") if form.mode == "affine" else None
        scales = parts[1].astype(mx.float32) if biases is not None else parts[1]
        biases = None if biases is None else biases.astype(mx.float32)
        values = mx.dequantize(
            parts[0], scales, biases, group_size=form.group_size, bits=form.bits, mode=form.mode
        ).astype(mx.float32)
        name = gguf_name(f"{module}.weight", pair.config.vision.deepstack_indexes)
        file = pair.file_of(name)
        if file.tensors[name].type.name != "Q6_K":  # the output, which has no exact form
            expected = decode(file.read_bytes(name), file.tensors[name].type)
            difference = np.array(values).reshape(expected.shape) - expected
            found[module] = float(np.sqrt(np.square(difference).mean() / np.square(expected).mean()))
    assert len(found) > 20
    return found


@pytest.mark.parametrize("kind", EXACT)
def test_exact_forms_keep_every_value(kind: str, source: Path, tmp_path: Path) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", kind, "--mmproj", "Q8_0", "--processes", "1")
    _quiet("repack", str(tmp_path / "t.gguf"), str(tmp_path / "out"))
    assert set(_differences(tmp_path / "out", tmp_path / "t.gguf").values()) == {0.0}
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("kind", ["Q4_K_S", "Q5_K_S"])
def test_bfloat16_scales_stay_within_the_stated_error(kind: str, source: Path, tmp_path: Path) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", kind, "--mmproj", "Q8_0", "--processes", "1")
    told = _quiet("repack", str(tmp_path / "t.gguf"), str(tmp_path / "out"), "--dtype", "bfloat16")
    found = _differences(tmp_path / "out", tmp_path / "t.gguf")
    assert 0 < max(found.values()) < BFLOAT16_BOUND
    assert "difference (root mean square): " in told
    assert kind[:4] in told


def test_prompts_of_the_folder_equal_those_of_the_pair(source: Path, tmp_path: Path) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", "Q4_0", "--mmproj", "F16", "--processes", "1")
    _quiet("repack", str(tmp_path / "t.gguf"), str(tmp_path / "out"))
    ours = Processor.from_folder(tmp_path / "out", open_checkpoint(tmp_path / "out").config)
    theirs = gguf_processor(open_pair(tmp_path / "t.gguf"))
    assert (ours.images, ours.videos, ours.generation) == (theirs.images, theirs.videos, theirs.generation)
    message = [{"role": "user", "content": [{"type": "image", "image": _picture()}, {"type": "text", "text": "ab é"}]}]
    np.testing.assert_array_equal(ours.build(message).token_ids, theirs.build(message).token_ids)


def _picture() -> bytes:
    from PIL import Image

    Image.new("RGB", (64, 96), (9, 99, 200)).save(buffer := io.BytesIO(), "PNG")
    return buffer.getvalue()


def test_a_folder_that_holds_something_is_kept(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", "Q8_0", "--mmproj", "F16", "--processes", "1")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    assert main(["repack", str(tmp_path / "t.gguf"), str(tmp_path / "out")]) == 2
    assert "out exists. Choose another OUT" in capsys.readouterr().err


class _StoppedError(Exception):
    pass


def test_a_stopped_repack_goes_on_to_the_same_files(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", "Q8_0", "--mmproj", "F16", "--processes", "1")
    source_of = open_gguf_source(tmp_path / "t.gguf", None)
    repack(*source_of, tmp_path / "expected", dtype=mx.float32)
    stop_after(monkeypatch, 7, _StoppedError())
    with pytest.raises(_StoppedError):
        repack(*source_of, tmp_path / "out", dtype=mx.float32)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    with pytest.raises(UsageError, match="holds an unfinished conversion with another --dtype"):
        repack(*source_of, tmp_path / "out", dtype=mx.float16)
    repack(*source_of, tmp_path / "out", dtype=mx.float32)
    assert _contents(tmp_path / "out") == _contents(tmp_path / "expected")


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_repacked_folder_has_sums_a_card_and_a_plan(source: Path, tmp_path: Path) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", "Q4_0", "--mmproj", "F16", "--processes", "1")
    told = _quiet("repack", str(tmp_path / "t.gguf"), str(tmp_path / "out"), "--dry-run")
    assert "Mac memory" in told
    assert not (tmp_path / "out").exists()
    told = _quiet("repack", str(tmp_path / "t.gguf"), str(tmp_path / "out"))
    assert told.endswith(f"Next: python -m edge.chat --model {tmp_path / 'out'}\n")
    value, name = (tmp_path / "out" / "SHA256SUMS").read_text().split()
    assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == value
    card = (tmp_path / "out" / "README.md").read_text()
    assert "python -m convert repack t.gguf OUT --dtype float32" in card
    assert hashlib.sha256((tmp_path / "t.gguf").read_bytes()).hexdigest() in card
    assert str(tmp_path) not in card


@pytest.mark.parametrize("kind", ["Q8_0", "F16", "BF16"])
def test_a_file_cut_while_it_is_repacked_is_one_line(kind: str, source: Path, tmp_path: Path) -> None:
    _quiet("gguf", str(source), str(tmp_path / "t.gguf"), "--type", kind, "--mmproj", "F16", "--processes", "1")
    (tmp_path / "SHA256SUMS").unlink()
    pair, files = open_gguf_source(tmp_path / "t.gguf", None)
    os.truncate(tmp_path / "t.gguf", 400_000)
    with pytest.raises(WeightError, match=r"t\.gguf: truncated while it was read"):
        repack(pair, files, tmp_path / "out", dtype=mx.float32)
