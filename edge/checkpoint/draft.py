"""Open the draft of a model: a small Qwen3-VL, or a text-only Qwen3 that mlx-lm reads; refuse what does not fit.

In: what the user calls the draft, and the model's checkpoint. Out: its weights' bytes and how it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlx.core as mx

from edge.checkpoint import door
from edge.checkpoint.files.hub import resolve_model
from edge.config import ModelConfig
from edge.errors import ConfigError
from edge.records import dataclass

if TYPE_CHECKING:
    from edge.model.qwen3vl import Qwen3VL
    from edge.prompt.text.tokenizer import Tokenizer

TEXT_TYPE = "qwen3"


@dataclass(frozen=True, slots=True)
class OpenedDraft:
    """A draft whose files were found; nothing is read yet.

    Attributes:
        name: What the user calls it.
        weight_bytes: Bytes of its weights in memory.
        config: Of a Qwen3-VL; None for a text model.
        read_tokenizer: Reads its tokenizer.
        read_model: Reads a Qwen3-VL.
        folder: Of a text model, for mlx-lm.
    """

    name: str
    weight_bytes: int
    config: ModelConfig | None
    read_tokenizer: Callable[[], Tokenizer]
    read_model: Callable[[], Qwen3VL] | None = None
    folder: Path | None = None

    def check(self, config: ModelConfig, tokenizer: Tokenizer) -> None:
        """Refuse it beside a model whose tokens it does not speak or whose pictures it cuts otherwise.

        Raises:
            ConfigError: Names what differs.
        """
        if self.config is not None:
            check_pictures(config, self.config, name=self.name)
        check_tokens(tokenizer, self.read_tokenizer(), name=self.name)


def open_draft(draft: str | Path, *, dtype: mx.Dtype) -> OpenedDraft:
    """Open a draft.

    Args:
        draft: As `edge.load` names models.
        dtype: What a Qwen3-VL is computed in.

    Raises:
        ConfigError: No such model, one that is not supported, or a text model without mlx-lm.
        WeightError: Its files are missing or broken.
    """
    path = resolve_model(draft)
    if _is_text_model(path):
        return _open_text(path, name=str(draft))
    opened = door.open(path, dtype=dtype)
    return OpenedDraft(
        str(draft),
        opened.weight_bytes(itemsize=dtype.size),
        opened.config,
        read_tokenizer=lambda: opened.read_processor().tokenizer,
        read_model=lambda: opened.read_model(dtype).model,
    )


def _is_text_model(path: Path) -> bool:
    try:
        raw: Any = json.loads((path / "config.json").read_text(encoding="utf-8"))  # Any: JSON
    except (OSError, ValueError):
        return False  # the door says what is wrong
    return isinstance(raw, dict) and raw.get("model_type") == TEXT_TYPE


def _open_text(path: Path, *, name: str) -> OpenedDraft:
    from importlib.util import find_spec

    from edge.prompt.text.tokenizer import Tokenizer

    if find_spec("mlx_lm") is None:
        raise ConfigError(
            f"{name}: a text model as draft is read by mlx-lm, which is not installed. Install the extra 'draft', or "
            "take a Qwen3-VL.",
            field="draft",
        )
    weight_bytes = sum(file.stat().st_size for file in path.glob("*.safetensors"))
    return OpenedDraft(name, weight_bytes, None, read_tokenizer=lambda: Tokenizer.from_folder(path), folder=path)


def check_tokens(tokenizer: Tokenizer, draft_tokenizer: Tokenizer, *, name: str) -> None:
    """Refuse a draft that does not speak the model's tokens.

    Args:
        tokenizer: The model's.
        draft_tokenizer: The draft's.
        name: What the user called the draft.

    Raises:
        ConfigError: Names the first token that differs.
    """
    numbers = max(tokenizer.highest_token[0], draft_tokenizer.highest_token[0]) + 1
    for number in range(numbers):
        if tokenizer.token_bytes(number) != draft_tokenizer.token_bytes(number):
            found = [one.token_bytes(number).decode(errors="replace") for one in (tokenizer, draft_tokenizer)]
            raise ConfigError(
                f"{name}: expected a draft with the model's vocabulary, found that token {number} is {found[0]!r} in "
                f"the model and {found[1]!r} in the draft. Take a smaller model of the same family.",
                field="draft",
            )


def check_pictures(config: ModelConfig, draft: ModelConfig, *, name: str) -> None:
    """Refuse a draft that cuts pictures otherwise than the model, or marks them otherwise.

    Raises:
        ConfigError: Names what differs.
    """
    for part in ("image_token_id", "video_token_id", "vision_start_token_id"):
        _check_equal(part, getattr(config, part), getattr(draft, part), name)
    for part in ("patch_size", "temporal_patch_size", "spatial_merge_size", "in_channels"):
        _check_equal(part, getattr(config.vision, part), getattr(draft.vision, part), name)


def _check_equal(part: str, wanted: int, found: int, name: str) -> None:
    if wanted != found:
        raise ConfigError(
            f"{name}: expected a draft with {part} {wanted}, as the model has, found {found}. "
            "Take a smaller model of the same family.",
            field="draft",
        )
