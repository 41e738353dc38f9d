"""Guess tokens with a second, small model of the same vocabulary: the draft.

In: a prompt and the tokens behind it. Out: the draft's own greedy continuation, read to the host. The draft sees the
prompt's pictures with its own tower and remembers each row by itself; what it guessed wrongly is trimmed with its next
guess. It reads a prompt in slices, so that other rows' answers flow, and guesses from then on.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Protocol

import mlx.core as mx
import numpy as np

from edge.config import ModelConfig
from edge.kv.make import bytes_per_token, make_memory
from edge.kv.vision import VisionMemory
from edge.model.types import Grid, VisionOutput
from edge.prompt.build import Prompt
from edge.run.costs import median
from edge.run.forward import DecoderModel, prefill_chunk

SLICE_TOKENS = 256
SEEN_BYTES = 1 << 28


class SeeingModel(DecoderModel, Protocol):
    """What a draft needs from `edge.model.qwen3vl.Qwen3VL`."""

    def encode_vision(self, patches: mx.array, grids: Sequence[Grid]) -> VisionOutput:
        """Encode a picture or video."""
        ...


class Draft(ABC):
    """The draft of one engine, for all its rows; on the model thread only.

    Attributes:
        weight_bytes: Bytes of its weights.
        token_bytes: Bytes of its keys and values of one token.
    """

    def __init__(self, *, weight_bytes: int, token_bytes: int) -> None:
        """Take its sizes."""
        self.weight_bytes = weight_bytes
        self.token_bytes = token_bytes
        self._seconds: deque[float] = deque(maxlen=9)

    @abstractmethod
    def start(self, prompt: Prompt) -> DraftRow:
        """Begin a row; nothing is computed yet."""

    @property
    def seconds_per_token(self) -> float:
        """What one guessed token costs; 0 before one was guessed."""
        return median(self._seconds) if self._seconds else 0.0

    def note(self, num_tokens: int, seconds: float) -> None:
        """Take how long guessing some tokens took."""
        self._seconds.append(seconds / num_tokens)


class DraftRow(ABC):
    """One row as a draft sees it."""

    def __init__(self, draft: Draft) -> None:
        """Start with an empty answer."""
        self._draft = draft
        self._fed: list[int] = []

    @property
    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the prompt was read, so that tokens can be guessed."""

    @abstractmethod
    def advance(self) -> None:
        """Look at the next picture, or read the next slice of the prompt."""

    @abstractmethod
    def _forget(self, num_tokens: int) -> None:
        """Forget the last tokens."""

    @abstractmethod
    def _feed(self, token_ids: mx.array, place: int) -> mx.array:
        """Read tokens (L,) of the answer, the first at a place of it; return the most likely next one, (1,)."""

    def guess(self, token_ids: Sequence[int], count: int) -> list[int]:
        """Guess `count` tokens, at least one, after the answer's tokens, of which the pending one is the last."""
        started = time.perf_counter()
        kept = next((i for i, (a, b) in enumerate(zip(self._fed, token_ids, strict=False)) if a != b), len(self._fed))
        kept = min(kept, len(token_ids) - 1)
        self._forget(len(self._fed) - kept)
        guessed = [self._feed(mx.array(list(token_ids[kept:]), dtype=mx.int32), kept)]
        while len(guessed) < count:
            guessed.append(self._feed(guessed[-1], len(token_ids) + len(guessed) - 1))
        found: list[int] = np.array(mx.concatenate(guessed)).tolist()
        self._fed = [*token_ids, *found[:-1]]
        self._draft.note(count, time.perf_counter() - started)
        return found


class SeeingDraft(Draft):
    """A small Qwen3-VL."""

    def __init__(self, model: SeeingModel, config: ModelConfig, *, itemsize: int, weight_bytes: int) -> None:
        """Take a model.

        Args:
            model: The draft, its weights in memory.
            config: Its sizes.
            itemsize: Bytes of one activation.
            weight_bytes: Bytes of its weights.
        """
        token_bytes = bytes_per_token(config.text, kv_bits=None, itemsize=itemsize)
        super().__init__(weight_bytes=weight_bytes, token_bytes=token_bytes)
        self.model = model
        self.config = config
        self.seen = VisionMemory(max_bytes=SEEN_BYTES)

    def start(self, prompt: Prompt) -> DraftRow:
        """Begin a row; nothing is computed yet."""
        return _SeeingRow(self, prompt)


class _SeeingRow(DraftRow):
    def __init__(self, draft: SeeingDraft, prompt: Prompt) -> None:
        super().__init__(draft)
        self._model = draft.model
        self._seen = draft.seen
        self._prompt = prompt
        self._memory = make_memory(draft.config.text, kv_bits=None)
        self._outputs: dict[int, VisionOutput] = {}
        self._num_read = 0

    @property
    def is_ready(self) -> bool:
        return self._num_read == len(self._prompt.token_ids)

    def advance(self) -> None:
        unseen = [index for index in range(len(self._prompt.media)) if index not in self._outputs]
        if unseen:
            self._outputs[unseen[0]] = self._see(unseen[0])
            return
        stop = min(self._num_read + SLICE_TOKENS, len(self._prompt.token_ids))
        prefill_chunk(self._model, self._prompt, self._memory, start=self._num_read, stop=stop, outputs=self._outputs)
        mx.eval([layer.state for layer in self._memory])
        self._num_read = stop
        if self.is_ready:
            self._outputs.clear()

    def _forget(self, num_tokens: int) -> None:
        for layer in self._memory:
            layer.trim(num_tokens)

    def _feed(self, token_ids: mx.array, place: int) -> mx.array:
        first, count = self._prompt.next_position + place, token_ids.size
        positions = np.broadcast_to(first + np.arange(count, dtype=np.int32), (3, 1, count))
        logits = self._model(token_ids[None], positions=positions, memory=[self._memory], last_only=True)
        return mx.argmax(logits[0, -1], keepdims=True)

    def _see(self, index: int) -> VisionOutput:
        media = self._prompt.media[index]
        output = self._seen.find(media.vision_digest)
        if output is None:
            output = self._model.encode_vision(mx.array(media.patches), [media.grid_thw])
            mx.eval(output.features, *output.deepstack)
            self._seen.keep(media.vision_digest, output)
        return output
