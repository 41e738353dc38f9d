"""GGUF repositories: which files are needed, and that only those are downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.checkpoint.files.hub import resolve_model
from edge.checkpoint.files.hub_gguf import choose_files
from edge.errors import ConfigError
from tests.unit.checkpoint.fake_hub import COMMIT, REPOSITORY, FakeHub
from tests.unit.checkpoint.files.test_hub import resolve

NAMES = [
    "README.md",
    "Qwen3VL-2B-Q4_K_M.gguf",
    "Qwen3VL-2B-Q8_0.gguf",
    "Qwen3VL-2B-UD-Q8_0.GGUF",
    "BF16/Qwen3VL-2B-BF16-00001-of-00002.gguf",
    "BF16/Qwen3VL-2B-BF16-00002-of-00002.gguf",
    "mmproj-Qwen3VL-2B-F16.gguf",
    "mmproj-Qwen3VL-2B-BF16.gguf",
]


def test_without_a_type_the_usual_one_is_taken() -> None:
    text, needed = choose_files(NAMES, None, where="org/name")
    assert text == "Qwen3VL-2B-Q4_K_M.gguf"
    assert needed == [text, "mmproj-Qwen3VL-2B-F16.gguf"]
    assert choose_files(["odd.gguf", "mmproj.gguf"], None, where="x") == ("odd.gguf", ["odd.gguf", "mmproj.gguf"])


def test_a_type_in_any_case_takes_all_parts() -> None:
    text, needed = choose_files(NAMES, "bf16", where="org/name")
    assert text.endswith("00001-of-00002.gguf")
    assert needed == [*NAMES[4:6], "mmproj-Qwen3VL-2B-F16.gguf"]


@pytest.mark.parametrize(
    ("kind", "found"), [("Q3_K_M", "Qwen3VL-2B-Q4_K_M"), ("Q8_0", "Qwen3VL-2B-Q8_0.gguf, Qwen3VL-2B-UD")]
)
def test_a_type_that_is_missing_or_there_twice_is_refused(kind: str, found: str) -> None:
    with pytest.raises(ConfigError, match=f"expected one GGUF model of type {kind}, found .*{found}"):
        choose_files(NAMES, kind, where=f"org/name:{kind}")
    assert choose_files(NAMES, "UD-Q8_0", where="x")[0] == NAMES[3]


def test_only_what_is_needed_is_downloaded_and_then_works_offline(tmp_path: Path) -> None:
    files = {name: name.encode() * 10 for name in NAMES}
    with FakeHub(files).running() as hub:
        result = resolve(f"{REPOSITORY}:q4_k_m", tmp_path, HF_ENDPOINT=hub.address)
        assert result.returncode == 0, result.stderr
        text = Path(result.stdout.strip())
        assert text.name == "Qwen3VL-2B-Q4_K_M.gguf"
        assert sorted(path.name for path in text.parent.rglob("*.gguf")) == sorted([text.name, NAMES[6]])
        again = resolve(f"{REPOSITORY}:q4_k_m", tmp_path, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="1")
        assert (again.returncode, again.stdout) == (0, result.stdout)
        missing = resolve(f"{REPOSITORY}:Q8_0", tmp_path, HF_ENDPOINT=hub.address, HF_HUB_OFFLINE="1")
        assert missing.returncode == 1


def test_an_entry_of_the_cache_stands_for_its_main_revision(tmp_path: Path) -> None:
    entry = tmp_path / "models--org--name"
    for commit in (COMMIT, "f" * 40):
        (entry / "snapshots" / commit).mkdir(parents=True)
    with pytest.raises(ConfigError, match="expected one downloaded revision, found 2"):
        resolve_model(entry)
    (entry / "refs").mkdir()
    (entry / "refs" / "main").write_text(COMMIT)
    assert resolve_model(entry) == entry / "snapshots" / COMMIT
