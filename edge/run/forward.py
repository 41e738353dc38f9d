"""Run the model over a piece of one prompt, or over one token of many rows.

In: prompts, memories, vision outputs. Out: logits, unevaluated. Positions are slices of the prompt's; decoding goes on
at the position after its largest. Nothing here remembers anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import mlx.core as mx
import numpy as np
from numpy.typing import NDArray

from edge.kv.layer import RowMemory
from edge.kv.side_by_side import SideBySide
from edge.model.types import VisionOutput, VisualRows
from edge.packed_products import reading_prompt
from edge.prompt.build import Prompt, Span


class DecoderModel(Protocol):
    """What a forward needs from `edge.model.qwen3vl.Qwen3VL`."""

    def __call__(
        self,
        token_ids: mx.array,
        *,
        positions: NDArray[np.integer],
        memory: Sequence[RowMemory] | None = None,
        visual: VisualRows | None = None,
        last_only: bool = False,
    ) -> mx.array:
        """Return logits (B, L, V), or (B, 1, V) with `last_only`."""
        ...


def prefill_chunk(
    model: DecoderModel,
    prompt: Prompt,
    memory: RowMemory,
    *,
    start: int,
    stop: int,
    outputs: Mapping[int, VisionOutput],
) -> mx.array:
    """Compute tokens start..stop of a prompt.

    Args:
        model: The model.
        prompt: L tokens.
        memory: Holds the first `start` tokens; extended by this call.
        start: First token to compute.
        stop: First token after it.
        outputs: Vision output by media index, for media with tokens in this piece.

    Returns:
        Logits of the last token, (V,).
    """
    with reading_prompt():
        logits = model(
            mx.array(prompt.token_ids[None, start:stop]),
            positions=prompt.positions[:, None, start:stop],
            memory=[memory],
            visual=visual_rows(prompt.spans, outputs, start=start, stop=stop),
            last_only=True,
        )
    return logits[0, -1]


def decode_rows(
    model: DecoderModel, tokens: Sequence[mx.array], positions: Sequence[int], memories: Sequence[RowMemory]
) -> mx.array:
    """Compute one generated token of each row, all rows in one forward.

    Args:
        model: The model.
        tokens: (1,) int32 per row, may be unevaluated.
        positions: Rotary position of each token.
        memories: Extended by this call.

    Returns:
        Logits (B, V).
    """
    token_ids = tokens[0][None] if len(tokens) == 1 else mx.stack(list(tokens))  # (B, 1)
    row = np.asarray(positions, dtype=np.int32)
    logits = model(
        token_ids,
        positions=np.broadcast_to(row[None, :, None], (3, len(row), 1)),
        memory=memories,
        last_only=True,
    )
    return logits[:, -1]


def check_rows(
    model: DecoderModel, tokens: Sequence[mx.array], positions: Sequence[int], memories: Sequence[RowMemory]
) -> list[mx.array]:
    """Compute one or more tokens of each row, all rows in one forward: a pending token and the guesses behind it.

    Args:
        model: The model.
        tokens: (L,) int32 per row, L as it likes, may be unevaluated.
        positions: Rotary position of each row's first token.
        memories: Extended by this call.

    Returns:
        Logits of all tokens, (L, V) per row.
    """
    lengths = [row.size for row in tokens]
    rows = np.concatenate([first + np.arange(length) for first, length in zip(positions, lengths, strict=True)])
    together: RowMemory = memories[0]
    if len(memories) > 1:
        together = [SideBySide(layers, lengths) for layers in zip(*memories, strict=True)]
    logits = model(
        mx.concatenate(list(tokens))[None],
        positions=np.broadcast_to(rows.astype(np.int32), (3, 1, len(rows))),
        memory=[together],
    )[0]
    stops = np.cumsum(lengths).tolist()
    return [logits[stop - length : stop] for stop, length in zip(stops, lengths, strict=True)]


def visual_rows(
    spans: Sequence[Span], outputs: Mapping[int, VisionOutput], *, start: int, stop: int
) -> VisualRows | None:
    """Take the visual tokens of one chunk out of whole media, with the DeepStack rows of exactly these tokens.

    Args:
        spans: All spans of the prompt, sorted.
        outputs: Vision output by media index.
        start: First token of the chunk.
        stop: First token after it.

    Returns:
        Rows relative to the chunk, or None when it has no visual token.
    """
    indexes: list[np.ndarray] = []
    parts: list[tuple[VisionOutput, int, int]] = []
    for span in spans:
        low, high = max(span.start, start), min(span.start + span.length, stop)
        if low < high:
            indexes.append(np.arange(low - start, high - start, dtype=np.int32))
            first = span.media_offset + low - span.start
            parts.append((outputs[span.media_index], first, first + high - low))
    if not parts:
        return None
    features = mx.concatenate([output.features[a:b] for output, a, b in parts])
    levels = len(parts[0][0].deepstack)
    deepstack = tuple(mx.concatenate([output.deepstack[i][a:b] for output, a, b in parts]) for i in range(levels))
    return VisualRows(mx.array(np.concatenate(indexes)), VisionOutput(features, deepstack))
