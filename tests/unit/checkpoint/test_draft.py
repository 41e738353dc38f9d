from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import pytest

import edge
from edge.checkpoint.draft import check_pictures, check_tokens, open_draft
from edge.errors import ConfigError
from edge.loading import demo_folder
from tests.unit.run.engines import LetterTokenizer
from tests.unit.run.tiny import tiny_config


class OtherLetters(LetterTokenizer):
    """Has another token somewhere."""

    def token_bytes(self, token_id: int) -> bytes:
        return b"?" if token_id == 33 else super().token_bytes(token_id)


def speaking(tokenizer: LetterTokenizer) -> Any:  # Any: what the check needs of a tokenizer
    return SimpleNamespace(token_bytes=tokenizer.token_bytes, highest_token=(97, ""))


def test_a_draft_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(ConfigError, match="token 33 is 'A' in the model and '\\?' in the draft") as caught:
        check_tokens(speaking(LetterTokenizer()), speaking(OtherLetters()), name="small")
    assert caught.value.field == "draft"
    check_tokens(speaking(LetterTokenizer()), speaking(LetterTokenizer()), name="small")


def test_a_draft_that_cuts_pictures_otherwise_is_refused() -> None:
    other = replace(tiny_config(), vision=replace(tiny_config().vision, patch_size=14))
    with pytest.raises(ConfigError, match="patch_size"):
        check_pictures(tiny_config(), other, name="small")
    with pytest.raises(ConfigError, match="image_token_id"):
        check_pictures(tiny_config(), replace(tiny_config(), image_token_id=3), name="small")
    check_pictures(tiny_config(), tiny_config(), name="small")


def test_a_text_model_needs_mlx_lm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3"}), encoding="utf-8")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="mlx-lm, which is not installed") as caught:
        open_draft(tmp_path, dtype=mx.float32)
    assert caught.value.field == "draft"


def test_a_model_that_is_no_qwen_is_refused_by_the_door(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}), encoding="utf-8")
    with pytest.raises(ConfigError, match="llama"):
        open_draft(tmp_path, dtype=mx.float32)


def test_a_checkpoint_is_loaded_with_its_draft() -> None:
    with edge.load(draft=demo_folder()) as engine:
        answer = engine.ask("Say this: DESK 12", max_tokens=30, sampling={"temperature": 0.0})
        assert engine.memory().weight_bytes > 100_000_000  # two times 27 million values of 4 bytes
    assert answer.text or answer.reasoning
