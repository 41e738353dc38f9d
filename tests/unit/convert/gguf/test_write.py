"""Whole conversions: one result from every layout, resumed after a kill, never under the final name before the end."""

from __future__ import annotations

import io
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
from convert.gguf.plan import Wanted, make_plan
from convert.gguf.types import FILE_TYPES
from convert.gguf.work import PARTIAL, Worker
from convert.gguf.write import JOURNAL, write_plan
from edge.errors import WeightError
from edge.weights.folder import Checkpoint, open_checkpoint
from edge.weights.gguf_reader import open_gguf
from tests.unit.convert.gguf.sources import source_json, source_parameters, write_companions, write_source
from tests.unit.weights.checkpoints import write_hub_folder, write_mlx_folder

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
    assert _run(tmp_path / "m", tmp_path / "t.gguf", "--type", "F32", "--mmproj", "F32", "--processes", "1") == 0
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
    checkpoint = open_checkpoint(source)
    plan = make_plan(checkpoint, source, Wanted(out, FILE_TYPES["Q4_0"], FILE_TYPES["F16"]), importance={})
    run = Worker.run
    calls: list[object] = []

    def stop_later(self: Worker, job: object) -> object:
        if len(calls) == num_done:
            raise _StoppedError
        calls.append(job)
        return run(self, job)  # type: ignore[arg-type]  # the job it was called with

    monkeypatch.setattr(Worker, "run", stop_later)
    with pytest.raises(_StoppedError):
        write_plan(plan, checkpoint, source, importance={}, num_processes=1)
    assert not out.exists()
    assert out.with_name(out.name + PARTIAL).stat().st_size == plan.files[0].num_bytes
    monkeypatch.setattr(Worker, "run", run)
    sizes: list[int] = []
    write_plan(plan, checkpoint, source, importance={}, num_processes=1, on_done=sizes.append)
    assert len(sizes) == 1 + len(plan.jobs) - num_done
    assert _bytes(out) == _bytes(finished)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".gguf", ".gguf"]


def test_a_journal_of_another_plan_is_not_believed(source: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.gguf"
    out.with_name(out.name + JOURNAL).write_text("0" * 64 + "\n0 0 280\n")
    out.with_name(out.name + PARTIAL).write_bytes(bytes(finished.stat().st_size))
    assert _run(source, out, "--type", "Q4_0", "--mmproj", "f16", "--processes", "1") == 0
    assert _bytes(out) == _bytes(finished)


@pytest.mark.slow
def test_a_killed_process_leaves_no_worker_and_is_resumed(tmp_path: Path) -> None:
    raw = source_json(experts=16)
    write_source(tmp_path / "Tiny", raw)
    out = tmp_path / "t.gguf"
    command = [sys.executable, "-m", "convert", "gguf", str(tmp_path / "Tiny"), str(out), "--type", "Q4_K_M"]
    process = subprocess.Popen([*command, "--processes", "2"], cwd=ROOT, stdout=subprocess.DEVNULL)
    journal = out.with_name(out.name + JOURNAL)
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") > 3):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists()
    assert subprocess.run([*command, "--processes", "1"], cwd=ROOT, capture_output=True, check=False).returncode == 0
    (tmp_path / "again").mkdir()
    command[5] = str(tmp_path / "again" / "t.gguf")
    assert subprocess.run([*command, "--processes", "1"], cwd=ROOT, capture_output=True, check=False).returncode == 0
    assert out.read_bytes() == (tmp_path / "again" / "t.gguf").read_bytes()


def test_infinite_weights_are_refused(tmp_path: Path) -> None:
    raw = source_json(is_moe=False)
    parameters = source_parameters(raw)
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    values = np.array(parameters[name])
    values[3, 5] = np.inf
    write_hub_folder(tmp_path / "m", raw, parameters | {name: mx.array(values)})
    write_companions(tmp_path / "m")
    checkpoint = open_checkpoint(tmp_path / "m")
    plan = make_plan(checkpoint, tmp_path / "m", Wanted(tmp_path / "t.gguf", FILE_TYPES["Q8_0"], None), importance={})
    with pytest.raises(WeightError, match=r"layers\.0\.mlp\.up_proj\.weight: found values that are infinite"):
        write_plan(plan, checkpoint, tmp_path / "m", importance={}, num_processes=1)


def test_a_full_disk_is_refused_before_anything_is_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convert.gguf.write.shutil.disk_usage", lambda path: _Free(1000))
    checkpoint: Checkpoint = open_checkpoint(source)
    plan = make_plan(checkpoint, source, Wanted(tmp_path / "t.gguf", FILE_TYPES["F16"], None), importance={})
    with pytest.raises(WeightError, match=r"the files need .* GB, free are 0\.0 GB"):
        write_plan(plan, checkpoint, source, importance={}, num_processes=1)
    assert not list(tmp_path.iterdir())


class _Free:
    def __init__(self, free: int) -> None:
        self.free = free


def test_a_split_has_the_tensors_of_the_whole(source: Path, finished: Path, tmp_path: Path) -> None:
    options = ("--type", "Q4_0", "--mmproj", "none", "--processes", "1", "--split-max-size", "1M")
    assert _run(source, tmp_path / "t.gguf", *options) == 0
    parts = sorted(tmp_path.iterdir())
    assert [part.name for part in parts][:2] == [f"t-0000{n}-of-0000{len(parts)}.gguf" for n in (1, 2)]
    assert all(part.stat().st_size < 1_100_000 for part in parts)
    whole, split = open_gguf(finished), open_gguf(parts[-1])
    assert list(split.tensors) == list(whole.tensors)
    for name in whole.tensors:
        np.testing.assert_array_equal(split.read_bytes(name), whole.read_bytes(name))
    own = {"split.no": 0, "split.count": len(parts), "split.tensors.count": len(whole.tensors)}
    assert split.metadata == {**whole.metadata, **own}
