"""Guess tokens with a second, small model of the same vocabulary: the draft.

In: a prompt and the tokens behind it. Out: the draft's own greedy continuation, read to the host. The draft sees the
prompt's pictures with its own tower and remembers each row by itself; what it guessed wrongly is trimmed with its next
guess. It reads a prompt in slices, so that other rows' answers flow, and guesses from then on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from statistics import median
from typing import Protocol

import mlx.core as mx
import numpy as np

from edge.config import ModelConfig
from edge.errors import ConfigError
from edge.kv.make import bytes_per_token, make_memory
from edge.kv.vision import VisionMemory
from edge.model.types import Grid, VisionOutput
from edge.prompt.build import Prompt
from edge.prompt.text.tokenizer import Tokenizer
from edge.run.forward import DecoderModel, decode_rows, prefill_chunk

SLICE_TOKENS = 256
SEEN_BYTES = 1 << 28


class SeeingModel(DecoderModel, Protocol):
    """What a draft needs from `edge.model.qwen3vl.Qwen3VL`."""

    def encode_vision(self, patches: mx.array, grids: Sequence[Grid]) -> VisionOutput:
        """Encode a picture or video."""
        ...


class DraftModel:
    """The draft of one engine, for all its rows; on the model thread only."""

    def __init__(self, model: SeeingModel, config: ModelConfig, *, itemsize: int, weight_bytes: int) -> None:
        """Take a model.

        Args:
            model: The draft, its weights in memory.
            config: Its sizes.
            itemsize: Bytes of one activation.
            weight_bytes: Bytes of its weights.
        """
        self.weight_bytes = weight_bytes
        self.model = model
        self.config = config
        self.seen = VisionMemory(max_bytes=SEEN_BYTES)
        self.token_bytes = bytes_per_token(config.text, kv_bits=None, itemsize=itemsize)
        self._seconds: deque[float] = deque(maxlen=9)

    @property
    def seconds_per_token(self) -> float:
        """What one guessed token costs; 0 before one was guessed."""
        return median(self._seconds) if self._seconds else 0.0

    def note(self, num_tokens: int, seconds: float) -> None:
        """Take how long guessing some tokens took."""
        self._seconds.append(seconds / num_tokens)


class DraftRow:
    """One row as the draft sees it."""

    def __init__(self, draft: DraftModel, prompt: Prompt) -> None:
        """Start with a prompt; nothing is computed yet."""
        self._draft = draft
        self._prompt = prompt
        self._memory = make_memory(draft.config.text, kv_bits=None)
        self._outputs: dict[int, VisionOutput] = {}
        self._num_read = 0
        self._fed: list[int] = []

    @property
    def is_ready(self) -> bool:
        """Whether the prompt was read, so that tokens can be guessed."""
        return self._num_read == len(self._prompt.token_ids)

    def advance(self) -> None:
        """Look at the next picture, or read the next slice of the prompt."""
        unseen = [index for index in range(len(self._prompt.media)) if index not in self._outputs]
        if unseen:
            self._outputs[unseen[0]] = self._see(unseen[0])
            return
        stop = min(self._num_read + SLICE_TOKENS, len(self._prompt.token_ids))
        prefill_chunk(
            self._draft.model, self._prompt, self._memory, start=self._num_read, stop=stop, outputs=self._outputs
        )
        mx.eval([layer.state for layer in self._memory])
        self._num_read = stop
        if self.is_ready:
            self._outputs.clear()

    def guess(self, token_ids: Sequence[int], count: int) -> list[int]:
        """Guess what follows the answer's tokens, the pending one last: at least one, and `count` tokens."""
        started = time.perf_counter()
        kept = next((i for i, (a, b) in enumerate(zip(self._fed, token_ids, strict=False)) if a != b), len(self._fed))
        kept = min(kept, len(token_ids) - 1)
        for layer in self._memory:
            layer.trim(len(self._fed) - kept)
        token = self._feed(token_ids[kept:], kept)
        guessed = [token]
        for index in range(1, count):
            token = mx.argmax(
                decode_rows(self._draft.model, [token], [self._position(len(token_ids) + index - 1)], [self._memory])[
                    0
                ],
                keepdims=True,
            )
            guessed.append(token)
        found: list[int] = np.array(mx.concatenate(guessed)).tolist()
        self._fed = [*token_ids, *found[:-1]]
        self._draft.note(count, time.perf_counter() - started)
        return found

    def _feed(self, token_ids: Sequence[int], place: int) -> mx.array:
        """Read tokens of the answer from a place on; return the most likely next one, (1,)."""
        first = self._position(place)
        positions = np.broadcast_to(first + np.arange(len(token_ids), dtype=np.int32), (3, 1, len(token_ids)))
        ids = mx.array(list(token_ids), dtype=mx.int32)[None]
        logits = self._draft.model(ids, positions=positions, memory=[self._memory], last_only=True)
        return mx.argmax(logits[0, -1], keepdims=True)

    def _position(self, place: int) -> int:
        return self._prompt.next_position + place

    def _see(self, index: int) -> VisionOutput:
        media, seen = self._prompt.media[index], self._draft.seen
        output = seen.find(media.vision_digest)
        if output is None:
            output = self._draft.model.encode_vision(mx.array(media.patches), [media.grid_thw])
            mx.eval(output.features, *output.deepstack)
            seen.keep(media.vision_digest, output)
        return output


def check_draft(
    configs: tuple[ModelConfig, ModelConfig], tokenizers: tuple[Tokenizer, Tokenizer], *, name: str
) -> None:
    """Refuse a draft that does not speak the model's tokens or does not cut pictures as it does.

    Args:
        configs: The model's and the draft's.
        tokenizers: Likewise.
        name: What the user called the draft.

    Raises:
        ConfigError: What differs.
    """
    (config, draft), (tokenizer, draft_tokenizer) = configs, tokenizers
    numbers = max(tokenizer.highest_token[0], draft_tokenizer.highest_token[0]) + 1
    for number in range(numbers):
        if tokenizer.token_bytes(number) != draft_tokenizer.token_bytes(number):
            found = [one.token_bytes(number).decode(errors="replace") for one in (tokenizer, draft_tokenizer)]
            raise ConfigError(
                f"{name}: expected a draft with the model's vocabulary, found that token {number} is {found[0]!r} in "
                f"the model and {found[1]!r} in the draft. Take a smaller model of the same family.",
                field="draft",
            )
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
