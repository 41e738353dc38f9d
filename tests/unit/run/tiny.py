"""A tiny random model and hand-made prompts with pictures, for tests of generation."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import mlx.core as mx
import numpy as np

from edge.checkpoint.build import build_model
from edge.config import ModelConfig
from edge.config_json import model_config_from_dict
from edge.kv.layer import RowMemory
from edge.kv.make import KvBits, make_memory
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import Grid, VisionOutput
from edge.prompt.build import Media, Prompt
from edge.prompt.positions import Span, make_positions
from edge.prompt.types import MediaKind
from edge.run.forward import decode_rows, prefill_chunk
from edge.run.sample import Sampler, SamplingParams
from edge.settings import ImageSettings, VideoSettings
from tests.unit.checkpoint.checkpoints import random_parameters, tiny_config_json

GREEDY = SamplingParams(temperature=0.0)


@cache
def tiny_config() -> ModelConfig:
    """A tiny MoE whose heads are wide enough for packed keys and values."""
    raw = tiny_config_json()
    raw["text_config"] |= {"head_dim": 32}
    raw["text_config"]["rope_scaling"] |= {"mrope_section": [8, 4, 4]}
    return model_config_from_dict(raw)


@cache
def tiny_model() -> Qwen3VL:
    return build_model(tiny_config(), {}, random_parameters(tiny_config()).items())


def picture(grid: Grid, *, seed: int = 0, kind: MediaKind = "image", model: ModelConfig | None = None) -> Media:
    """A picture or video of random pixels, for the tiny model or another."""
    config = (model or tiny_config()).vision
    height, width = grid[1] * config.patch_size, grid[2] * config.patch_size
    frames = grid[0] * config.temporal_patch_size if kind == "video" else 1
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, 3, height, width), dtype=np.uint8)
    settings = VideoSettings if kind == "video" else ImageSettings
    return Media(
        kind=kind,
        label=f"{kind} {seed}",
        pixels=pixels,
        settings=settings(
            patch_size=config.patch_size,
            temporal_patch_size=config.temporal_patch_size,
            merge_size=config.spatial_merge_size,
        ),
        grid_thw=grid,
        digest=hashlib.sha256(pixels.tobytes() + repr(grid).encode()).hexdigest(),
        vision_digest=hashlib.sha256(pixels.tobytes() + repr(grid).encode()).hexdigest(),
        num_tokens=int(np.prod(grid)) // config.merge_area,
        source_size=(height, width),
        times_s=tuple(float(frame) for frame in range(grid[0])) if kind == "video" else (),
        frame_indexes=(),
        num_source_frames=frames,
    )


def prompt_of(*parts: list[int] | Media, text: str = "", model: ModelConfig | None = None) -> Prompt:
    """Join token ids and pictures; each frame of a video is a span of its own, with a token between."""
    config = model or tiny_config()
    token_ids: list[int] = []
    spans: list[Span] = []
    media: list[Media] = []
    for part in parts:
        if isinstance(part, list):
            token_ids += part
            continue
        frames, height, width = part.grid_thw
        length = height * width // config.vision.merge_area
        pad = config.image_token_id if part.kind == "image" else config.video_token_id
        for frame in range(frames):
            token_ids += [5 + frame, config.vision_start_token_id]
            spans.append(Span(len(token_ids), length, len(media), frame * length, (1, height, width)))
            token_ids += [pad] * length + [config.vision_end_token_id]
        media.append(part)
    positions = make_positions(len(token_ids), spans, merge_size=config.vision.spatial_merge_size)
    return Prompt(text, np.array(token_ids, dtype=np.int32), positions, tuple(spans), tuple(media))


def picture_prompt(seed: int = 0) -> Prompt:
    """Text, a picture, text, a video, text."""
    return prompt_of(
        [1, 2, 3, 4],
        picture((1, 4, 6), seed=seed),
        [10, 11, 12],
        picture((2, 6, 4), seed=seed + 1, kind="video"),
        [20, 21],
    )


def see(prompt: Prompt) -> dict[int, VisionOutput]:
    """Run the vision tower over every picture of a prompt."""
    model = tiny_model()
    return {i: model.encode_vision(mx.array(m.patches), [m.grid_thw]) for i, m in enumerate(prompt.media)}


def begin(
    prompt: Prompt,
    *,
    chunk_tokens: int = 1000,
    memory: RowMemory | None = None,
    num_cached: int = 0,
    kv_bits: KvBits | None = None,
) -> tuple[RowMemory, mx.array]:
    """Prefill a prompt; return its memory and the logits (V,) of its last token."""
    memory = memory or make_memory(tiny_config().text, kv_bits=kv_bits)
    outputs, length = see(prompt), len(prompt.token_ids)
    for start in range(num_cached, length, chunk_tokens):
        stop = min(start + chunk_tokens, length)
        logits = prefill_chunk(tiny_model(), prompt, memory, start=start, stop=stop, outputs=outputs)
        mx.eval(logits, [layer.state for layer in memory])
    return memory, logits


def take(prompt: Prompt, count: int, *, params: SamplingParams = GREEDY, **how: Any) -> list[int]:
    """Generate tokens of one prompt, one forward after the other: what every row of a loop must give.

    Args:
        prompt: The prompt.
        count: Tokens to generate.
        params: How they are chosen.
        how: Arguments of `begin`.
    """
    memory, logits = begin(prompt, **how)
    sampler = Sampler(params, prompt_token_ids=prompt.token_ids, vocab_size=tiny_config().text.vocab_size)
    tokens: list[int] = []
    while True:
        token = sampler.sample(logits)
        tokens.append(int(np.array(token)[0]))
        if len(tokens) == count:
            return tokens
        sampler.accept(token)
        position = prompt.next_position + len(tokens) - 1
        logits = decode_rows(tiny_model(), [token], [position], [memory])[0]


def continued(prompt: Prompt, token_ids: list[int]) -> Prompt:
    """The prompt with generated tokens appended, as a next turn would have it."""
    ids = np.concatenate([prompt.token_ids, np.array(token_ids, dtype=np.int32)])
    positions = make_positions(len(ids), prompt.spans, merge_size=tiny_config().vision.spatial_merge_size)
    return Prompt(prompt.text, ids, positions, prompt.spans, prompt.media)
