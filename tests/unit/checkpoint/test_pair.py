"""GGUF pairs: found, checked, described and loaded as the folder they were made from; broken ones refused."""

from __future__ import annotations

import dataclasses
import io
import shutil
import struct
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from PIL import Image

from convert.__main__ import main
from edge.checkpoint.build import build_model
from edge.checkpoint.files.gguf import open_gguf
from edge.checkpoint.folder import load_folder, open_checkpoint
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.gguf_door import gguf_processor
from edge.checkpoint.pair import GgufPair, is_gguf, open_pair
from edge.checkpoint.pair_parameters import load_pair
from edge.config import LayerQuantization
from edge.errors import ConfigError, EdgeError, WeightError
from edge.loading import DEMO_FOLDER, load
from edge.model.quantized import Parts
from edge.prompt.processor import Processor
from tests.unit.checkpoint.checkpoints import Parameters, parameters_of
from tests.unit.convert.gguf.sources import source_json, write_source


def convert(source: Path, out: Path, *options: str) -> Path:
    """Run the converter in this process."""
    with redirect_stdout(io.StringIO()):
        assert main(["gguf", str(source), str(out), "--processes", "1", *options]) == 0
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a source and its pair in F32, named as Qwen names them."""
    folder = tmp_path_factory.mktemp("gguf")
    write_source(folder / "source")
    convert(folder / "source", folder / "Qwen3VL-Tiny-F32.gguf", "--type", "F32", "--mmproj", "F32")
    return folder


def _parameters(pair: GgufPair) -> Parameters:
    return parameters_of(load_pair(pair, dtype=mx.float32).model)


def test_config_and_settings_equal_those_of_the_folder(made: Path) -> None:
    pair = open_pair(made / "Qwen3VL-Tiny-F32.gguf")
    expected = open_checkpoint(made / "source").config
    assert (
        dataclasses.replace(
            pair.config, eos_token_ids=expected.eos_token_ids, transformers_version=expected.transformers_version
        )
        == expected
    )
    ours, theirs = gguf_processor(pair), Processor.from_folder(made / "source", expected)
    assert ours.images == theirs.images
    assert dataclasses.replace(ours.generation, pad_token_id=None) == theirs.generation
    assert ours.template.source == theirs.template.source


def test_a_pair_for_small_pictures_takes_small_frames_too(tmp_path: Path) -> None:
    """A GGUF file has no limits for videos; the demo checkpoint has seen frames of 128x128 only."""
    pair = open_pair(convert(DEMO_FOLDER, tmp_path / "demo-F16.gguf", "--type", "F16"))
    frames = [Image.radial_gradient("L").convert("RGB") for _ in range(8)]  # 256x256
    content = [{"type": "video", "video": frames, "frame_rate": 2.0}, {"type": "text", "text": "What happens?"}]
    messages = [{"role": "user", "content": content}]
    ours = gguf_processor(pair).build(messages)
    theirs = Processor.from_folder(DEMO_FOLDER, open_checkpoint(DEMO_FOLDER).config).build(messages)
    assert ours.media[0].grid_thw == theirs.media[0].grid_thw == (4, 8, 8)
    assert ours.token_ids.tolist() == theirs.token_ids.tolist()


def test_the_tokenizer_equals_that_of_the_folder(made: Path) -> None:
    pair = open_pair(made / "Qwen3VL-Tiny-F32.gguf")
    ours = gguf_processor(pair).tokenizer
    theirs = Processor.from_folder(made / "source", pair.config).tokenizer
    assert ours.special_ids == theirs.special_ids
    for text in ("the ab 12 a<|im_end|>\n<think>é</think><|fim_prefix|>", " the the  ab"):
        assert ours.encode(text) == theirs.encode(text)
        assert ours.encode_plain(text) == theirs.encode_plain(text)


def test_every_parameter_of_an_f32_pair_equals_the_folders(made: Path) -> None:
    ours = _parameters(open_pair(made / "Qwen3VL-Tiny-F32.gguf"))
    theirs = parameters_of(load_folder(made / "source", dtype=mx.float32).model)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(np.array(array), np.array(theirs[name]), err_msg=name)


@pytest.mark.parametrize(
    ("text", "projector"),
    [
        ("Qwen3VL-X-Thinking-Q4_K_M.gguf", "mmproj-Qwen3VL-X-Thinking-F16.gguf"),
        ("Qwen3VL-X-Thinking-Q8_0.gguf", "mmproj-Qwen3VL-X-Thinking-Q8_0.gguf"),
        ("Qwen3-VL-X-Instruct-UD-Q4_K_XL.gguf", "mmproj-F16.gguf"),
        ("Qwen3-VL-X-Instruct-Q8_0.gguf", "mmproj-BF16.gguf"),
        ("model.Q8_0.gguf", "model.mmproj-f16.gguf"),
    ],
)
def test_projectors_are_found_by_published_names(made: Path, tmp_path: Path, text: str, projector: str) -> None:
    shutil.copy(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / text)
    shutil.copy(made / "mmproj-Qwen3VL-Tiny-F32.gguf", tmp_path / projector)
    assert open_pair(tmp_path / text).projector.path.name == projector
    assert is_gguf(tmp_path)
    assert open_pair(tmp_path).text.path.name == text


def test_the_models_own_projector_comes_before_a_nameless_one(made: Path, tmp_path: Path) -> None:
    for name in ("a-Q8_0.gguf", "mmproj-a-Q8_0.gguf", "mmproj-a-F16.gguf", "mmproj-F16.gguf"):
        kind = "mmproj-" if name.startswith("mmproj") else ""
        shutil.copy(made / f"{kind}Qwen3VL-Tiny-F32.gguf", tmp_path / name)
    assert open_pair(tmp_path / "a-Q8_0.gguf").projector.path.name == "mmproj-a-F16.gguf"


def test_a_missing_projector_is_named(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / "a-F32.gguf")
    with pytest.raises(WeightError, match=r"expected its projector beside it \(mmproj-a-F16\.gguf, mmproj-F16\.gguf"):
        open_pair(tmp_path / "a-F32.gguf")


def test_a_projector_of_another_size_is_refused(made: Path, tmp_path: Path) -> None:
    raw = source_json()
    raw["text_config"]["hidden_size"] = raw["vision_config"]["out_hidden_size"] = 512
    write_source(tmp_path / "other", raw)
    convert(tmp_path / "other", tmp_path / "other.gguf", "--type", "Q8_0", "--mmproj", "F16")
    with pytest.raises(WeightError, match=r"the projector gives 512 numbers per token, the model in .* takes 256"):
        open_pair(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / "mmproj-other-F16.gguf")


def test_a_projector_with_another_number_of_levels_is_refused(made: Path, tmp_path: Path) -> None:
    raw = source_json()
    raw["vision_config"]["deepstack_visual_indexes"] = [1]
    write_source(tmp_path / "other", raw)
    convert(tmp_path / "other", tmp_path / "other.gguf", "--type", "Q8_0", "--mmproj", "F16")
    with pytest.raises(WeightError, match=r"1 DeepStack levels, the model in .* takes 2"):
        open_pair(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / "mmproj-other-F16.gguf")


def test_a_found_projector_of_another_name_is_refused_and_a_named_one_taken(made: Path, tmp_path: Path) -> None:
    write_source(tmp_path / "Another")
    convert(tmp_path / "Another", tmp_path / "Another-F32.gguf", "--type", "F32", "--mmproj", "F32")
    shutil.copy(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / "tiny.gguf")
    (tmp_path / "mmproj-Another-F32.gguf").rename(tmp_path / "mmproj-F32.gguf")
    with pytest.raises(WeightError, match="the projector says it belongs to Another, the model is Source"):
        open_pair(tmp_path / "tiny.gguf")
    assert open_pair(tmp_path / "tiny.gguf", tmp_path / "mmproj-F32.gguf")


def test_a_projector_is_named_even_where_its_text_file_lies_beside_it(made: Path, tmp_path: Path) -> None:
    for path in made.glob("*.gguf"):
        shutil.copy(path, tmp_path / path.name)
    with pytest.raises(ConfigError, match="this is a projector"):
        open_pair(next(tmp_path.glob("mmproj*")))


def test_a_model_without_the_suffix_is_known_by_its_first_bytes(made: Path, tmp_path: Path) -> None:
    shutil.copy(made / "Qwen3VL-Tiny-F32.gguf", tmp_path / "sha256-1")
    (tmp_path / "sha256-2").write_bytes(b"GGU")
    assert is_gguf(tmp_path / "sha256-1")
    assert not is_gguf(tmp_path / "sha256-2")
    assert open_pair(tmp_path / "sha256-1", made / "mmproj-Qwen3VL-Tiny-F32.gguf").config.model_type == "qwen3_vl_moe"


def test_a_projector_as_model_is_explained(made: Path) -> None:
    with pytest.raises(ConfigError, match=r"this is a projector\. Give the text model with --model"):
        open_pair(made / "mmproj-Qwen3VL-Tiny-F32.gguf", made / "mmproj-Qwen3VL-Tiny-F32.gguf")


def test_a_text_file_as_projector_is_explained(made: Path) -> None:
    text = made / "Qwen3VL-Tiny-F32.gguf"
    with pytest.raises(WeightError, match="expected a projector of type qwen3vl_merger, found 'qwen3vlmoe'"):
        open_pair(text, text)


def test_a_folder_takes_no_projector(made: Path) -> None:
    with pytest.raises(ConfigError, match="a projector belongs to a GGUF model"):
        load(made / "source", projector=made / "mmproj-Qwen3VL-Tiny-F32.gguf")


@pytest.mark.parametrize("name", ["Qwen3VL-Tiny-F32.gguf", "mmproj-Qwen3VL-Tiny-F32.gguf"])
def test_a_missing_file_is_one_line(made: Path, tmp_path: Path, name: str) -> None:
    kind = (
        {"path": tmp_path / name, "projector": None}
        if name.startswith("Q")
        else {
            "path": made / "Qwen3VL-Tiny-F32.gguf",
            "projector": tmp_path / name,
        }
    )
    with pytest.raises(ConfigError, match="no such file"):
        open_pair(**kind)


# Key -> a value of the same length that lies.
NUMBERS = {
    "qwen3vlmoe.block_count": 2**31,
    "qwen3vlmoe.embedding_length": 2**30,
    "qwen3vlmoe.expert_count": 3,
    "qwen3vlmoe.expert_used_count": 5,
    "qwen3vlmoe.attention.head_count_kv": 3,
    "qwen3vlmoe.attention.key_length": 0,
    "qwen3vlmoe.n_deepstack_layers": 3,
    "tokenizer.ggml.eos_token_id": 2**31,
}


@pytest.mark.parametrize("key", NUMBERS)
def test_metadata_that_lies_is_one_line(made: Path, tmp_path: Path, key: str) -> None:
    raw = bytearray((made / "Qwen3VL-Tiny-F32.gguf").read_bytes())
    place = raw.index(key.encode()) + len(key) + 4
    raw[place : place + 4] = struct.pack("<I", NUMBERS[key])
    path = tmp_path / "a.gguf"
    path.write_bytes(raw)
    with pytest.raises(EdgeError) as caught:
        open_pair(path, made / "mmproj-Qwen3VL-Tiny-F32.gguf")
    assert "\n" not in str(caught.value)
    assert ".gguf: " in str(caught.value)


def test_a_renamed_tensor_is_named(made: Path, tmp_path: Path) -> None:
    raw = (made / "Qwen3VL-Tiny-F32.gguf").read_bytes().replace(b"blk.1.attn_q.weight", b"blk.1.attn_x.weight")
    path = tmp_path / "a.gguf"
    path.write_bytes(raw)
    with pytest.raises(WeightError, match=r"expected 1 tensor: blk\.1\.attn_q\.weight, not found"):
        open_pair(path, made / "mmproj-Qwen3VL-Tiny-F32.gguf")


def test_a_split_file_loads_as_the_whole(made: Path, tmp_path: Path) -> None:
    convert(made / "source", tmp_path / "s.gguf", "--type", "F32", "--mmproj", "F32", "--split-max-size", "8M")
    parts = sorted(tmp_path.glob("s-*.gguf"))
    assert len(parts) > 2
    pair = open_pair(parts[0])
    whole = open_gguf(made / "Qwen3VL-Tiny-F32.gguf")
    assert list(pair.text.tensors) == list(whole.tensors)
    for name in whole.tensors:
        np.testing.assert_array_equal(pair.text.read_bytes(name), whole.read_bytes(name))


@pytest.mark.parametrize(
    "kind", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K_S", "Q5_K_S", "Q4_K_M", "MXFP4_MOE", "IQ4_NL"]
)
def test_loaded_values_equal_the_files_blocks(made: Path, tmp_path: Path, kind: str) -> None:
    convert(made / "source", tmp_path / "a.gguf", "--type", kind, "--mmproj", "Q8_0")
    pair = open_pair(tmp_path / "a.gguf")
    model = load_pair(pair, dtype=mx.float32).model
    flat = parameters_of(model)
    forms = pair.packed_modules()
    checked = 0
    for rule in pair.rules:
        module = rule.targets[0].name.removesuffix(".weight")
        source = pair.file_of(rule.sources[0])
        tensor = source.tensors[rule.sources[0]]
        if module not in forms or tensor.type.name == "Q6_K":
            continue
        form = forms[module]
        values = mx.dequantize(
            flat[f"{module}.weight"],
            flat[f"{module}.scales"],
            flat.get(f"{module}.biases"),
            group_size=form.group_size,
            bits=form.bits,
            mode=form.mode,
        )
        expected = decode(source.read_bytes(rule.sources[0]), tensor.type)
        np.testing.assert_array_equal(np.array(values.astype(mx.float32)).reshape(expected.shape), expected)
        checked += 1
    assert checked > 10


def test_values_of_more_bits_than_queries_and_keys_stay_in_a_part_of_their_own(made: Path, tmp_path: Path) -> None:
    convert(made / "source", tmp_path / "a.gguf", "--type", "Q4_K_M", "--mmproj", "Q8_0")
    pair = open_pair(tmp_path / "a.gguf")
    model = load_pair(pair, dtype=mx.float32).model
    projections = [layer.self_attn.qkv_proj for layer in model.language_model.model.layers]
    unlike = [projection for projection in projections if isinstance(projection, Parts)]
    assert unlike
    text = pair.config.text
    rows = (text.num_heads + text.num_kv_heads) * text.head_dim
    assert all(
        [part.weight.shape[0] for part in own.parts] == [rows, text.num_kv_heads * text.head_dim] for own in unlike
    )
    ids, positions = mx.array([[5, 8, 3]]), np.broadcast_to(np.arange(3), (3, 1, 3))
    expected = build_model(pair.config, {}, unpacked(parameters_of(model), pair.packed_modules()))
    found = model(ids, positions=positions)
    np.testing.assert_allclose(np.array(found), np.array(expected(ids, positions=positions)), rtol=1e-3, atol=1e-4)


def unpacked(parameters: Parameters, forms: Mapping[str, LayerQuantization]) -> Iterator[tuple[str, mx.array]]:
    """Decode packed parameters."""
    for name, array in parameters.items():
        module, _, part = name.rpartition(".")
        if module not in forms:
            yield name, array
        elif part == "weight":
            form, scales = forms[module], parameters[f"{module}.scales"]
            biases = parameters.get(f"{module}.biases")
            yield name, mx.dequantize(array, scales, biases, form.group_size, form.bits, form.mode).astype(mx.float32)
        elif part == "bias":
            yield name, array


def test_what_repacking_adds_is_logged(made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    convert(made / "source", tmp_path / "a.gguf", "--type", "Q6_K", "--mmproj", "F16")
    with caplog.at_level("WARNING"):
        load_pair(open_pair(tmp_path / "a.gguf"), dtype=mx.float32)
    assert "Q6_K 0.4" in caplog.text


def test_an_unsupported_vocabulary_is_refused(made: Path, tmp_path: Path) -> None:
    raw = (made / "Qwen3VL-Tiny-F32.gguf").read_bytes().replace(b"<|image_pad|>", b"<|image_bad|>")
    (tmp_path / "a.gguf").write_bytes(raw)
    with pytest.raises(ConfigError, match=r"the vocabulary has no <\|image_pad\|>"):
        open_pair(tmp_path / "a.gguf", made / "mmproj-Qwen3VL-Tiny-F32.gguf")
