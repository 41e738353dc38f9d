"""The GGUF reader: what it reads, and that nothing a file says is trusted."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edge.checkpoint.files.gguf import open_gguf
from edge.errors import WeightError
from tests.unit.checkpoint import gguf_files as files
from tests.unit.checkpoint.gguf_files import assemble, entry, pair, small_file, string, strings, u32, write

NUM_TOKENS, NUM_MERGES = 151_936, 151_387  # as in the published files


def test_metadata_comes_with_its_types(tmp_path: Path) -> None:
    file = open_gguf(write(tmp_path / "a.gguf", small_file()))
    assert file.metadata == {
        "general.architecture": "test",
        "a.u32": 7,
        "a.bool": True,
        "a.f32": 0.5,
        "a.i64": -3,
        "a.list": [-1, 0, 1],
        "a.texts": ["ä", "", "b c"],
    }


def test_tensors_have_numpy_shapes_types_and_bytes(tmp_path: Path) -> None:
    file = open_gguf(write(tmp_path / "a.gguf", small_file()))
    assert {name: (t.type.name, t.shape) for name, t in file.tensors.items()} == {
        "one": ("F32", (3,)),
        "two.weight": ("Q8_0", (2, 64)),
        "three.weight": ("F16", (2, 4)),
    }
    np.testing.assert_array_equal(file.read_bytes("one").view("<f4"), [[1, 2, 3]])
    np.testing.assert_array_equal(file.read_bytes("two.weight", 1, 2), [np.arange(68, 136, dtype=np.uint8)])


def test_a_file_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    raw = small_file()
    for length in range(len(raw)):
        with pytest.raises(WeightError, match=r"a\.gguf: .*(truncated|expected|empty)"):
            open_gguf(write(tmp_path / "a.gguf", raw[:length]))


LIES = {
    "tensor count": assemble([u32("a", 1)], [], num_tensors=2**63),
    "metadata count": assemble([u32("a", 1)], [], num_pairs=2**60),
    "both counts within reason": assemble([u32("a", 1)], [], num_tensors=2**19, num_pairs=1),
    "key length": assemble([struct.pack("<Q", 2**62)], [], num_pairs=1),
    "text length": assemble([files.text("k") + struct.pack("<IQ", 8, 2**40)], [], num_pairs=1),
    "list length": assemble([pair("k", 9, struct.pack("<IQ", 8, 2**40))], []),
    "list of numbers": assemble([pair("k", 9, struct.pack("<IQ", 12, 2**61))], []),
    "list of many small numbers": assemble([pair("k", 9, struct.pack("<IQ", 0, 2**22 + 1))], []),
    "list of lists": assemble([pair("k", 9, struct.pack("<IQ", 9, 1))], []),
    "value type": assemble([pair("k", 99, b"")], []),
    "tensor size": assemble([], [entry("t", (2**40, 2**20), 0, 0)]),
    "product over 64 bits": assemble([], [entry("t", (2**60, 2**60, 2**60, 2**60), 0, 0)]),
    "no size": assemble([], [entry("t", (0,), 0, 0)]),
    "axes": assemble([], [entry("t", (1, 1, 1, 1, 1), 0, 0)], bytes(4)),
    "offset": assemble([], [entry("t", (1,), 0, 2**50)]),
    "offset out of step": assemble([], [entry("t", (1,), 0, 4)], bytes(64)),
    "overlap": assemble([], [entry("t", (16,), 0, 0), entry("u", (16,), 0, 32)], bytes(128)),
    "tensor twice": assemble([], [entry("t", (8,), 0, 0), entry("t", (8,), 0, 32)], bytes(64)),
    "key twice": assemble([u32("k", 1), u32("k", 1)], []),
    "broken row": assemble([], [entry("t", (33,), 8, 0)], bytes(68)),
    "alignment 0": assemble([u32("general.alignment", 0)], []),
    "alignment 48": assemble([u32("general.alignment", 48)], []),
    "key that is not UTF-8": assemble([files.text(b"\xff") + struct.pack("<II", 4, 1)], []),
    "token that is not UTF-8": assemble([pair("k", 9, struct.pack("<IQ", 8, 1) + files.text(b"\xff"))], []),
    "name with a line break": assemble([], [entry("a\nb", (8,), 0, 0)], bytes(32)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_one_line_and_allocates_nothing(lie: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.gguf", LIES[lie])
    tracemalloc.start()
    with pytest.raises(WeightError) as caught:
        open_gguf(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert peak < 2_000_000


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"PK\x03\x04" + bytes(60), "expected a GGUF file, found one that starts with"),
        (assemble([], [], version=1), "version 1"),
        (assemble([], [], version=3 << 24), "big-endian"),
        (assemble([], [entry("t", (32,), 4, 0)], bytes(32)), "GGML type 4, which this runtime does not know"),
        (b"", "found an empty one"),
    ],
)
def test_other_files_are_named(raw: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(WeightError, match=message):
        open_gguf(write(tmp_path / "a.gguf", raw))


@pytest.mark.parametrize("number", [1000, pytest.param(10_000, marks=pytest.mark.long)])
def test_mutated_headers_survive(number: int, tmp_path: Path) -> None:
    raw, chance = small_file(), random.Random(5)
    header_bytes = len(raw) - 208
    path = tmp_path / "a.gguf"
    outcomes, num_lines = {"read": 0, "refused": 0}, 0
    for _ in range(number):
        changed = bytearray(raw)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(header_bytes)
            changed[place] = chance.choice((0, 1, 127, 255, changed[place] ^ (1 << chance.randrange(8))))
        if chance.random() < 0.1:
            changed = changed[: chance.randrange(len(changed))]
        path.write_bytes(changed)
        try:
            file = open_gguf(path)
        except WeightError as error:
            outcomes["refused"] += 1
            num_lines = max(num_lines, str(error).count("\n") + 1)
        else:
            for name in file.tensors:
                file.read_bytes(name)
            outcomes["read"] += 1
    assert num_lines == 1
    assert min(outcomes.values()) > number // 20


def test_a_full_vocabulary_takes_less_than_a_second(tmp_path: Path) -> None:
    tokens = [f"token{number}" for number in range(NUM_TOKENS)]
    merges = [f"t{number} k{number}" for number in range(NUM_MERGES)]
    kinds = pair("kinds", 9, struct.pack("<IQ", 5, NUM_TOKENS) + struct.pack("<i", 1) * NUM_TOKENS)
    path = write(tmp_path / "a.gguf", assemble([strings("tokens", *tokens), strings("merges", *merges), kinds], []))
    started = time.process_time()
    file = open_gguf(path)
    seconds = time.process_time() - started
    assert file.metadata["tokens"] == tokens
    assert file.metadata["merges"] == merges
    assert seconds < 1


def _part(number: int, names: tuple[str, ...], *, count: int = 2, total: int = 2) -> bytes:
    entries = [entry(name, (8,), 0, 32 * index) for index, name in enumerate(names)]
    own = [string("general.architecture", "test")] if number == 0 else []
    return assemble([*own, *files.split_pairs(number, count, total)], entries, bytes([number]) * 32 * len(names))


def test_all_parts_are_read_whichever_is_named(tmp_path: Path) -> None:
    write(tmp_path / "m-00001-of-00002.gguf", _part(0, ("a",)))
    second = write(tmp_path / "m-00002-of-00002.gguf", _part(1, ("b",)))
    file = open_gguf(second)
    assert list(file.tensors) == ["a", "b"]
    assert file.metadata["general.architecture"] == "test"
    assert file.read_bytes("b").tobytes() == b"\x01" * 32


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    first = write(tmp_path / "m-00001-of-00002.gguf", _part(0, ("a",)))
    with pytest.raises(WeightError, match=r"m-00002-of-00002\.gguf: missing, expected all 2 parts"):
        open_gguf(first)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (_part(0, ("b",)), "expected part 2 of 2, the file says split.no 0"),
        (_part(1, ("b",), count=3), "split.count 3"),
        (_part(1, ("a",)), "a is also in an earlier part"),
        (_part(1, ("b", "c")), "expected 2 tensors over 2 parts, found 3"),
    ],
)
def test_parts_that_do_not_belong_together_are_refused(second: bytes, message: str, tmp_path: Path) -> None:
    first = write(tmp_path / "m-00001-of-00002.gguf", _part(0, ("a",)))
    write(tmp_path / "m-00002-of-00002.gguf", second)
    with pytest.raises(WeightError, match=message):
        open_gguf(first)
