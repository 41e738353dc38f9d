"""Files of a folder that are no files, or hold far too much, end in one line soon."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import mlx.core as mx
import pytest

from edge.checkpoint import door
from edge.errors import ConfigError, EdgeError
from edge.loading import DEMO_FOLDER
from tests.unit.checkpoint.checkpoints import write_safetensors

FILES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"),
    *("preprocessor_config.json", "model.safetensors.index.json", "adapter_config.json", "chat_template.json"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo, with its weights by link."""
    for path in DEMO_FOLDER.iterdir():
        if path.suffix == ".safetensors":
            (tmp_path / path.name).symlink_to(path)
        elif path.is_file():
            shutil.copy(path, tmp_path)
    return tmp_path


def open_whole(folder: Path) -> None:
    door.open(folder).read_processor()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_named_and_does_not_hang(folder: Path, name: str, make: object) -> None:
    (folder / name).unlink(missing_ok=True)
    assert callable(make)
    make(folder / name)
    with pytest.raises(EdgeError, match="expected a file, found a folder, pipe or device"):
        open_whole(folder)


def test_twenty_thousand_foreign_tensors_are_seen_soon(folder: Path) -> None:
    (folder / "model.safetensors.index.json").unlink()
    write_safetensors(folder / "more.safetensors", {f"t{number}": mx.zeros((0,)) for number in range(20_000)})
    started = time.process_time()
    with pytest.raises(EdgeError) as caught:
        open_whole(folder)
    assert time.process_time() - started < 5
    assert len(str(caught.value)) <= 500


def edit(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("tokenizer_config.json", "additional_special_tokens", [f"<{number}>" for number in range(20_000)]),
        ("tokenizer_config.json", "added_tokens_decoder", {"7": "y" * 10**7}),
        ("tokenizer_config.json", "tokenizer_class", "z" * 10**7),
        ("generation_config.json", "eos_token_id", ["x" * 10**7]),
        ("preprocessor_config.json", "resample", "\x1b[2J" * 10**6),
    ],
)
def test_large_values_are_one_short_line(folder: Path, name: str, key: str, value: object) -> None:
    edit(folder / name, key, value)
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        open_whole(folder)
    assert time.process_time() - started < 5
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()


def test_a_token_that_only_tokenizer_json_names_beyond_the_embedding_is_refused(folder: Path) -> None:
    raw = json.loads((folder / "tokenizer.json").read_text())
    raw["added_tokens"].append({**raw["added_tokens"][-1], "id": 1024, "content": "[NEW]", "special": False})
    (folder / "tokenizer.json").write_text(json.dumps(raw))
    with pytest.raises(ConfigError, match=r"the token '\[NEW\]' has id 1024, the embedding has 1024 rows"):
        open_whole(folder)


def test_a_missing_gguf_file_is_called_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.gguf: no such file"):
        door.open(tmp_path / "x.gguf")


def test_a_page_saved_as_a_gguf_file_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_text("<!DOCTYPE html>" + "login" * 99)
    with pytest.raises(EdgeError, match=r"expected a GGUF file, found one that starts with b'<!DO'"):
        door.open(tmp_path / "x.gguf")
