from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.errors import UsageError
from edge.loading import DEMO_FOLDER
from edge.server.arguments import ServerOptions
from edge.server.catalogue import best_of, downloaded_models, list_entries, weight_bytes
from edge.server.ollama.models import tag_body


def write_model(folder: Path, *, num_bytes: int = 100, kind: str = "qwen3_vl", shards: tuple[str, ...] = ()) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    (folder / "model.safetensors").write_bytes(b"x" * num_bytes)
    if shards:
        index = {"weight_map": {name: name for name in shards}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def write_cached(cache: Path, name: str, **settings: object) -> None:
    repository = cache / f"models--{name.replace('/', '--')}"
    write_model(repository / "snapshots" / "abc", **settings)  # type: ignore[arg-type]
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("edge.server.catalogue._cache_folder", lambda: tmp_path / "hub")
    return tmp_path / "hub"


def test_without_anything_the_demo_is_offered(cache: Path) -> None:
    assert [entry.name for entry in list_entries(ServerOptions())] == ["demo"]


def test_the_largest_downloaded_model_that_fits_is_the_default(cache: Path) -> None:
    write_cached(cache, "org/small", num_bytes=100)
    write_cached(cache, "org/big--one", num_bytes=200)
    write_cached(cache, "org/other", kind="llama")
    write_cached(cache, "org/cut", shards=("model.safetensors", "gone.safetensors"))
    entries = downloaded_models(cache)
    assert [entry.name for entry in entries] == ["org/big--one", "org/small"]
    assert [entry.name for entry in best_of(entries, free_bytes=1000)] == ["org/big--one"]
    assert [entry.name for entry in best_of(entries, free_bytes=130)] == ["org/small"]
    assert best_of(entries, free_bytes=10) == []
    assert [entry.name for entry in list_entries(ServerOptions())] == ["org/big--one", "demo", "org/small"]


def test_a_named_model_comes_first_and_a_folders_models_are_offered(cache: Path, tmp_path: Path) -> None:
    named = write_model(tmp_path / "named")
    write_model(tmp_path / "models" / "one")
    write_model(tmp_path / "models" / "org" / "two")
    write_model(tmp_path / "models" / "other", kind="llama")
    (tmp_path / "models" / "three.gguf").write_bytes(b"")
    (tmp_path / "models" / "mmproj-three.gguf").write_bytes(b"")
    options = ServerOptions(models=(str(named),), models_dir=tmp_path / "models")
    names = [entry.name for entry in list_entries(options)]
    assert names == ["named", "one", "org/two", "three", "demo"]


def test_a_short_name_is_offered_under_its_hub_id(cache: Path) -> None:
    first = list_entries(ServerOptions(models=("8b",)))[0]
    assert first.name == first.source == "mlx-community/Qwen3-VL-8B-Instruct-4bit"


def test_a_hub_id_that_was_downloaded_is_described_by_its_files(cache: Path) -> None:
    write_cached(cache, "mlx-community/Qwen3-VL-8B-Instruct-4bit", num_bytes=300)
    first = list_entries(ServerOptions(models=("8b",)))[0]
    assert first.source == "mlx-community/Qwen3-VL-8B-Instruct-4bit"
    described = tag_body(first, None)
    assert described["size"] > 300
    assert described["modified_at"] > "2020"


def test_the_demo_was_made_when_it_was_installed(cache: Path) -> None:
    for options in (ServerOptions(), ServerOptions(models=("demo",)), ServerOptions(models=("8b",))):
        (demo,) = (entry for entry in list_entries(options) if entry.name == "demo")
        assert demo.created == int(DEMO_FOLDER.stat().st_mtime)


def test_the_demo_can_be_named(cache: Path) -> None:
    write_cached(cache, "org/small")
    first = list_entries(ServerOptions(models=("demo",)))[0]
    assert (first.name, first.source) == ("demo", None)


def test_two_models_of_one_name_are_refused(cache: Path, tmp_path: Path) -> None:
    models = (str(write_model(tmp_path / "a" / "same")), str(write_model(tmp_path / "b" / "same")))
    with pytest.raises(UsageError, match="two models are called same"):
        list_entries(ServerOptions(models=models))


@pytest.mark.parametrize("index", ["[]", "{", '{"weight_map": 3}'])
def test_a_broken_index_counts_as_missing_weights(tmp_path: Path, index: str) -> None:
    folder = write_model(tmp_path / "a")
    (folder / "model.safetensors.index.json").write_text(index)
    assert weight_bytes(folder) == 0
