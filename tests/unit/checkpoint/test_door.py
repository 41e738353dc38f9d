"""One door for every checkpoint: by what the files say, not by their names; tokens without a row are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlx.core as mx
import pytest

from edge.checkpoint import door, folder
from edge.errors import ConfigError, EdgeError, WeightError
from edge.loading import DEMO_FOLDER
from tests.unit.checkpoint.adapters import pair_of, write_adapter
from tests.unit.checkpoint.gguf_files import small_file


def demo_copy(folder: Path) -> Path:
    shutil.copytree(DEMO_FOLDER, folder)
    return folder


def test_a_folder_gives_all_its_parts_and_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = door.open(DEMO_FOLDER, dtype=mx.float32)
    monkeypatch.setattr(folder, "open_folder", lambda *_: pytest.fail("opened again"))
    loaded = opened.read_model(mx.float32)
    assert loaded.num_bytes == pytest.approx(opened.weight_bytes(itemsize=4), rel=1e-3)  # head norms are spread
    assert opened.read_processor().config is opened.config
    name = "model.language_model.norm.weight"
    name = name if name in opened.stored.source.tensors else "language_model.model.norm.weight"  # type: ignore[attr-defined]  # a folder
    assert mx.array_equal(opened.read(name, 3, 7), opened.read(name)[3:7])


@pytest.mark.parametrize("number", [1024, 5000])
def test_a_token_without_a_row_is_refused(tmp_path: Path, number: int) -> None:
    copy = demo_copy(tmp_path / "demo")
    path = copy / "tokenizer.json"
    raw = json.loads(path.read_text())
    token = {**raw["added_tokens"][-1], "id": number, "content": "[NEW]", "special": False}
    path.write_text(json.dumps({**raw, "added_tokens": [*raw["added_tokens"], token]}))
    with pytest.raises(ConfigError, match=r"'\[NEW\]' has id \d+, the embedding has 1024 rows"):
        door.open(copy, dtype=mx.float32).read_processor()


def test_a_gguf_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    for name in ("sha256-1", "model.GGUF", "model.bin"):
        (tmp_path / name).write_bytes(small_file())
        with pytest.raises(EdgeError, match=r"expected its projector beside it|architecture|a projector"):
            door.open(tmp_path / name)


def test_an_adapter_and_a_projector_are_refused_where_they_do_not_belong(tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", pair_of("x", outputs=1, inputs=1))
    (tmp_path / "m.gguf").write_bytes(small_file())
    with pytest.raises(ConfigError, match="cannot be merged into GGUF blocks"):
        door.open(tmp_path / "m.gguf", adapter=adapter)
    with pytest.raises(ConfigError, match=r"Leave --mmproj out"):
        door.open(DEMO_FOLDER, projector=tmp_path / "m.gguf")
    with pytest.raises(WeightError, match="no such module"):
        door.open(DEMO_FOLDER, adapter=adapter)


def test_identity_changes_with_the_files(tmp_path: Path) -> None:
    copy = demo_copy(tmp_path / "demo")
    before = door.open(copy, dtype=mx.float32).identity
    path = copy / "config.json"
    path.write_text(path.read_text() + " ")
    assert door.open(copy, dtype=mx.float32).identity != before
