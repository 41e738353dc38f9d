from __future__ import annotations

from pathlib import Path

import pytest

from edge.chat.models import choose
from edge.chat.models.choose import choose_model
from edge.errors import ConfigError, UsageError
from tests.unit.chat.models.test_found import make

THIRTY = "mlx-community/Qwen3-VL-30B-A3B-Instruct-4bit"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(choose, "_ask_size", lambda _: None)
    return tmp_path / "hub"


def test_a_download_is_announced_with_its_size_and_asked_about(cache: Path) -> None:
    asked: list[str] = []

    def agree(text: str) -> bool:
        asked.append(text)
        return len(asked) > 1

    with pytest.raises(UsageError, match="was not downloaded"):
        choose_model("30b", models_dir=None, agree=agree, note=print)
    assert choose_model("30b", models_dir=None, agree=agree, note=print) == THIRTY
    assert f"{THIRTY}: 18.3 GB to download to" in asked[0]


def test_where_nobody_can_answer_it_is_only_announced(cache: Path) -> None:
    notes: list[str] = []
    assert choose_model("30b", models_dir=None, agree=None, note=notes.append) == THIRTY
    assert "18.3 GB" in notes[0]


def test_what_is_here_is_taken_without_a_word(cache: Path, tmp_path: Path) -> None:
    make(cache / f"models--{THIRTY.replace('/', '--')}" / "snapshots" / "abc", 30)
    folder = make(tmp_path / "models" / "mine", 10)
    taken: list[object] = []
    assert choose_model("30b", models_dir=None, agree=None, note=taken.append) == THIRTY
    assert choose_model("mine", models_dir=tmp_path / "models", agree=None, note=taken.append) == folder
    assert choose_model(str(folder), models_dir=None, agree=None, note=taken.append) == str(folder)
    assert choose_model("./gone/x", models_dir=None, agree=None, note=taken.append) == "./gone/x"
    assert taken == []


def test_a_name_that_means_nothing_lists_the_short_names(cache: Path) -> None:
    with pytest.raises(ConfigError, match="Short names: 2b 4b 8b"):
        choose_model("llama", models_dir=None, agree=None, note=print)
