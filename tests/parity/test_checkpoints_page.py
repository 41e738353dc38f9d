"""docs/checkpoints.md lists every file and key that transformers acts on, and says of each what happens here."""

from __future__ import annotations

import dataclasses
import importlib
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig
from transformers import Qwen3VLConfig, Qwen3VLMoeConfig
from transformers.models.qwen2.tokenization_qwen2 import VOCAB_FILES_NAMES
from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLTextConfig, Qwen3VLVisionConfig
from transformers.models.qwen3_vl_moe.configuration_qwen3_vl_moe import Qwen3VLMoeTextConfig, Qwen3VLMoeVisionConfig
from transformers.processing_utils import ImagesKwargs, VideosKwargs
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from edge.checkpoint import door
from edge.errors import EdgeError
from edge.loading import DEMO_FOLDER
from edge.unheeded import SAMPLING
from tests.unit.checkpoint.adapters import pair_of, write_adapter

transformers_any: Any = importlib.import_module("transformers")  # Any: untyped
names: Any = importlib.import_module("transformers.utils")  # Any: not all of it is exported for type checkers
PAGE = Path(__file__).resolve().parents[2] / "docs" / "checkpoints.md"
ROW = re.compile(r"^\| (?P<keys>`.*?) \| (?P<verb>acts|refuses|says|nothing) \| (?P<how>.*?)\|$", re.M)
CONFIGS = (Qwen3VLConfig, Qwen3VLMoeConfig, Qwen3VLTextConfig, Qwen3VLMoeTextConfig)
VISION = (Qwen3VLVisionConfig, Qwen3VLMoeVisionConfig)
# What the model's own processors take beside the general settings.
OWN_SETTINGS = {
    "min_pixels",
    "max_pixels",
    "patch_size",
    "temporal_patch_size",
    "merge_size",
    "min_frames",
    "max_frames",
}
OWN_SETTINGS |= {"cap_pixels_per_frame", "max_video_tokens"}
FILES = {
    *VOCAB_FILES_NAMES.values(),
    *(names.CONFIG_NAME, names.GENERATION_CONFIG_NAME, names.SAFE_WEIGHTS_NAME, names.SAFE_WEIGHTS_INDEX_NAME),
    *(names.WEIGHTS_NAME, names.WEIGHTS_INDEX_NAME, names.FEATURE_EXTRACTOR_NAME, names.VIDEO_PROCESSOR_NAME),
    *(names.PROCESSOR_NAME, names.AUDIO_TOKENIZER_NAME, names.MODEL_CARD_NAME, names.CHAT_TEMPLATE_FILE),
    *(names.LEGACY_PROCESSOR_CHAT_TEMPLATE_FILE, names.CHAT_TEMPLATE_DIR, "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", names.ADAPTER_CONFIG_NAME, names.ADAPTER_SAFE_WEIGHTS_NAME),
    names.ADAPTER_WEIGHTS_NAME,
}


def fields_of(*classes: Any) -> set[str]:
    return {item.name for each in classes for item in dataclasses.fields(each)}


def verbs() -> dict[str, dict[str, str]]:
    """Return section -> key -> what happens."""
    found: dict[str, dict[str, str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        rows = [(key, row["verb"]) for row in ROW.finditer(body) for key in re.findall(r"`([^`]+)`", row["keys"])]
        assert len(dict(rows)) == len(rows), f"{title}: a key stands twice"
        for name in title.split(", "):
            found[name] = dict(rows)
    return found


@pytest.mark.parametrize(
    ("section", "wanted"),
    [
        ("Files", FILES),
        ("config.json", fields_of(*CONFIGS, *VISION)),
        (
            "generation_config.json",
            {name for name in vars(transformers_any.GenerationConfig()) if not name.startswith("_")},
        ),
        ("preprocessor_config.json", set(ImagesKwargs.__annotations__) | OWN_SETTINGS),
        ("video_preprocessor_config.json", set(VideosKwargs.__annotations__) | OWN_SETTINGS),
        ("tokenizer_config.json", set(PreTrainedTokenizerBase.SPECIAL_TOKENS_ATTRIBUTES)),
        ("adapter_config.json", fields_of(LoraConfig)),
    ],
)
def test_every_name_that_the_reference_reads_is_listed(section: str, wanted: set[str]) -> None:
    assert sorted(wanted - set(verbs()[section])) == []


def test_what_is_said_of_sampling_is_what_the_page_says() -> None:
    assert {key for key, verb in verbs()["generation_config.json"].items() if verb == "says"} == set(SAMPLING)


# A value that is not the accepted one; those of `text` stand in text_config.
REFUSED: dict[str, dict[str, Any]] = {  # Any: JSON
    "config.json": {
        "model_type": "qwen2_vl",
        "auto_map": {"AutoModel": "a.B"},
        "quantization_config": {"quant_method": "gptq"},
        "partial_rotary_factor": 0.5,
        "hidden_act": "gelu",
        "attention_bias": True,
        "norm_topk_prob": False,
    },
    "preprocessor_config.json": {
        "num_frames": 4,
        **dict.fromkeys(("do_resize", "do_rescale", "do_normalize", "do_convert_rgb", "do_sample_frames"), False),
        **dict.fromkeys(("do_pad", "do_center_crop"), True),
        "resample": 2,
        "rescale_factor": 0.5,
    },
    "tokenizer_config.json": {
        **dict.fromkeys(("image_token", "video_token", "vision_start_token", "vision_end_token"), "<x>"),
        "tokenizer_class": "LlamaTokenizer",
        **dict.fromkeys(("add_prefix_space", "split_special_tokens", "add_eos_token"), True),
        "add_bos_token": {"add_bos_token": True, "bos_token": "<|endoftext|>"},
    },
    "adapter_config.json": {
        "peft_type": "IA3",
        "init_lora_weights": "pissa",
        **dict.fromkeys(("use_dora", "use_qalora", "lora_bias"), True),
        "alora_invocation_tokens": [1],
        "layer_replication": [[0, 1]],
        "trainable_token_indices": [1],
        **dict.fromkeys(("use_bdlora", "velora_config", "monteclora_config", "megatron_config"), "x"),
        **dict.fromkeys(("arrow_config", "kasa_config"), "x"),
    },
}
TEXT_KEYS = {"partial_rotary_factor", "hidden_act", "attention_bias", "norm_topk_prob"}


def demo(folder: Path) -> Path:
    """Copy the demo, with its weights by link and an adapter."""
    folder.mkdir()
    for path in DEMO_FOLDER.iterdir():
        if path.suffix == ".safetensors":
            (folder / path.name).symlink_to(path)
        elif path.is_file():
            shutil.copy(path, folder)
    shutil.copy(folder / "preprocessor_config.json", folder / "video_preprocessor_config.json")
    text = json.loads((folder / "config.json").read_text())["text_config"]
    outputs = text["num_attention_heads"] * text["head_dim"]
    pair = pair_of("model.language_model.layers.0.self_attn.q_proj", outputs=outputs, inputs=text["hidden_size"])
    return write_adapter(folder, pair)


def edit(path: Path, key: str, value: Any) -> None:  # Any: JSON
    raw = json.loads(path.read_text())
    place = raw["text_config"] if key in TEXT_KEYS else raw
    place.update(value if key == "add_bos_token" else {key: value})
    path.write_text(json.dumps(raw))


def open_whole(folder: Path) -> None:
    door.open(folder).read_processor()


def test_every_key_that_is_refused_is_tried() -> None:
    listed = verbs()
    for name, examples in REFUSED.items():
        keys = {key for key, verb in listed[name].items() if verb == "refuses"}
        assert keys == set(examples)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name, keys in REFUSED.items() for key in keys])
def test_what_is_refused_is_named(name: str, key: str, tmp_path: Path) -> None:
    folder = demo(tmp_path / "demo")
    file = "video_preprocessor_config.json" if key in ("num_frames", "do_sample_frames") else name
    edit(folder / file, key, REFUSED[name][key])
    with pytest.raises(EdgeError, match=key):
        open_whole(folder)


def test_the_copy_by_itself_is_taken(tmp_path: Path) -> None:
    open_whole(demo(tmp_path / "demo"))


@pytest.mark.parametrize("key", [*sorted(SAMPLING), "mrope_interleaved"])
def test_what_has_no_effect_is_said(key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = demo(tmp_path / "demo")
    if key in SAMPLING:
        edit(folder / "generation_config.json", key, [[7]])
    else:
        raw = json.loads((folder / "config.json").read_text())
        raw["text_config"]["rope_scaling"][key] = False
        (folder / "config.json").write_text(json.dumps(raw))
    caplog.set_level(logging.WARNING)
    door.open(folder)
    assert key in caplog.text


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.bin"])
def test_pickles_are_refused_where_they_would_be_needed(name: str, tmp_path: Path) -> None:
    folder = demo(tmp_path / "demo")
    needed = folder / name.replace("pytorch_", "").replace(".bin", ".safetensors")
    needed.unlink()
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(EdgeError, match="pickle"):
        open_whole(folder)
