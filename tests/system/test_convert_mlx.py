"""`python -m convert mlx` as a user runs it: convert and chat, kill and resume, full disks, wrong input."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.final import partial_path
from tests.system.convert_process import run_convert, start_convert, wait_for_pieces
from tests.system.folders import write_tiny_folder
from tests.system.in_process import run_here
from tests.unit.checkpoint.checkpoints import write_config
from tests.unit.convert.mlx.conversion import files_of, group_config_json, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 300 pieces, and two large tensors that take long enough to be interrupted."""
    raw = group_config_json()
    raw["text_config"] |= {"num_hidden_layers": 24, "mlp_only_layers": [1, 5], "vocab_size": 100_000}
    return write_source(tmp_path_factory.mktemp("convert") / "source", raw, num_shards=3)


@pytest.fixture(scope="module")
def expected(source: Path) -> dict[str, str]:
    out = source.parent / "expected"
    result = run_convert(source, out, "--recipe", "4bit-mixed")
    assert result.returncode == 0, result.stderr
    return files_of(out)


def test_a_converted_checkpoint_answers(tmp_path: Path) -> None:
    folder = write_tiny_folder(tmp_path / "tiny", num_shards=2)
    result = run_convert(folder, tmp_path / "out", "--recipe", "8bit")
    assert (result.returncode, result.stderr) == (0, "")
    assert "bits per weight" in result.stdout
    chat = [sys.executable, "-m", "edge.chat", "--model", str(tmp_path / "out"), "--max-tokens", "5", "--json", "Hello"]
    answer = subprocess.run(chat, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["finish_reason"] in ("length", "stop")


@pytest.mark.slow
def test_ten_kills_and_a_resume_give_identical_bytes(source: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    """SIGKILL at ten moments of one conversion, each later than the one before."""
    out = tmp_path / "out"
    killed = 0
    for moment in (0, 1, 2, 20, 40, 80, 120, 160, 200, 230):
        process = start_convert(source, out, "--recipe", "4bit-mixed")
        wait_for_pieces(process, out, moment)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
        assert not out.exists()
    assert killed == 10
    result = run_convert(source, out, "--recipe", "4bit-mixed")
    assert result.returncode == 0, result.stderr
    assert "pieces were kept from an interrupted run" in result.stdout
    assert files_of(out) == expected
    assert not partial_path(out).exists()


def test_ctrl_c_leaves_a_resumable_state_and_says_so(source: Path, tmp_path: Path, expected: dict[str, str]) -> None:
    out = tmp_path / "out"
    process = start_convert(source, out, "--recipe", "4bit-mixed")
    wait_for_pieces(process, out, 5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip() == f"Interrupted. What is done is kept in {out}.partial; run the same command again to go on."
    result = run_convert(source, out, "--recipe", "4bit-mixed")
    assert result.returncode == 0, result.stderr
    assert files_of(out) == expected


NO_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}  # a full disk would leave it cut, for every later process


def test_a_disk_that_takes_no_more_is_one_line_and_the_work_goes_on(
    source: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    def take_no_more() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    out = tmp_path / "out"
    result = run_convert(source, out, "--recipe", "4bit-mixed", preexec=take_no_more, environment=NO_BYTE_CODE)
    assert result.returncode == 1
    assert result.stderr == (
        f"convert: {out}.partial: the disk is full. What is done is kept; make room and run the same command again "
        "to go on.\n"
    )
    assert run_convert(source, out, "--recipe", "4bit-mixed").returncode == 0
    assert files_of(out) == expected


def test_an_unfinished_conversion_is_not_continued_with_another_recipe(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start_convert(source, out)
    wait_for_pieces(process, out, 3)
    process.kill()
    process.communicate()
    result = run_convert(source, out, "--recipe", "8bit")
    assert result.returncode == 2
    assert result.stderr.startswith(f"convert: {out}.partial holds an unfinished conversion with another recipe.")


def test_a_dry_run_writes_nothing(source: Path, tmp_path: Path) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    result = run_convert(source, tmp_path / "out", "--dry-run", "--recipe", "4bit-mixed")
    assert (result.returncode, result.stderr) == (0, "")
    assert "This machine (" in result.stdout
    assert "mlp.switch_mlp.down_proj" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["SOURCE", "OUT", "--recipe", "7bit"], 2, "argument --recipe: invalid choice: '7bit'"),
        (["SOURCE"], 2, "OUT is missing: name the folder to make, or add --dry-run."),
        (["SOURCE", "OUT", "--set", "mlp.gate"], 2, "--set 'mlp.gate': expected PATTERN=FORMAT"),
        (["SOURCE", "OUT", "--set", "mlp.gate=9bit"], 2, "'9bit' is not a format."),
        (["SOURCE", "OUT", "--set", "nothing=8bit"], 2, "--set 'nothing' fits no matrix of this model."),
        (["SOURCE", "OUT", "--bits", "7"], 2, "bits 7 does not exist in mode affine, only 2, 3, 4, 5, 6, 8."),
        (["SOURCE", "OUT", "--mode", "q4"], 2, "--mode q4: expected one of affine, mxfp4, mxfp8, nvfp4."),
        (["SOURCE", "OUT", "--shard-gb", "0"], 2, "--shard-gb 0.0: expected 0.001 to 1000."),
        (["SOURCE", "OUT", "--stream"], 2, "--stream downloads a hub id;"),
        (["./nowhere", "OUT"], 1, "./nowhere: no such folder. Give a model folder, or a hub id such as org/name."),
        (["./nowhere", "--dry-run"], 1, "nowhere: no such folder."),
        (["EMPTY", "OUT"], 1, "expected config.json in the model folder, found nothing."),
        (["BROKEN", "OUT"], 1, "expected .safetensors files, found config.json."),
        (["SOURCE", "SOURCE"], 2, "exists. Choose another OUT, or delete it."),
    ],
)
def test_wrong_input_is_one_line(source: Path, tmp_path: Path, words: list[str], code: int, message: str) -> None:
    (tmp_path / "empty").mkdir()
    write_config(tmp_path / "broken", group_config_json())
    places = {"SOURCE": source, "OUT": tmp_path / "out", "EMPTY": tmp_path / "empty", "BROKEN": tmp_path / "broken"}
    done = run_here(lambda: main(["mlx", *(str(places.get(word, word)) for word in words)]), environment={})
    assert done.code == code, done.err
    assert message in done.err
    assert len(done.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    assert not partial_path(tmp_path / "out").exists()


@pytest.mark.parametrize("words", [[], ["nothing"], ["mlx"], ["mlx", "--frobnicate"]])
def test_wrong_usage_of_the_program_is_one_line_and_2(words: list[str]) -> None:
    result = subprocess.run([sys.executable, "-m", "convert", *words], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert "--help" in result.stderr


def test_help_lists_every_recipe_with_its_sentence() -> None:
    from edge.plan.recipes import RECIPES

    text = run_convert("--help").stdout
    assert all(recipe.name in text and recipe.sentence in text for recipe in RECIPES.values())


def test_progress_is_shown_on_a_terminal_only(source: Path, tmp_path: Path) -> None:
    main, other = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "convert", "mlx", str(source), str(tmp_path / "out")],
        stdout=subprocess.DEVNULL,
        stderr=other,
    )
    os.close(other)
    shown = b""
    while True:
        try:
            part = os.read(main, 1000)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(main)
    assert process.wait() == 0
    assert b"tensors  0.0" in shown
