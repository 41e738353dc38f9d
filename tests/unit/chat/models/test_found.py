from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.models.found import find_in_cache, find_in_folder, find_models


def make(folder: Path, num_bytes: int, kind: str = "qwen3_vl") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    (folder / "model.safetensors").write_bytes(b"x" * num_bytes)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_models_of_the_family_are_found_the_smallest_first(cache: Path, tmp_path: Path) -> None:
    make(cache / "models--maker--big" / "snapshots" / "abc", 30)
    make(cache / "models--maker--text-only" / "snapshots" / "abc", 5, kind="llama")
    (cache / "models--maker--config-only" / "snapshots" / "abc").mkdir(parents=True)
    make(tmp_path / "models" / "small", 10)
    (tmp_path / "models" / "a.gguf").write_bytes(b"x" * 20)
    (tmp_path / "models" / "mmproj-a.gguf").write_bytes(b"x")
    found = find_models(tmp_path / "models")
    assert [(model.name, model.weight_bytes) for model in found] == [("small", 10), ("a.gguf", 20), ("maker/big", 30)]


def test_one_is_found_by_its_name(cache: Path, tmp_path: Path) -> None:
    folder = make(tmp_path / "models" / "small", 10)
    assert find_in_folder("small", tmp_path / "models") == folder
    assert find_in_folder("..", tmp_path / "models") is None
    assert find_in_folder("other", tmp_path / "models") is None
    make(cache / "models--maker--big" / "snapshots" / "abc", 30)
    assert find_in_cache("maker/big") is not None
    assert find_in_cache("maker/other") is None


def test_damage_and_missing_folders_are_no_error(cache: Path, tmp_path: Path) -> None:
    broken = make(tmp_path / "models" / "broken", 10)
    (broken / "config.json").write_text("[")
    assert find_models(tmp_path / "models") == []
    assert find_models(tmp_path / "nowhere") == []
