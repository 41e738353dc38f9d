"""Make the real tokenizer, templates and sizes into processors, and pictures and videos for them."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from edge.config import ModelConfig, RopeConfig, TextConfig, VisionConfig
from edge.prompt.processor import Processor
from edge.prompt.text.template import ChatTemplate
from edge.prompt.types import Pixels
from tests.real_tokenizer import real_tokenizer

DATA = Path(__file__).parent / "data"
Variant = Literal["thinking", "instruct"]
VARIANTS: tuple[Variant, ...] = ("thinking", "instruct")
TEMPLATES = {
    "thinking": DATA.parents[1] / "edge" / "demo" / "chat_template.jinja",
    "instruct": DATA / "instruct.jinja",
}


def model_config() -> ModelConfig:
    """Return a small model with the real token ids and patch sizes."""
    text = TextConfig(64, 2, 4, 2, 16, 96, 151936, 262144, 1e-6, RopeConfig(5e6, (4, 2, 2)), None)
    vision = VisionConfig(2, 32, 48, 2, 3, 16, 2, 2, 2304, 64, (0,))
    return ModelConfig("qwen3_vl", text, vision, 151655, 151656, 151652, 151653, True, (151645,), None, None, None)


@lru_cache(maxsize=2)
def template(variant: Variant) -> ChatTemplate:
    return ChatTemplate(TEMPLATES[variant].read_text(encoding="utf-8"))


def processor(variant: Variant = "thinking") -> Processor:
    return Processor(model_config(), real_tokenizer(), template(variant))


def formula_image(height: int, width: int, seed: int) -> Pixels:
    """Make the pictures of the golden prompts (the formula stands in that file)."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [(x * 7 + y * 3 + seed) % 256, (x * x + y) % 256, (x + y * y + seed * 5) % 256]
    return np.stack(planes, -1).astype(np.uint8)


def user(*items: Any) -> list[dict[str, Any]]:  # Any: JSON
    content = [{"type": "text", "text": item} if isinstance(item, str) else item for item in items]
    return [{"role": "user", "content": content}]


def image(source: Any, **options: Any) -> dict[str, Any]:  # Any: JSON and media sources
    return {"type": "image", "image": source, **options}


def video(source: Any, **options: Any) -> dict[str, Any]:  # Any: as above
    return {"type": "video", "video": source, **options}


def encode(picture: Image.Image, format_name: str, **options: Any) -> bytes:  # Any: PIL's own options
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def animation(format_name: str, durations_ms: list[int]) -> bytes:
    """Encode one grey frame per duration, each brighter than the one before."""
    frames = [Image.fromarray(np.full((40, 50, 3), 10 + 10 * i, np.uint8)) for i in range(len(durations_ms))]
    return encode(frames[0], format_name, save_all=True, append_images=frames[1:], duration=durations_ms)


def write_video(
    path: Path, *, num_frames: int = 60, rate: int = 24, height: int = 48, width: int = 64, codec: str = "mpeg4"
) -> Path:
    """Write a video whose frame i is grey level 4 * i % 256 (lossy), with a red upper left corner."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)  # Any: av's union of streams
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(num_frames):
            rgb = np.full((height, width, 3), 4 * i % 256, np.uint8)
            rgb[: height // 3, : width // 3] = (255, 0, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())
    return path
