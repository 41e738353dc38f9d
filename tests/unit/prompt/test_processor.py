from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from edge.errors import ConfigError, PromptError
from edge.prompt.processor import Processor
from edge.settings import ImageSettings, VideoSettings
from tests.prompt_parts import TEMPLATES, formula_image, image, model_config, processor, template, user
from tests.real_tokenizer import real_tokenizer, tokenizer_json

SIZE = {"shortest_edge": 65536, "longest_edge": 16777216}


def test_a_folder_gives_the_same_prompts_as_its_parts(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES["thinking"].read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": SIZE, "patch_size": 16}))
    (tmp_path / "generation_config.json").write_text(json.dumps({"temperature": 0.8, "eos_token_id": [151645]}))
    folder = Processor.from_folder(tmp_path, model_config())
    messages = user(image(formula_image(100, 90, 1)), "What is it?")
    assert folder.build(messages).token_ids.tolist() == processor().build(messages).token_ids.tolist()
    assert folder.generation.temperature == 0.8
    # without a file for videos, the picture file counts, as in transformers
    assert (folder.videos.min_pixels, folder.videos.max_pixels) == (65536, 16777216)
    assert replace(folder.videos, min_pixels=4096, max_pixels=25165824) == VideoSettings()


def test_a_folder_without_processor_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json"):
        Processor.from_folder(tmp_path, model_config())


def test_a_tokenizer_of_another_model_is_refused() -> None:
    config = replace(model_config(), image_token_id=99)
    with pytest.raises(ConfigError, match=r"expects <\|image_pad\|> as token 99"):
        Processor(config, real_tokenizer(), template("thinking"))


@pytest.mark.parametrize("name", ["images", "videos"])
def test_settings_of_another_model_are_refused(name: str) -> None:
    other = {"images": ImageSettings(patch_size=14), "videos": VideoSettings()}
    if name == "videos":
        other = {"images": ImageSettings(), "videos": VideoSettings(patch_size=14)}
    with pytest.raises(ConfigError, match="patch"):
        Processor(model_config(), real_tokenizer(), template("thinking"), **other)  # type: ignore[arg-type]  # mixed


def test_a_raw_prompt_goes_around_the_template_and_its_special_tokens_count() -> None:
    text = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>"
    prompt = processor().build_raw(text)
    assert prompt.token_ids.tolist() == real_tokenizer().encode(text)
    assert prompt.positions.tolist() == [list(range(len(prompt.token_ids)))] * 3
    assert (prompt.media, prompt.spans, prompt.opens_reasoning) == ((), (), True)


@pytest.mark.parametrize("text", ["", "a <|image_pad|>", "\ud800"])
def test_a_raw_prompt_that_is_empty_broken_or_lacks_its_picture_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="raw prompt"):
        processor().build_raw(text)


def test_importing_the_prompt_side_is_quick_and_light() -> None:
    code = (
        "import sys, edge.prompt; "
        "print([m for m in ('torch', 'transformers', 'PIL', 'jinja2', 'tokenizers', 'av', 'mlx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
