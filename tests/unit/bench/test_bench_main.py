"""The program: everything on the demo in one short run, interrupts, wrong usage, files that cannot be written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import edge.bench.__main__ as program
from edge.bench import device_check, measures
from edge.bench.figures import Figure

SHORT = ["--repeats", "1", "--depths", "48", "--rows", "1,2", "--pictures", "64x32", "--tokens", "3"]


def test_the_graph_of_the_demo_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--graph", "--json", str(tmp_path / "a.json")]) == 0
    figures = {figure["what"]: figure for figure in json.loads((tmp_path / "a.json").read_text())["figures"]}
    assert figures["launches a layer"]["value"] <= 19
    assert figures["launches outside"]["value"] <= 3
    assert figures["host time a token"]["value"] > 0
    assert "launches a layer" in capsys.readouterr().out


@pytest.mark.long
def test_everything_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = [f"--{name}={tmp_path / name}" for name in ("json", "plot", "card")]
    assert program.main([*SHORT, *out]) == 0
    report = json.loads((tmp_path / "json").read_text())
    assert report["complete"] is True
    assert {figure["what"] for figure in report["figures"]} >= {
        "prefill", "decode", "decode, all rows", "peak memory", "first token, cold", "first token, warm", "second turn",
        "restored from disk", "picture preprocessing", "picture tower", "picture first token", "picture second turn",
        "bytes a token", "bandwidth used", "launches a layer", "host time a token",
    }  # fmt: skip
    reused = next(figure for figure in report["figures"] if figure["what"] == "second turn, reused")
    assert reused["value"] > 30
    assert (tmp_path / "plot").read_text().startswith("<svg")
    assert "## demo" in (tmp_path / "card").read_text()


@pytest.mark.skipif(device_check.has_gpu(), reason="there is a GPU: it would measure the 30B")
def test_the_device_check_runs_a_tiny_model_without_a_gpu(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert program.main(["--device-check", "--layers", "1", "--json", str(tmp_path / "a.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == device_check.TINY_NOTE, "the reader knows it before any figure"
    report = json.loads((tmp_path / "a.json").read_text())
    assert (report["complete"], report["model"]) == (True, "tiny random model")
    figures = {figure["what"]: figure["value"] for figure in report["figures"]}
    assert figures.keys() >= {
        "compute type", "same first token", "prefill", "decode", "host time a token", "peak beside weights",
        "picture tower", "picture first token", "picture peak beside weights",
    }  # fmt: skip
    assert (figures["launches a layer"], figures["launches outside"]) == (17, 6), "the embedding is packed"


def test_a_slice_at_real_widths_is_not_called_tiny() -> None:
    config = device_check.check_config(2, is_large=True)
    assert (device_check.check_name(config), config.text.num_layers) == ("random 30B", 2)


def interrupted(*_: object) -> Iterator[Figure]:
    yield Figure("prefill", 5.0, "tokens/s", {"tokens": 48})
    raise KeyboardInterrupt


def test_an_interrupt_keeps_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measures, "depth_figures", interrupted)
    assert program.main([*SHORT, "--json", str(tmp_path / "a.json")]) == program.INTERRUPTED
    report = json.loads((tmp_path / "a.json").read_text())
    assert (report["complete"], len(report["figures"])) == (False, 1)
    assert "Interrupted" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--depths", "0"], "expected a whole number of at least 1"),
        (["--pictures", "5"], "expected sizes such as"),
        (["--graph", "--device-check"], "not allowed with"),
        (["--device-check", "--model", "x"], "leave out --model"),
        (["--layers", "2"], "give --device-check too"),
        (["--real-widths"], "give --device-check too"),
    ],
)
def test_wrong_usage_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        program.main(words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "/nowhere/at/all"], "edge.bench: "),
        (["--json", "/nowhere/at/all.json"], "expected a file in a folder that is there"),
        (["--json", "/tmp"], "expected a file, found a folder"),
        (["--json", ""], "expected a file, found a folder"),
        (["--card", "/tmp/" + "x" * 300], "File name too long"),
    ],
)
def test_a_failure_is_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(words) == 1
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


def test_a_prompt_beyond_the_context_is_refused_before_anything_is_measured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert program.main(["--depths", "16,9999999", "--json", str(tmp_path / "a.json")]) == 2
    assert "--depths 9999999: expected at most 8128, as the context holds 8192" in capsys.readouterr().err
    assert json.loads((tmp_path / "a.json").read_text())["figures"] == []
