"""Settings that stand twice mean what they mean to transformers: pair by pair, for files and for rotary values."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import GenerationConfig, Qwen3VLMoeConfig, Qwen3VLProcessor
from transformers.image_processing_base import ImageProcessingMixin
from transformers.models.qwen3_vl_moe.modeling_qwen3_vl_moe import Qwen3VLMoeTextRotaryEmbedding
from transformers.video_processing_utils import BaseVideoProcessor

import edge.precedence
from edge.config_json import model_config_from_dict
from edge.loading import DEMO_FOLDER
from edge.model.rope import attention_scale, rope_frequencies
from edge.precedence import PRECEDENCE, Place, Setting, find_setting
from edge.settings import read_generation_settings
from tests.unit.test_precedence import write

# The reference leaves a template file open.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

# The reference's processor has no template of its own then; the tokenizer's counts here.
PROCESSOR_TEMPLATES = PRECEDENCE["template"][:4]
PAIRS: list[tuple[Setting, Place, Place]] = [
    (setting, first, second)
    for setting, places in {**PRECEDENCE, "template": PROCESSOR_TEMPLATES}.items()
    if setting != "generation"
    for index, first in enumerate(places)
    for second in places[index + 1 :]
    if {first.file, second.file} != {"chat_template.json", "additional_chat_templates/default.jinja"}  # refused there
]


def reference_value(folder: Path, setting: Setting) -> Any:  # Any: JSON
    if setting == "template":
        return Qwen3VLProcessor.get_processor_dict(folder)[0]["chat_template"]
    if setting == "images":
        return ImageProcessingMixin.get_image_processor_dict(folder)[0]
    return BaseVideoProcessor.get_video_processor_dict(folder)[0]


@pytest.mark.parametrize(("setting", "first", "second"), PAIRS, ids=str)
@pytest.mark.parametrize("is_mutant", [False, True], ids=["table", "reversed"])
def test_of_two_files_the_same_counts(
    tmp_path: Path, setting: Setting, first: Place, second: Place, is_mutant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = ("A", "B") if setting == "template" else ({"fps": 1}, {"fps": 2})
    write(tmp_path, first, values[0])
    write(tmp_path, second, values[1])
    if is_mutant:
        monkeypatch.setattr(edge.precedence, "PRECEDENCE", {setting: tuple(reversed(PRECEDENCE[setting]))})
    found = find_setting(tmp_path, setting)
    assert found is not None
    assert (found.value == reference_value(tmp_path, setting)) is not is_mutant


YARN = {"rope_type": "yarn", "factor": 3.0}
ROPES: dict[str, dict[str, Any]] = {  # Any: JSON
    "theta twice": {"rope_parameters": {"rope_theta": 10000}, "rope_theta": 5000000},
    "both blocks": {"rope_scaling": {"rope_theta": 70.0}, "rope_parameters": {"rope_theta": 90.0}},
    "empty older block": {"rope_scaling": {}, "rope_parameters": {"rope_theta": 90.0}},
    "theta beside the older block": {"rope_scaling": {"type": "default"}, "rope_theta": 77.0},
    "nothing": {},
    "factor only": {"rope_scaling": dict(YARN)},
    "original twice": {
        "rope_scaling": {**YARN, "original_max_position_embeddings": 512},
        "original_max_position_embeddings": 1024,
    },
    "null factor": {"rope_scaling": {**YARN, "factor": None, "original_max_position_embeddings": 2048}},
    "two scales": {"rope_scaling": {**YARN, "mscale": 0.7, "mscale_all_dim": 1.3}},
    "one scale": {"rope_scaling": {**YARN, "mscale": 0.7}},
    "factor of attention and scales": {
        "rope_scaling": {**YARN, "attention_factor": 1.5, "mscale": 0.7, "mscale_all_dim": 1.3}
    },
    "not interleaved": {"rope_scaling": {"rope_theta": 70.0, "mrope_interleaved": False}},
    "no truncation": {"rope_scaling": {**YARN, "truncate": False}, "rope_theta": 1000.0},
    "zero betas": {"rope_scaling": {**YARN, "beta_fast": 0, "beta_slow": None}},
    "unused window": {"rope_theta": 5.0, "sliding_window": 64, "use_sliding_window": True, "max_window_layers": 1},
}


@pytest.mark.parametrize("case", ROPES)
def test_rotary_values_that_stand_twice_give_the_same_angles(case: str) -> None:
    raw = json.loads((DEMO_FOLDER / "config.json").read_text())
    text = {name: value for name, value in raw["text_config"].items() if not name.startswith("rope_")}
    changes = json.loads(json.dumps(ROPES[case]))
    for block in ("rope_scaling", "rope_parameters"):
        if changes.get(block):
            changes[block] = {"mrope_section": [12, 10, 10], "mrope_interleaved": True, **changes[block]}
    if not any(changes.get(block) for block in ("rope_scaling", "rope_parameters")):
        text |= {"head_dim": 128}  # the reference's default sections are those of 128
    ours = model_config_from_dict({**raw, "text_config": {**text, **changes}}).text
    theirs: Any = Qwen3VLMoeConfig(**json.loads(json.dumps({**raw, "text_config": {**text, **changes}}))).text_config
    rotary: Any = Qwen3VLMoeTextRotaryEmbedding(theirs)
    np.testing.assert_allclose(rope_frequencies(ours.rope, ours.head_dim), rotary.inv_freq.numpy(), rtol=1e-6)
    scale = attention_scale(ours.rope, ours.head_dim) * ours.head_dim**0.5
    assert scale == pytest.approx(rotary.attention_scaling**2, rel=1e-6)
    assert tuple(rotary.mrope_section) == ours.rope.mrope_section


@pytest.mark.parametrize(
    ("advice", "top", "text"),
    [
        ({"temperature": 0.6, "eos_token_id": [7]}, {"temperature": 0.1}, {}),
        (None, {"temperature": 0.1, "eos_token_id": 5}, {"temperature": 0.9, "eos_token_id": 6}),
        (None, {"temperature": 1.0}, {"temperature": 0.9, "top_k": 11, "do_sample": True}),
        (None, {}, {"eos_token_id": 6}),
    ],
)
def test_sampling_advice_comes_from_the_same_place(
    tmp_path: Path, advice: Any, top: Any, text: Any
) -> None:  # Any: JSON
    raw = json.loads((DEMO_FOLDER / "config.json").read_text())
    raw["text_config"].pop("eos_token_id", None)
    (tmp_path / "config.json").write_text(json.dumps({**raw, **top, "text_config": {**raw["text_config"], **text}}))
    name: str = "config.json"
    options: dict[str, Any] = {"_from_model_config": True}
    if advice is not None:
        (tmp_path / "generation_config.json").write_text(json.dumps(advice))
        name, options = "generation_config.json", {}
    theirs = GenerationConfig.from_pretrained(tmp_path, config_file_name=name, **options)
    ours = read_generation_settings(tmp_path)
    eos = theirs.eos_token_id
    assert ours.eos_token_ids == tuple(eos if isinstance(eos, list) else [] if eos is None else [eos])
    assert ours.temperature == (1.0 if theirs.temperature is None else theirs.temperature)
    assert ours.top_k == (50 if theirs.top_k is None else theirs.top_k)
    assert ours.do_sample is bool(theirs.do_sample)


def test_the_demo_has_one_template(tmp_path: Path) -> None:
    shutil.copytree(DEMO_FOLDER, tmp_path / "demo")
    found = find_setting(tmp_path / "demo", "template")
    assert found is not None
    assert found.overruled == ()
