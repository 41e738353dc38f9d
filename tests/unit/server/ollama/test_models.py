from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from edge.loading import demo_folder
from edge.server.catalogue import ModelEntry
from edge.server.models import ModelShelf
from edge.server.ollama.models import show_body, tag_body


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("config.json", "chat_template.jinja"):
        shutil.copy(demo_folder() / name, tmp_path)
    return tmp_path


def test_a_folder_that_is_not_in_memory_is_described_from_its_files(folder: Path) -> None:
    body = tag_body(ModelEntry("org/m", str(folder), created=10), None)
    assert (body["name"], body["model"]) == ("org/m:latest", "org/m:latest")
    assert body["size"] == sum(path.stat().st_size for path in folder.iterdir())
    assert body["capabilities"] == ["completion", "vision", "tools", "thinking"]
    assert body["details"]["family"] == "qwen3vlmoe"
    assert datetime.fromisoformat(body["modified_at"]).timestamp() == 10
    assert len(body["digest"]) == 64


def test_a_template_without_a_thought_has_no_such_capability(folder: Path) -> None:
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<think>", ""))
    assert "thinking" not in tag_body(ModelEntry("m", str(folder)), None)["capabilities"]


def test_the_bits_of_a_quantized_model_are_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization": {"bits": 4, "group_size": 64}}))
    assert tag_body(ModelEntry("m", str(folder)), None)["details"]["quantization_level"] == "4-bit"


@pytest.mark.parametrize("source", ["org/name", "/nowhere/x.gguf"])
def test_a_model_whose_files_are_elsewhere_is_listed_all_the_same(source: str) -> None:
    body = tag_body(ModelEntry("m", source), None)
    assert (body["size"], body["details"]["family"]) == (0, "qwen3vl")


def test_a_broken_folder_is_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    assert tag_body(ModelEntry("m", str(tmp_path)), None)["details"]["family"] == "qwen3vl"


def test_a_model_is_shown_without_being_loaded(folder: Path) -> None:
    entry = ModelEntry("m", str(folder))
    shelf = ModelShelf([entry], lambda _: pytest.fail("it was loaded"), default="m")
    body = show_body(entry, shelf)
    assert body["model_info"]["general.architecture"] == "qwen3vlmoe"
    assert body["model_info"]["qwen3vlmoe.context_length"] == 8192
    assert "<think>" in body["template"]
