"""Add up what a model needs at its worst moment: weights, keys and values, a chunk, the tower, decoding, spare buffers.

In: a configuration, the bytes of its weights, and what is asked of it. Out: an `Estimate`. Four moments are compared,
since they do not come together: a picture is decoded, the tower looks at it, the prompt is read, the answer is written.
"""

from __future__ import annotations

from dataclasses import replace

from edge.config import ModelConfig
from edge.kv.make import KvBits, memory_bytes
from edge.memory import (
    SPARE_BYTES,
    Precision,
    choose_chunk_tokens,
    feature_bytes,
    prefill_bytes,
    unpacked_bytes,
    vision_bytes,
)
from edge.model.types import Grid
from edge.prompt.media.patches import fit_image
from edge.records import dataclass
from edge.settings import ImageSettings

# Bytes per pixel on the host, measured from 4 to 48 million pixels: of the picture as given (Pillow's pixels, RGB,
# planes), and of the resized one (planes, float32 patches of both frames, and MLX's copy of these).
SOURCE_PIXEL_BYTES = 18
PATCH_PIXEL_BYTES = 51


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of a model.

    Attributes:
        context_tokens: Tokens of prompt and answer.
        kv_bits: How keys and values are stored.
        image: Height and width of the largest picture, in pixels; None for text only.
        settings: The checkpoint's limits for pictures; None takes those of the published models.
    """

    context_tokens: int
    kv_bits: KvBits | None = None
    image: tuple[int, int] | None = None
    settings: ImageSettings | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """Bytes of a model at one task.

    Attributes:
        weights: Weights.
        keys_values: Keys and values of the whole context.
        chunk: One forward of the prompt.
        vision: The tower at work.
        features: What it gave, kept until the prompt is read.
        decoding: Decoding and resizing a picture, on the host.
        spare: Freed buffers MLX may keep while the answer is written.
        chunk_tokens: Tokens of one forward.
        image_tokens: Tokens of the picture.
    """

    weights: int
    keys_values: int
    chunk: int
    vision: int
    features: int
    decoding: int
    spare: int
    chunk_tokens: int
    image_tokens: int

    @property
    def peak_bytes(self) -> int:
        """The worst moment."""
        reading = self.keys_values + self.features + self.chunk
        return self.weights + max(self.decoding, self.vision, reading, self.keys_values + self.spare)


def estimate(config: ModelConfig, task: Task, *, weight_bytes: int, precision: Precision) -> Estimate:
    """Estimate a task.

    Args:
        config: The model.
        task: What is asked.
        weight_bytes: Of its weights in memory.
        precision: How the machine computes.

    Raises:
        MediaError: The picture's sides are out of proportion.
        ConfigError: The heads do not fit packed keys and values.
    """
    text, context = config.text, task.context_tokens
    chunk_tokens = choose_chunk_tokens(text, precision=precision, context_tokens=context, kv_bits=task.kv_bits)
    chunk_tokens = min(chunk_tokens, context)
    chunk = prefill_bytes(
        text, precision=precision, chunk_tokens=chunk_tokens, context_tokens=context, kv_bits=task.kv_bits
    ) + unpacked_bytes(text, precision=precision, chunk_tokens=chunk_tokens)
    found = Estimate(
        weights=weight_bytes,
        keys_values=memory_bytes(text, context, kv_bits=task.kv_bits, itemsize=precision.itemsize),
        chunk=chunk,
        vision=0,
        features=0,
        decoding=0,
        spare=min(SPARE_BYTES, chunk),
        chunk_tokens=chunk_tokens,
        image_tokens=0,
    )
    if task.image is None:
        return found
    grid, resized = picture_grid(config, task.image, task.settings)
    height, width = task.image
    return replace(
        found,
        vision=vision_bytes(config.vision, grid, precision=precision),
        features=feature_bytes(config.vision, grid, itemsize=precision.itemsize),
        decoding=max(SOURCE_PIXEL_BYTES * height * width, PATCH_PIXEL_BYTES * resized),
        image_tokens=grid[1] * grid[2] // config.vision.merge_area,
    )


def picture_grid(config: ModelConfig, size: tuple[int, int], settings: ImageSettings | None = None) -> tuple[Grid, int]:
    """Return the patches of a picture of this height and width, and its pixels as the model sees it."""
    vision = config.vision
    settings = settings or ImageSettings(
        patch_size=vision.patch_size,
        temporal_patch_size=vision.temporal_patch_size,
        merge_size=vision.spatial_merge_size,
    )
    height, width = fit_image(size[0], size[1], settings)
    return (1, height // vision.patch_size, width // vision.patch_size), height * width
