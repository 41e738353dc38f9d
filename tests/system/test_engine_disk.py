"""Finished turns on disk: the process ends, and the next one goes on without a prefill of what was kept."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edge
from edge.loading import DEMO_FOLDER
from tests.system.test_engine_turns import GREEDY, gradient, question


@pytest.fixture
def packable_folder(tmp_path: Path) -> Path:
    """The demo checkpoint, whose heads are wide enough for packed keys and values; it may be changed."""
    return Path(shutil.copytree(DEMO_FOLDER, tmp_path / "model"))


TURN = """
import json, sys, edge
folder, keep, bits, messages = json.loads(sys.argv[1])
limits = edge.EngineLimits(keep_folder=keep and __import__("pathlib").Path(keep), kv_bits=bits)
with edge.load(folder, limits=limits) as engine:
    answer = engine.answer(edge.Request(messages=messages, sampling={"temperature": 0.0}, max_tokens=16))
print(json.dumps([answer.message(), answer.usage.cached_tokens, answer.usage.prompt_tokens, answer.usage.vision_runs]))
"""


def run_turn(folder: Path, keep: Path | None, messages: list[Any], *, bits: int | None = None) -> list[Any]:
    """Answer in a process of its own; Any: JSON."""
    given = json.dumps([str(folder), keep and str(keep), bits, messages])
    done = subprocess.run([sys.executable, "-c", TURN, given], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("bits", [None, 8])
def test_a_talk_goes_on_in_another_process_without_a_prefill_of_what_was_kept(
    packable_folder: Path, tmp_path: Path, bits: int | None
) -> None:
    keep, cat = tmp_path / "kept", gradient(tmp_path / "cat.png")
    messages: list[Any] = [question("What is this?", cat)]
    first, cached, length, runs = run_turn(packable_folder, keep, messages, bits=bits)
    assert (cached, runs) == (0, 1)
    messages += [first, question("And what else is there?")]
    second, cached, _, runs = run_turn(packable_folder, keep, messages, bits=bits)
    fresh, fresh_cached, _, fresh_runs = run_turn(packable_folder, None, messages, bits=bits)
    assert second == fresh
    assert (runs, fresh_runs, fresh_cached) == (0, 1, 0)
    # All of the first prompt but the opening of the thought, which the template leaves out of old turns.
    assert cached >= length - 2
    other_bits = 8 if bits is None else None
    assert run_turn(packable_folder, keep, messages, bits=other_bits)[1] == 0


def test_changed_weights_do_not_take_what_others_kept(packable_folder: Path, tmp_path: Path) -> None:
    keep, messages = tmp_path / "kept", [question("What is this that you see in the evening?")]
    run_turn(packable_folder, keep, messages)
    assert run_turn(packable_folder, keep, messages)[1] > 0
    shard = next(packable_folder.glob("*.safetensors"))
    os.utime(shard, (1, 1))
    assert run_turn(packable_folder, keep, messages)[1] == 0


def test_damaged_files_do_no_harm(packable_folder: Path, tmp_path: Path) -> None:
    keep = tmp_path / "kept"
    limits = edge.EngineLimits(keep_folder=keep)
    asked = edge.Request(messages=[question("What is this that you see?")], sampling=GREEDY, max_tokens=8)
    with edge.load(packable_folder, limits=limits) as engine:
        expected = engine.answer(asked).text
    (file,) = keep.glob("*.safetensors")
    whole, draw = file.read_bytes(), random.Random(1)
    for _ in range(25):
        broken = bytearray(whole)
        for _ in range(draw.randint(1, 40)):
            broken[draw.randrange(len(broken) if draw.random() < 0.5 else 400)] = draw.randrange(256)
        file.write_bytes(bytes(broken[: draw.randrange(len(broken))] if draw.random() < 0.3 else broken))
        with edge.load(packable_folder, limits=limits) as engine:
            assert engine.answer(asked).text == expected
    file.write_bytes(whole[: len(whole) // 2])
    with edge.load(packable_folder, limits=limits) as engine:
        assert engine.answer(asked).text == expected


def test_forgetting_empties_memory_and_disk(packable_folder: Path, tmp_path: Path) -> None:
    limits = edge.EngineLimits(keep_folder=tmp_path / "kept")
    with edge.load(packable_folder, limits=limits) as engine:
        engine.ask("What is this that you see?", max_tokens=4)
        engine.save_kept()
        assert list((tmp_path / "kept").glob("*.safetensors"))
        engine.forget_kept()
        assert engine.ask("What is this that you see?", max_tokens=4).usage.cached_tokens == 0
        engine.forget_kept()
    assert not list((tmp_path / "kept").glob("*.safetensors"))
