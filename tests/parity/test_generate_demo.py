"""The embedded demo checkpoint, from its files to greedy tokens, equals transformers on the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText

import edge
from edge.loading import DEMO_FOLDER
from edge.prompt.build import Prompt
from edge.run.sample import SamplingParams

NUM_TOKENS = 24
GREEDY = SamplingParams(temperature=0.0)


@pytest.fixture(scope="module")
def reference() -> Any:  # Any: torch without annotations
    model: Any = AutoModelForImageTextToText.from_pretrained(DEMO_FOLDER, dtype=torch.float32)
    model.eval()
    model.generation_config.eos_token_id = None  # go on past the end, as many tokens as ours
    return model


@pytest.fixture(scope="module")
def engine() -> edge.Engine:
    return edge.load()


def pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{index}.png" for index in range(count)]
    for index, path in enumerate(paths):
        Image.radial_gradient("L").resize((96 + 64 * index, 128)).convert("RGB").save(path)
    return paths


def reference_tokens(model: Any, prompt: Prompt, engine: edge.Engine) -> list[int]:  # Any: as above
    ids = torch.tensor(prompt.token_ids[None], dtype=torch.long)
    inputs: dict[str, Any] = {"input_ids": ids}
    inputs["mm_token_type_ids"] = (ids == engine.config.image_token_id).int()
    if prompt.media:
        inputs["pixel_values"] = torch.tensor(np.concatenate([media.patches for media in prompt.media]))
        inputs["image_grid_thw"] = torch.tensor([media.grid_thw for media in prompt.media])
    with torch.no_grad():
        found = model.generate(
            **inputs, do_sample=False, max_new_tokens=NUM_TOKENS, pad_token_id=0, repetition_penalty=1.0
        )
    return [int(token) for token in found[0, ids.shape[1] :]]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_greedy_tokens_of_the_demo_equal_transformers(
    reference: Any, engine: edge.Engine, tmp_path: Path, count: int
) -> None:
    content = [{"type": "image", "image": str(path)} for path in pictures(tmp_path, count)]
    messages = [{"role": "user", "content": [*content, {"type": "text", "text": "What do you see?"}]}]
    request = edge.Request(messages=messages, sampling=GREEDY, max_tokens=NUM_TOKENS, token_ids=True)
    tokens = [token.token_id for token in engine.answer(request).tokens]
    assert len(tokens) > 8
    assert tokens == reference_tokens(reference, engine.build_prompt(request), engine)[: len(tokens)]
