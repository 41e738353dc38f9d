"""Whole conversions: one result from every layout, resumed after a kill, never under the final name before the end."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from convert.__main__ import main
from convert.disk import OutputError
from convert.final import JOURNAL, partial_path
from convert.gguf.plan import Wanted, make_plan
from convert.gguf.run import write_plan
from convert.gguf.types import FILE_TYPES
from edge.checkpoint.files.gguf import open_gguf
from edge.errors import UsageError, WeightError
from tests.unit.checkpoint.checkpoints import write_hub_folder, write_mlx_folder
from tests.unit.convert.gguf.sources import opened, source_json, source_parameters, write_companions, write_source
from tests.unit.convert.stops import stop_after

ROOT = Path(__file__).resolve().parents[4]


def _run(source: Path, out: Path, *options: str) -> int:
    with redirect_stdout(io.StringIO()):
        return main(["gguf", str(source), str(out), *options])


def _bytes(out: Path) -> tuple[bytes, bytes]:
    return out.read_bytes(), next(out.parent.glob("mmproj*.gguf")).read_bytes()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "Tiny")


@pytest.fixture(scope="module")
def finished(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "t.gguf"
    assert _run(source, out, "--type", "Q4_0", "--mmproj", "f16", "--processes", "1") == 0
    return out


@pytest.mark.parametrize("layout", ["transformers5", "mlx", "shards"])
def test_every_layout_gives_the_same_files(layout: str, finished: Path, tmp_path: Path) -> None:
    folder, raw = tmp_path / "Tiny", source_json()
    if layout == "transformers5":
        write_source(folder, raw, is_transformers5=True)
    elif layout == "mlx":
        write_mlx_folder(folder, raw, source_parameters(raw))
    else:
        write_hub_folder(folder, raw, source_parameters(raw), num_shards=3)
    write_companions(folder)
    out = tmp_path / "t.gguf"
    assert _run(folder, out, "--type", "Q4_0", "--mmproj", "f16", "--processes", "1") == 0
    assert _bytes(out) == _bytes(finished)


def test_a_packed_mlx_folder_gives_its_dequantized_values(tmp_path: Path) -> None:
    raw = source_json()
    quantization = {"group_size": 32, "bits": 8, "mode": "affine"}
    write_mlx_folder(tmp_path / "m", raw, source_parameters(raw), quantization=quantization)
    write_companions(tmp_path / "m")
    options = ("--type", "F32", "--mmproj", "F32", "--processes", "1")
    assert _run(tmp_path / "m", tmp_path / "t.gguf", *options) == 2  # packed already
    assert _run(tmp_path / "m", tmp_path / "t.gguf", *options, "--from-packed") == 0
    file = open_gguf(tmp_path / "t.gguf")
    weight = source_parameters(raw)["language_model.model.layers.1.mlp.switch_mlp.up_proj.weight"]
    packed = mx.quantize(weight, group_size=32, bits=8)
    expected = mx.dequantize(*packed, group_size=32, bits=8)
    found = file.read_bytes("blk.1.ffn_up_exps.weight").view("<f4")
    np.testing.assert_array_equal(found, np.array(expected).reshape(found.shape))


def test_several_processes_give_the_same_files(source: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.gguf"
    command = [sys.executable, "-m", "convert", "gguf", str(source), str(out), "--type", "Q4_0", "--mmproj", "f16"]
    done = subprocess.run([*command, "--processes", "2"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert _bytes(out) == _bytes(finished)


class _StoppedError(Exception):
    pass


@pytest.mark.parametrize("num_done", [0, 1, 7, 20])
def test_a_stopped_conversion_goes_on_to_the_same_files(
    num_done: int, source: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t.gguf"
    source_of = opened(source)
    plan = make_plan(source_of.checkpoint, Wanted(out, FILE_TYPES["Q4_0"], FILE_TYPES["F16"]))
    stop_after(monkeypatch, num_done, _StoppedError())
    with pytest.raises(_StoppedError):
        write_plan(plan, source_of, num_processes=1)
    assert not out.exists()
    assert (partial_path(out) / out.name).stat().st_size == plan.files[0].num_bytes
    monkeypatch.undo()
    assert write_plan(plan, source_of, num_processes=1).num_kept == num_done
    assert _bytes(out) == _bytes(finished)
    assert not partial_path(out).exists()


@pytest.mark.parametrize(
    ("kind", "projector", "difference"), [("Q5_0", "F16", "another --type"), ("Q4_0", "F32", "another file layout")]
)
def test_unfinished_files_of_another_plan_are_refused(
    kind: str, projector: str, difference: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "t.gguf"
    source_of = opened(source)
    plan = make_plan(source_of.checkpoint, Wanted(out, FILE_TYPES["Q4_0"], FILE_TYPES["F16"]))
    stop_after(monkeypatch, 0, _StoppedError())
    with pytest.raises(_StoppedError):
        write_plan(plan, source_of, num_processes=1)
    other = make_plan(source_of.checkpoint, Wanted(out, FILE_TYPES[kind], FILE_TYPES[projector]))
    with pytest.raises(UsageError, match=f"holds an unfinished conversion with {difference}\\. Repeat the command"):
        write_plan(other, source_of, num_processes=1)


def _stop_by(number: signal.Signals, command: list[str], out: Path) -> subprocess.CompletedProcess[str]:
    """Send a signal as soon as three pieces are done, and wait for the workers, which hold stderr, too.

    A terminal sends Ctrl-C to the workers as well.
    """
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    journal = partial_path(out) / JOURNAL
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 3):
        time.sleep(0.02)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, error = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, stderr=error)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_or_interrupted_process_is_resumed(number: signal.Signals, tmp_path: Path) -> None:
    write_source(tmp_path / "Tiny", source_json(experts=16))
    out = tmp_path / "t.gguf"
    command = [sys.executable, "-m", "convert", "gguf", str(tmp_path / "Tiny"), str(out), "--type", "Q4_K_M"]
    stopped = _stop_by(number, [*command, "--processes", "2"], out)
    if number == signal.SIGINT:
        line = f"\nInterrupted. What is done is kept in {out}.partial; run the same command again to go on.\n"
        assert (stopped.returncode, stopped.stderr) == (130, line)
    else:
        assert stopped.returncode == -signal.SIGKILL  # multiprocessing's tracker may warn of what it cleans up
    assert not out.exists()
    resumed = subprocess.run([*command, "--processes", "1"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert "pieces were kept from an interrupted run." in resumed.stdout
    (tmp_path / "again").mkdir()
    assert _run(tmp_path / "Tiny", tmp_path / "again" / "t.gguf", "--type", "Q4_K_M", "--processes", "1") == 0
    assert _bytes(out) == _bytes(tmp_path / "again" / "t.gguf")


def test_infinite_weights_are_refused(tmp_path: Path) -> None:
    raw = source_json(is_moe=False)
    parameters = source_parameters(raw)
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    values = np.array(parameters[name])
    values[3, 5] = np.inf
    write_hub_folder(tmp_path / "m", raw, parameters | {name: mx.array(values)})
    write_companions(tmp_path / "m")
    source_of = opened(tmp_path / "m")
    plan = make_plan(source_of.checkpoint, Wanted(tmp_path / "t.gguf", FILE_TYPES["Q8_0"], None))
    with pytest.raises(WeightError, match=r"layers\.0\.mlp\.up_proj\.weight holds 1 values that are infinite"):
        write_plan(plan, source_of, num_processes=1)


def test_a_full_disk_is_refused_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.disk.shutil.disk_usage", lambda path: _Free(1000))
    source_of = opened(source)
    plan = make_plan(source_of.checkpoint, Wanted(tmp_path / "t.gguf", FILE_TYPES["F16"], None))
    with pytest.raises(OutputError, match=r"are needed, 1,000 bytes are free"):
        write_plan(plan, source_of, num_processes=1)
    assert not list(tmp_path.iterdir())


class _Free:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_split_has_the_tensors_of_the_whole(source: Path, finished: Path, tmp_path: Path) -> None:
    options = ("--type", "Q4_0", "--mmproj", "none", "--processes", "1", "--split-max-size", "1M")
    assert _run(source, tmp_path / "t.gguf", *options) == 0
    parts = sorted(tmp_path.glob("*.gguf"))
    assert [part.name for part in parts][:2] == [f"t-0000{n}-of-0000{len(parts)}.gguf" for n in (1, 2)]
    assert all(part.stat().st_size < 1_100_000 for part in parts)
    whole, split = open_gguf(finished), open_gguf(parts[-1])
    assert list(split.tensors) == list(whole.tensors)
    for name in whole.tensors:
        np.testing.assert_array_equal(split.read_bytes(name), whole.read_bytes(name))
    own = {"split.no": 0, "split.count": len(parts), "split.tensors.count": len(whole.tensors)}
    assert split.metadata == {**whole.metadata, **own}
