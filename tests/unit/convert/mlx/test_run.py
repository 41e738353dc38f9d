"""Whole conversions of tiny folders: what comes out, and that it is the same every time."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import pytest

from convert.mlx.quantize import quantize_rows
from edge.checkpoint.files.shards import SafetensorsFile, open_folder
from edge.checkpoint.folder import load_folder, open_checkpoint, read_parameters
from edge.config_json import model_config_from_dict
from edge.errors import UsageError, WeightError
from edge.plan.recipes import RECIPES
from tests.unit.checkpoint.checkpoints import (
    parameters_of,
    random_parameters,
    tiny_config_json,
    transformers5_config_json,
    write_fp8_folder,
    write_hub_folder,
    write_mlx_folder,
)
from tests.unit.convert.mlx.conversion import convert, files_of, group_config_json, settings_of, write_source

CARD = "README.md"


@pytest.mark.parametrize("recipe", list(RECIPES))
def test_every_recipe_loads_and_stores_what_its_format_gives(tmp_path: Path, recipe: str) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "out", settings_of(recipe))
    loaded = load_folder(tmp_path / "out", dtype=mx.bfloat16)
    assert loaded.layout == "mlx"
    found = parameters_of(loaded.model)
    originals = dict(read_parameters(open_checkpoint(source), dtype=mx.float32))
    settings = settings_of(recipe)
    plan_formats = {name: settings.base for name in originals if ".switch_mlp." in name}
    name = "language_model.model.layers.2.mlp.switch_mlp.up_proj"
    expected = quantize_rows(originals[f"{name}.weight"], plan_formats[f"{name}.weight"], is_searched=True)
    assert all(mx.array_equal(found[f"{name}.{part}"], array) for part, array in expected.items())
    norm = "language_model.model.norm.weight"
    assert mx.array_equal(found[norm], originals[norm].astype(mx.bfloat16))


def test_bf16_keeps_every_weight(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "out", settings_of("bf16"))
    found = parameters_of(load_folder(tmp_path / "out", dtype=mx.bfloat16).model)
    originals = dict(read_parameters(open_checkpoint(source), dtype=mx.bfloat16))
    assert found.keys() == originals.keys()
    assert all(mx.array_equal(found[name], originals[name]) for name in found)
    assert "quantization" not in json.loads((tmp_path / "out" / "config.json").read_text())


def test_both_expert_layouts_and_an_mlx_folder_convert_to_identical_files(tmp_path: Path) -> None:
    """transformers 5 saves experts transposed, the hub does not; the output must not tell which it was."""
    raw = tiny_config_json()
    parameters = random_parameters(model_config_from_dict(raw))
    write_hub_folder(tmp_path / "hub", raw, parameters, num_shards=3)
    write_hub_folder(tmp_path / "new", transformers5_config_json(raw), parameters, layout="transformers5")
    write_mlx_folder(tmp_path / "mlx", raw, parameters)
    for name in ("hub", "new", "mlx"):
        convert(tmp_path / name, tmp_path / f"{name}_out", settings_of("4bit-mixed"))
    hub = files_of(tmp_path / "hub_out", but=(CARD,))
    assert len(hub) == 4  # weights, index, sums, configuration
    assert hub == files_of(tmp_path / "new_out", but=(CARD,)) == files_of(tmp_path / "mlx_out", but=(CARD,))


def test_an_fp8_folder_converts_to_the_files_of_its_decoded_twin(tmp_path: Path) -> None:
    raw = group_config_json()
    drawn = random_parameters(model_config_from_dict(raw))
    parameters = {name: array.astype(mx.bfloat16) for name, array in drawn.items()}
    write_fp8_folder(tmp_path / "fp8", raw, parameters, block_shape=(16, 24))
    decoded = dict(read_parameters(open_checkpoint(tmp_path / "fp8", dtype=mx.bfloat16), dtype=mx.bfloat16))
    write_hub_folder(tmp_path / "decoded", raw, decoded)
    for name in ("fp8", "decoded"):
        convert(tmp_path / name, tmp_path / f"{name}_out")
    assert files_of(tmp_path / "fp8_out", but=(CARD,)) == files_of(tmp_path / "decoded_out", but=(CARD,))


def test_converting_twice_gives_identical_bytes(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "one")
    convert(source, tmp_path / "two")
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_without_search_the_arrays_are_those_of_mx_quantize(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "out", settings_of("4bit", is_searched=False))
    out = open_folder(tmp_path / "out")
    module = "language_model.model.layers.0.self_attn.q_proj"
    weight = dict(read_parameters(open_checkpoint(source), dtype=mx.bfloat16))[f"{module}.weight"]
    expected = mx.quantize(weight, group_size=64, bits=4)
    for part, array in zip(("weight", "scales", "biases"), expected, strict=True):
        assert mx.array_equal(out.read(f"{module}.{part}"), array)


def test_shards_are_bounded_and_a_fresh_index_lists_them(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "out", settings_of("4bit", shard_bytes=60_000))
    names = sorted(path.name for path in (tmp_path / "out").glob("*.safetensors"))
    assert names == [f"model-{index + 1:05d}-of-{len(names):05d}.safetensors" for index in range(len(names))]
    assert len(names) > 3
    opened = open_folder(tmp_path / "out")
    assert (opened.index_missing, opened.unlisted, opened.index_total) == ((), (), len(names))
    largest = max(sum(info.num_bytes for info in file.tensors.values()) for file in opened.files)
    assert largest <= 60_000
    assert load_folder(tmp_path / "out").num_bytes > 0
    assert SafetensorsFile(tmp_path / "out" / names[0]).metadata == {"format": "mlx"}


def test_tensors_lie_at_multiples_of_their_item_size(tmp_path: Path) -> None:
    convert(write_source(tmp_path / "source"), tmp_path / "out")
    infos = open_folder(tmp_path / "out").tensors.values()
    assert {info.dtype for info in infos} == {"U32", "BF16"}
    assert all(info.start % {"U32": 4, "BF16": 2}[info.dtype] == 0 for info in infos)


def test_companions_are_copied_and_code_and_pickles_are_not(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json", "merges.txt"):
        (source / name).write_text(f"content of {name}")
    (source / "modeling.py").write_text("raise SystemExit")
    (source / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    convert(source, tmp_path / "out")
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "content of tokenizer.json"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("tokenizer.json", "chat_template.jinja", "generation_config.json", "merges.txt"),
        *("config.json", "model.safetensors", "model.safetensors.index.json", "SHA256SUMS", CARD),
    }


def test_the_card_holds_command_hashes_and_every_tensor_but_no_path_of_this_machine(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    convert(source, tmp_path / "out", settings_of("4bit-mixed"))
    card = (tmp_path / "out" / CARD).read_text()
    assert "python -m convert mlx source OUT" in card
    assert files_of(source)["model-00001-of-00002.safetensors"] in card
    assert "| `language_model.model.layers.{0,2}.mlp.gate.weight` | 2 | 8bit |" in card
    assert str(tmp_path) not in card
    sums = (tmp_path / "out" / "SHA256SUMS").read_text().split()
    assert sums == [files_of(tmp_path / "out")["model.safetensors"], "model.safetensors"]


def test_a_packed_source_is_refused(tmp_path: Path) -> None:
    convert(write_source(tmp_path / "source"), tmp_path / "out")
    with pytest.raises(UsageError, match=r"packed already \(4 bits\).*Convert the bf16 or FP8 checkpoint"):
        convert(tmp_path / "out", tmp_path / "again")


def test_an_output_folder_with_content_is_not_touched(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(UsageError, match=r"exists\. Choose another OUT"):
        convert(source, tmp_path / "out")
    (tmp_path / "out" / "mine").unlink()
    convert(source, tmp_path / "out")  # an empty folder is taken


def test_a_cut_shard_is_refused_by_name_before_anything_is_written(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    shard = source / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-7])
    with pytest.raises(WeightError, match=r"model-00002-of-00002\.safetensors: truncated"):
        convert(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def write_sums(folder: Path) -> None:
    lines = [f"{value}  {name}" for name, value in files_of(folder).items() if name.endswith(".safetensors")]
    (folder / "SHA256SUMS").write_text("\n".join(lines))


def link_to_blobs(folder: Path) -> None:
    """Lay the shards out as huggingface-hub's cache does."""
    for name, value in files_of(folder).items():
        if name.endswith(".safetensors"):
            blob = folder.parent / "blobs" / value
            blob.parent.mkdir(exist_ok=True)
            (folder / name).rename(blob)
            (folder / name).symlink_to(blob)


@pytest.mark.parametrize("note_hashes", [write_sums, link_to_blobs])
def test_an_altered_shard_is_refused_by_name_and_nothing_gets_the_final_name(
    tmp_path: Path, note_hashes: object
) -> None:
    assert callable(note_hashes)
    source = write_source(tmp_path / "source")
    note_hashes(source)
    path = (source / "model-00002-of-00002.safetensors").resolve()
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightError, match=r"model-00002-of-00002\.safetensors: damaged or altered, expected sha256"):
        convert(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
