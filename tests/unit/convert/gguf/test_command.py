"""The command line of `python -m convert gguf`: what it refuses, what a dry run says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.gguf.plan import Wanted
from convert.gguf.types import FILE_TYPES, PROJECTOR_TYPES
from edge.checkpoint.pair import find_projectors
from tests.unit.convert.gguf.sources import source_json, tokenizer_text, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "Tiny", source_json(is_moe=False))


def test_a_dry_run_tells_sizes_and_writes_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "t-Q4_K_M.gguf"
    assert main(["gguf", str(source), str(out), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    assert main(["gguf", str(source), str(out), "--processes", "1"]) == 0
    for path in tmp_path.glob("*.gguf"):
        assert f"{path}  {path.stat().st_size:,} bytes" in told
    assert "Mac memory" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("SHA256SUMS", "mmproj-t-F16.gguf", "t-Q4_K_M.gguf", "t-Q4_K_M.gguf.Modelfile", "t-Q4_K_M.gguf.md")
    ]
    assert capsys.readouterr().out.endswith(f"Next: python -m edge.chat --model {out}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("t.gguf", "--type", "Q7"), "expected a type out of"),
        (("t.gguf", "--mmproj", "Q4_0"), "--mmproj: expected a type out of F32, F16, BF16, Q8_0 or none, found 'Q4_0'"),
        (("t.bin",), "expected an output name that ends in .gguf"),
        (("t.gguf", "--split-max-size", "many"), "expected a size such as 4G"),
        (("t.gguf", "--processes", "0"), "expected 1 or more"),
    ],
)
def test_wrong_usage_is_one_line(
    options: tuple[str, ...], message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gguf", str(source), str(tmp_path / options[0]), *options[1:]]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_type_is_a_size_too(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []
    for words in (["--type", "Q5_K_M"], ["--size", "q5_k_m"]):
        assert main(["gguf", str(source), str(tmp_path / "t.gguf"), "--dry-run", "--mmproj", "none", *words]) == 0
        sizes.append(int(re.search(r"t\.gguf  ([\d,]+) bytes", capsys.readouterr().out)[1].replace(",", "")))  # type: ignore[index]  # it is there
    assert 0.97 * sizes[0] < sizes[1] <= sizes[0]


def test_a_size_below_the_smallest_types_says_what_would_do(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["gguf", str(source), str(tmp_path / "t.gguf"), "--dry-run", "--size"]
    assert main([*words, "20000B"]) == 2
    told = capsys.readouterr().err
    assert "--size 20000B: the smallest types of this model take" in told
    assert main([*words, re.search(r"take ([\d.]+ [MG]B)", told)[1]]) == 0  # type: ignore[index]  # it is there


def test_an_existing_file_is_kept(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t.gguf"
    out.write_bytes(b"mine")
    assert main(["gguf", str(source), str(out), "--mmproj", "none"]) == 2
    assert "exists. Choose another name, or give --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main(["gguf", str(source), str(out), "--mmproj", "none", "--processes", "1", "--overwrite"]) == 0
    assert out.read_bytes()[:4] == b"GGUF"


def test_a_folder_in_the_place_of_the_file_is_refused_before_the_work(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.gguf").mkdir()
    assert main(["gguf", str(source), str(tmp_path / "t.gguf"), "--mmproj", "none", "--overwrite"]) == 2
    assert "t.gguf exists. Choose another name" in capsys.readouterr().err


def _tokenizer_without_id() -> dict[str, object]:
    raw: dict[str, object] = json.loads(tokenizer_text())
    return raw | {"added_tokens": [{"content": "<|im_end|>", "special": True}]}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("tokenizer.json", None, "vocab.json: file not found"),
        ("chat_template.jinja", None, "expected a chat template in"),
        ("preprocessor_config.json", None, "expected preprocessor_config.json"),
        ("tokenizer.json", {"model": {"vocab": {}}}, "expected a vocabulary from token to number, found none"),
        ("tokenizer.json", _tokenizer_without_id(), "an added token lacks content, id or special"),
    ],
)
def test_missing_companions_are_named(
    name: str, value: object, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    (folder / name).unlink()
    if value is not None:
        (folder / name).write_text(json.dumps(value))
    assert main(["gguf", str(folder), str(tmp_path / "t.gguf"), "--processes", "1"]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*.gguf*"))


def test_dense_layers_among_sparse_ones_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = source_json()
    raw["text_config"]["mlp_only_layers"] = [1]
    folder = write_source(tmp_path / "s", raw)
    assert main(["gguf", str(folder), str(tmp_path / "t.gguf"), "--processes", "1"]) == 1
    assert "llama.cpp runs no model with dense layers among sparse ones" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer_config.json", "[1]"),
        ("tokenizer_config.json", '{"chat_template": 7, "eos_token": [["x"]]}'),
        ("tokenizer.json", "7"),
        ("generation_config.json", '{"top_k": 1e300}'),
        ("preprocessor_config.json", '{"size": {"shortest_edge": 65536, "longest_edge": 1e40}}'),
        ("README.md", "---\na: [b\n---\n"),
        ("README.md", "---\n- 1\n---\n"),
        ("special_tokens_map.json", "\udcff"),
    ],
)
def test_odd_files_are_one_line_or_harmless(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    (folder / name).write_text(text, errors="surrogateescape")
    code = main(["gguf", str(folder), str(tmp_path / "t.gguf"), "--dry-run"])
    shown = capsys.readouterr().err
    assert code in (0, 1)
    assert "internal error" not in shown
    assert shown.count("\n") == code
    assert len(shown) < 500


def test_a_published_model_is_planned_under_a_budget_without_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "30b.gguf"
    assert main(["gguf", "30b", str(out), "--fit", "24 GB", "--kv-bits", "8", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "Errors of each type are modelled, as no weights were at hand." in shown
    assert "bytes in 2 files." in shown
    assert not out.exists()


@pytest.mark.parametrize(
    ("out", "projector"),
    [("f16.gguf", "mmproj-Q8_0.gguf"), ("Q4_K_M.gguf", "mmproj-Q8_0.gguf"), ("a-f16.gguf", "mmproj-a-Q8_0.gguf")],
)
def test_a_name_that_is_only_a_type_gives_a_projector_without_a_models_name(
    out: str, projector: str, tmp_path: Path
) -> None:
    wanted = Wanted(tmp_path / out, FILE_TYPES["F16"], PROJECTOR_TYPES["Q8_0"])
    assert wanted.projector.name == projector
    for path in (wanted.out, wanted.projector):
        path.touch()
    assert find_projectors(wanted.out) == [wanted.projector]
