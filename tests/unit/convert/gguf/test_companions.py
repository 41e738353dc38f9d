"""The files beside a GGUF model: sums that hold, a card without paths, a Modelfile, and a projector made once."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.gguf.companions import begins_with_thought
from tests.unit.convert.gguf.sources import source_json, write_source


def convert(source: Path, out: Path, *options: str) -> tuple[int, str]:
    with redirect_stdout(told := io.StringIO()):
        code = main(["gguf", str(source), str(out), "--processes", "1", *options])
    return code, told.getvalue()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "Tiny", source_json(is_moe=False))


def sums_of(folder: Path) -> dict[str, str]:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    return {name: value for value, name in (line.split("  ") for line in lines)}


def test_a_second_type_reuses_the_projector_and_adds_its_sum(source: Path, tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_text(f"{'0' * 64}  another file\n")
    assert convert(source, tmp_path / "t-Q8_0.gguf", "--type", "Q8_0")[0] == 0
    before = (tmp_path / "mmproj-t-F16.gguf").stat().st_ino
    code, told = convert(source, tmp_path / "t-Q4_0.gguf", "--type", "Q4_0")
    assert code == 0
    assert "mmproj-t-F16.gguf" in told
    assert "the equal file that was there" in told
    assert (tmp_path / "mmproj-t-F16.gguf").stat().st_ino == before
    sums = sums_of(tmp_path)
    assert sums.pop("another file") == "0" * 64
    assert sums == {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.glob("*.gguf")}
    assert len(sums) == 3


def test_a_projector_of_another_model_is_kept(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(source, tmp_path / "t-Q8_0.gguf", "--type", "Q8_0")[0] == 0
    projector = tmp_path / "mmproj-t-F16.gguf"
    content = bytearray(projector.read_bytes())
    content[-3] ^= 1
    projector.write_bytes(content)
    assert convert(source, tmp_path / "t-Q4_0.gguf", "--type", "Q4_0")[0] == 1
    assert "mmproj-t-F16.gguf exists and differs from what this conversion makes" in capsys.readouterr().err
    assert projector.read_bytes() == content
    projector.write_bytes(content[:-1])
    assert convert(source, tmp_path / "u" / "t-Q4_0.gguf", "--type", "Q4_0")[0] == 0
    assert convert(source, tmp_path / "t-Q5_0.gguf", "--type", "Q5_0")[0] == 2  # of another length: at once


def test_a_card_of_the_users_is_not_written_over(source: Path, tmp_path: Path) -> None:
    (tmp_path / "t.gguf.md").write_text("mine")
    assert convert(source, tmp_path / "t.gguf", "--mmproj", "none")[0] == 2
    assert (tmp_path / "t.gguf.md").read_text() == "mine"


def test_the_card_names_files_and_no_path_of_this_machine(source: Path, tmp_path: Path) -> None:
    assert convert(source, tmp_path / "t.gguf", "--type", "Q8_0")[0] == 0
    card = (tmp_path / "t.gguf.md").read_text()
    assert "python -m convert gguf Tiny OUT.gguf --type Q8_0 --mmproj F16" in card
    assert "llama-server --model t.gguf --mmproj mmproj-t-F16.gguf" in card
    assert hashlib.sha256((source / "model.safetensors").read_bytes()).hexdigest() in card
    assert "Mac memory" in card
    assert str(tmp_path) not in card


def test_the_modelfile_names_both_files_turns_and_sampling(source: Path, tmp_path: Path) -> None:
    assert convert(source, tmp_path / "t.gguf", "--type", "Q8_0")[0] == 0
    text = (tmp_path / "t.gguf.Modelfile").read_text()
    assert text.startswith("FROM ./t.gguf\nFROM ./mmproj-t-F16.gguf\nTEMPLATE ")
    assert "PARAMETER temperature 0.7\nPARAMETER top_p 0.8\nPARAMETER top_k 20\n" in text
    assert "<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n" in text
    assert "<think>" not in text


@pytest.mark.parametrize(
    ("tail", "expected"),
    [("assistant\n", False), ("assistant\n<think>\n", True), ("assistant\n<think>\n\n</think>\n\n", False)],
)
def test_a_thinking_template_opens_a_thought(tail: str, expected: bool) -> None:
    template = "{% if '<think>' in m %}{% endif %}{%- if add_generation_prompt %}<|im_start|>" + tail + "{% endif %}"
    assert begins_with_thought(template) is expected


def test_a_broken_generation_config_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    (folder / "generation_config.json").write_text(json.dumps({"top_p": "much"}))
    assert convert(folder, tmp_path / "t.gguf")[0] == 1
    assert "generation_config.json" in capsys.readouterr().err
    assert not list(tmp_path.glob("t.gguf*"))


def test_a_gguf_file_as_source_is_named(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert convert(source, tmp_path / "t.gguf", "--type", "Q8_0")[0] == 0
    assert convert(tmp_path / "t.gguf", tmp_path / "u.gguf")[0] == 2
    assert "a GGUF file, whose weights are packed already" in capsys.readouterr().err


def test_a_broken_adapter_is_not_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_source(tmp_path / "s", source_json(is_moe=False))
    (folder / "adapter_config.json").write_text("{}")
    for words in (["gguf", str(folder), str(tmp_path / "t.gguf")], ["mlx", str(folder), str(tmp_path / "out")]):
        assert main(words) == 1
        assert "adapter_config.json: peft_type is missing" in capsys.readouterr().err
