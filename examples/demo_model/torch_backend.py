"""Greedy answers of the exported checkpoint by transformers in float32, many questions at a time.

In: `checks.Case`s and a checkpoint folder. Out: reasoning and answer of each. The prompt is rendered with the
checkpoint's own template; a picture becomes as many tokens as its grid has 2x2 blocks, a video one `<T seconds>` part
for every two frames, as in the models' training. Prompts of different lengths run together, filled up on the left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # jinja globals, untyped transformers

import jinja2
import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Qwen3VLMoeForConditionalGeneration

from .checks import LONGEST_ANSWER, Case
from .looks.canvas import PATCH_PX, Grid, fit_grid, fit_video_grid
from .prompt_text import CLOSED, image_text, part_text
from .trainer import patchify


@dataclass(frozen=True, slots=True)
class Prompt:
    """Token ids, and the patches of each picture and of each video part with their grids (t, h, w)."""

    ids: list[int]
    images: list[Tensor]
    image_grids: list[list[int]]
    videos: list[Tensor]
    video_grids: list[list[int]]


class TorchBackend:
    """A loaded checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template = chat_template(folder)
        self._model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self._end, self._pad, self._image, self._video = (
            int(self._tokenizer.token_to_id(name))
            for name in ("<|im_end|>", "<|endoftext|>", "<|image_pad|>", "<|video_pad|>")
        )

    def answers(self, cases: list[Case], *, batch: int = 50) -> list[tuple[str, str]]:
        """Answer all cases.

        Args:
            cases: Questions; those of similar length run together.
            batch: Most cases in one run.

        Returns:
            Reasoning and answer of each case, in order.
        """
        prompts = [self._prompt(case) for case in cases]
        order = sorted(range(len(cases)), key=lambda index: len(prompts[index].ids))
        out: dict[int, tuple[str, str]] = {}
        for start in range(0, len(order), batch):
            group = order[start : start + batch]
            for index, text in zip(group, self._run([prompts[one] for one in group]), strict=True):
                reasoning, closed, answer = text.partition("</think>")
                is_whole = bool(closed) or cases[index].is_closed
                out[index] = (reasoning.strip(), answer.strip()) if closed else ("", text.strip() if is_whole else "")
        return [out[index] for index in range(len(cases))]

    def _prompt(self, case: Case) -> Prompt:
        text = self._template.render(messages=case.messages, tools=case.tools, add_generation_prompt=True)
        media = [item for message in case.messages for item in message["content"] if isinstance(item, dict)]
        prompt = Prompt([], [], [], [], [])
        for item in media:
            if item["type"] == "image":
                grid = fit_grid(item["image"].height, item["image"].width)
                frame = pixels(item["image"], grid)
                prompt.images.append(patchify(torch.from_numpy(np.stack((frame, frame))[None]), grid)[0])
                prompt.image_grids.append([1, *grid])
                text = text.replace("<|vision_start|><|image_pad|><|vision_end|>", image_text(grid), 1)
            elif item["type"] == "video":
                first, parts = item["video"][0], ""
                grid = fit_video_grid(len(item["video"]), first.height, first.width)
                for time, frames in video_parts(item, grid):
                    prompt.videos.append(patchify(torch.from_numpy(frames[None]), grid)[0])
                    parts += f"<{time:.1f} seconds>" + part_text(grid)
                prompt.video_grids.append([parts.count("<|vision_start|>"), *grid])
                text = text.replace("<|vision_start|><|video_pad|><|vision_end|>", parts, 1)
        prompt.ids.extend(self._tokenizer.encode(text + (CLOSED if case.is_closed else "")).ids)
        return prompt

    @torch.no_grad()
    def _run(self, prompts: list[Prompt]) -> list[str]:
        longest = max(len(prompt.ids) for prompt in prompts)
        ids = torch.tensor([[self._pad] * (longest - len(prompt.ids)) + prompt.ids for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts])
        media: dict[str, Tensor] = {}
        images = [one for prompt in prompts for one in prompt.images]
        videos = [one for prompt in prompts for one in prompt.videos]
        if images:
            media["pixel_values"] = torch.cat(images)
            media["image_grid_thw"] = torch.tensor([grid for prompt in prompts for grid in prompt.image_grids])
        if videos:
            media["pixel_values_videos"] = torch.cat(videos)
            media["video_grid_thw"] = torch.tensor([grid for prompt in prompts for grid in prompt.video_grids])
        if media:
            media["mm_token_type_ids"] = (ids == self._image).int() + 2 * (ids == self._video).int()
        out = self._model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=LONGEST_ANSWER,
            temperature=None, top_k=None, top_p=None, **media,
        )  # fmt: skip
        texts = []
        for row in out[:, ids.shape[1] :].tolist():
            row = row[: row.index(self._end)] if self._end in row else row
            texts.append(self._tokenizer.decode(row, skip_special_tokens=True))
        return texts


def video_parts(item: dict[str, Any], grid: Grid) -> list[tuple[float, np.ndarray]]:
    """Return the mean time and the two frames of each part of a video item (`frame_rate` or `times_s`)."""
    frames = [pixels(frame, grid) for frame in item["video"]]
    times = item.get("times_s") or [index / item["frame_rate"] for index in range(len(frames))]
    frames, times = frames + frames[-1:] * (len(frames) % 2), [*times, *times[-1:] * (len(times) % 2)]
    return [
        ((times[index] + times[index + 1]) / 2, np.stack(frames[index : index + 2]))
        for index in range(0, len(frames), 2)
    ]


def chat_template(folder: Path) -> jinja2.Template:
    """Compile the checkpoint's template with transformers' settings."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    source = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    return environment.from_string(source)


def pixels(image: Image.Image, grid: Grid) -> np.ndarray:
    """Bring a picture to a grid's size."""
    size = (grid[1] * PATCH_PX, grid[0] * PATCH_PX)
    return np.asarray(image.convert("RGB").resize(size, Image.Resampling.BICUBIC))
