"""Greedy answers of the exported checkpoint by transformers in float32, many questions at a time.

In: `checks.Case`s and a checkpoint folder. Out: reasoning and answer of each. The prompt is rendered with the
checkpoint's own template; a video becomes one `<T seconds>` part for every two frames, as in the models' training.
"""

from __future__ import annotations

import json
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
from .model import block_order
from .prompt_text import IMAGE, VIDEO_PART
from .scenes import SIZE_PX


class TorchBackend:
    """A loaded checkpoint."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._template = chat_template(folder)
        self._model: Any = Qwen3VLMoeForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self._end = self._tokenizer.token_to_id("<|im_end|>")

    def answers(self, cases: list[Case], *, batch: int = 50) -> list[tuple[str, str]]:
        """Answer all cases.

        Args:
            cases: Questions; those of equal length and equal media sizes run together.
            batch: Most cases in one run.

        Returns:
            Reasoning and answer of each case, in order.
        """
        prompts = [self._prompt(case) for case in cases]
        order = sorted(range(len(cases)), key=lambda index: (len(prompts[index][0]), prompts[index][2]))
        out: dict[int, tuple[str, str]] = {}
        while order:
            first = prompts[order[0]]
            group = [
                one for one in order[:batch] if len(prompts[one][0]) == len(first[0]) and prompts[one][2] == first[2]
            ]
            for index, text in zip(group, self._run([prompts[one] for one in group]), strict=True):
                reasoning, _, answer = text.partition("</think>")
                out[index] = (reasoning.strip(), answer.strip())
            order = [one for one in order if one not in group]
        return [out[index] for index in range(len(cases))]

    def _prompt(self, case: Case) -> tuple[list[int], list[np.ndarray], tuple[int, int]]:
        """Return token ids, pairs of frames, and the numbers of images and of video parts."""
        text = self._template.render(messages=case.messages, tools=case.tools, add_generation_prompt=True)
        media = [item for message in case.messages for item in message["content"] if isinstance(item, dict)]
        pairs: list[np.ndarray] = []
        counts = [0, 0]
        for item in media:
            if item["type"] == "image":
                frame = _pixels(item["image"])
                pairs.append(np.stack((frame, frame)))
                counts[0] += 1
            elif item["type"] == "video":
                frames = [_pixels(frame) for frame in item["video"]]
                times = [index / item["frame_rate"] for index in range(len(frames))]
                parts = ""
                for index in range(0, len(frames), 2):
                    pairs.append(np.stack(frames[index : index + 2]))
                    parts += f"<{(times[index] + times[index + 1]) / 2:.1f} seconds>" + VIDEO_PART
                    counts[1] += 1
                text = text.replace("<|vision_start|><|video_pad|><|vision_end|>", parts)
        text = text.replace("<|vision_start|><|image_pad|><|vision_end|>", IMAGE)
        return self._tokenizer.encode(text).ids, pairs, (counts[0], counts[1])

    @torch.no_grad()
    def _run(self, prompts: list[tuple[list[int], list[np.ndarray], tuple[int, int]]]) -> list[str]:
        ids = torch.tensor([prompt[0] for prompt in prompts])
        images, parts = prompts[0][2]
        media: dict[str, Tensor] = {}
        if images or parts:
            patches = patchify(np.stack([pair for prompt in prompts for pair in prompt[1]])).flatten(0, 1)
            name = "image" if images else "video"
            grid = [[1, 8, 8]] * images if images else [[parts, 8, 8]]
            media = {
                "pixel_values" if images else "pixel_values_videos": patches,
                f"{name}_grid_thw": torch.tensor(grid * len(prompts)),
                "mm_token_type_ids": (ids == self._id("<|image_pad|>")).int()
                + 2 * (ids == self._id("<|video_pad|>")).int(),
            }
        out = self._model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=LONGEST_ANSWER,
            temperature=None, top_k=None, top_p=None, **media,
        )  # fmt: skip
        texts = []
        for row in out[:, ids.shape[1] :].tolist():
            row = row[: row.index(self._end)] if self._end in row else row
            texts.append(self._tokenizer.decode(row, skip_special_tokens=True))
        return texts

    def _id(self, token: str) -> int:
        return int(self._tokenizer.encode(token).ids[0])


def chat_template(folder: Path) -> jinja2.Template:
    """Compile the checkpoint's template with transformers' settings."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    source = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"]
    return environment.from_string(source)


def patchify(frames: np.ndarray) -> Tensor:
    """Turn frames (N, 2, 128, 128, 3) uint8 into patches (N, 64, 1536) in block order, -1 to 1."""
    x = torch.from_numpy(frames).view(-1, 2, 8, 16, 8, 16, 3).permute(0, 2, 4, 6, 1, 3, 5).reshape(-1, 64, 1536)
    return x[:, block_order((8, 8))].float() / 127.5 - 1.0


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB").resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC))
