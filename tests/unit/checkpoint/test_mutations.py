"""Broken headers and JSON files end in one short line of the product's own, soon and within bounded memory."""

from __future__ import annotations

import json
import random
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.checkpoint import door
from edge.checkpoint.files.gguf import open_gguf
from edge.config_json import model_config_from_dict
from edge.errors import EdgeError
from edge.precedence import find_setting
from edge.prompt.text.tokenizer import Tokenizer
from edge.settings import read_generation_settings, read_image_settings, read_video_settings
from tests.unit.checkpoint.adapters import pair_of, write_adapter
from tests.unit.checkpoint.checkpoints import random_parameters, tiny_config_json, write_hub_folder
from tests.unit.checkpoint.gguf_files import small_file
from tests.unit.convert.gguf.sources import tokenizer_text

ODD_VALUES: tuple[Any, ...] = (  # Any: JSON
    *(
        None,
        True,
        -1,
        0,
        1,
        2**31,
        2**63,
        10**400,
        1e308,
        float("nan"),
        float("inf"),
        -0.0,
        "",
        "x",
        "\u202e\x1b[2J",
        "\ud800",
    ),
    *([], {}, [[]], [None], [1] * 5000, {"a": {"b": []}}, [{"name": "default"}], {"default": 1}),
)
MOST_SECONDS, MOST_BYTES, MOST_CHARACTERS = 5.0, 300_000_000, 500


def mutate_json(value: Any, random_: random.Random) -> Any:  # Any: JSON
    """Change one place: another value, a missing or a new key."""
    if not isinstance(value, dict | list) or not value or random_.random() < 0.15:
        return random_.choice(ODD_VALUES)
    copy = value.copy()
    keys = list(copy) if isinstance(copy, dict) else range(len(copy))
    key = random_.choice(list(keys))
    action = random_.random()
    if action < 0.1 and isinstance(copy, dict):
        copy.pop(key)
    elif action < 0.2 and isinstance(copy, dict):
        copy[random_.choice(["rope_parameters", "quantization_config", "auto_map", "size", "\n", "a" * 9000])] = (
            random_.choice(ODD_VALUES)
        )
    else:
        copy[key] = mutate_json(copy[key], random_)
    return copy


def mutate_bytes(data: bytes, random_: random.Random, *, within: int) -> bytes:
    """Flip, cut, repeat or insert bytes among the first `within`."""
    changed = bytearray(data)
    for _ in range(random_.choice((1, 1, 2, 8))):
        place = random_.randrange(min(within, len(changed)) or 1)
        match random_.randrange(5):
            case 0:
                changed[place : place + 1] = bytes([random_.randrange(256)])
            case 1:
                changed[place : place + 8] = random_.choice((b"\xff" * 8, bytes(8), (2**62).to_bytes(8, "little")))
            case 2:
                del changed[place : place + random_.randrange(1, 40)]
            case 3:
                changed[place:place] = changed[place : place + random_.randrange(1, 60)]
            case _:
                del changed[place + 1 :]
    return bytes(changed)


def added_tokens_of(tokens: Any) -> dict[str, Any]:  # Any: JSON
    """Return what tokenizer_config.json says of the added tokens of a tokenizer.json."""
    table = {
        str(entry["id"]): {key: value for key, value in entry.items() if key != "id"}
        for entry in tokens["added_tokens"]
    }
    return {"added_tokens_decoder": table, "tokenizer_class": "Qwen2Tokenizer", "pad_token": "<|endoftext|>"}


class Bench:
    """A small folder, adapter and GGUF file, and one way to break and to open each of their files."""

    def __init__(self, folder: Path) -> None:
        self.random = random.Random(5)
        raw = tiny_config_json(is_moe=False)
        config = model_config_from_dict(raw)
        self.folder = write_hub_folder(folder / "model", raw, random_parameters(config))
        pair = pair_of("model.language_model.layers.0.self_attn.q_proj", outputs=96, inputs=64)
        write_adapter(self.folder, pair, alpha_pattern={"q_proj": 3}, init_lora_weights=True)
        patches = {"patch_size": 16, "temporal_patch_size": 2, "merge_size": 2, "image_mean": [0.5] * 3}
        settings = {**patches, "size": {"shortest_edge": 4096, "longest_edge": 8192}, "image_std": [0.5, 0.5, 0.5]}
        advice = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "eos_token_id": [1, 2], "do_sample": True}
        tokens = json.loads(tokenizer_text())
        texts = {
            "preprocessor_config.json": settings,
            "video_preprocessor_config.json": {**settings, "fps": 2, "min_frames": 4},
            "processor_config.json": {"chat_template": "x", "image_processor": settings},
            "chat_template.json": {"chat_template": "x"},
            "tokenizer_config.json": {
                "chat_template": [{"name": "default", "template": "y"}],
                **added_tokens_of(tokens),
            },
            "special_tokens_map.json": {"eos_token": {"content": "<|im_end|>"}, "extra_special_tokens": ["<x>"]},
            "added_tokens.json": {"<y>": len(tokens["model"]["vocab"]) + len(tokens["added_tokens"])},
            "tokenizer.json": tokens,
            "generation_config.json": advice,
        }
        for name, value in texts.items():
            (self.folder / name).write_text(json.dumps(value))
        self.gguf = folder / "model.gguf"
        self.gguf.write_bytes(small_file())
        self.kept = {path: path.read_bytes() for path in (*self.folder.iterdir(), self.gguf) if path.is_file()}

    def open_folder(self) -> None:
        door.open(self.folder)
        read_image_settings(self.folder)
        read_video_settings(self.folder)
        read_generation_settings(self.folder)
        find_setting(self.folder, "template")
        Tokenizer.from_folder(self.folder)

    def open_gguf(self) -> None:
        open_gguf(self.gguf)
        door.open(self.gguf)

    def broken(self) -> tuple[Path, bytes, Callable[[], None]]:
        path = self.random.choice(sorted(self.kept))
        data = self.kept[path]
        opens = self.open_gguf if path == self.gguf else self.open_folder
        if path.suffix == ".json" and self.random.random() < 0.8:
            return path, json.dumps(mutate_json(json.loads(data), self.random)).encode("utf-8", "replace"), opens
        within = 8 + int.from_bytes(data[:8], "little") if path.suffix == ".safetensors" else len(data)
        return path, mutate_bytes(data, self.random, within=within), opens


def message_of(opens: Callable[[], None]) -> str:
    try:
        opens()
    except EdgeError as error:
        return str(error)
    return ""


def run(bench: Bench, num_files: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    num_refused = 0
    for _ in range(num_files):
        path, data, opens = bench.broken()
        path.write_bytes(data)
        start = time.process_time()
        message = message_of(opens)
        num_refused += bool(message)
        assert len(message) <= MOST_CHARACTERS
        assert message.isprintable()
        assert time.process_time() - start < MOST_SECONDS
        path.write_bytes(bench.kept[path])
    assert num_refused > num_files // 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < MOST_BYTES


def test_some_hundred_broken_files(tmp_path: Path) -> None:
    run(Bench(tmp_path), 300)


@pytest.mark.long
def test_twenty_thousand_broken_files(tmp_path: Path) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    bench = Bench(tmp_path)
    bench.random = random.Random(11)
    run(bench, 20_000)


def test_equal_names_in_a_header_are_found_in_linear_time(tmp_path: Path) -> None:
    entry = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    names = [f'"t{index}":{entry}' for index in range(60_000)]
    header = ("{" + ",".join([*names, names[-1]]) + "}").encode()
    folder = write_hub_folder(
        tmp_path / "m", tiny_config_json(), random_parameters(model_config_from_dict(tiny_config_json()))
    )
    shard = next(folder.glob("*.safetensors"))
    shard.write_bytes(len(header).to_bytes(8, "little") + header)
    start = time.process_time()
    with pytest.raises(EdgeError, match="'t59999' appears twice"):
        door.open(folder)
    assert time.process_time() - start < MOST_SECONDS
