"""The store of kept prefixes: found again after the end, within its bytes, and unharmed by whatever lies there."""

from __future__ import annotations

import logging
import os
import random
import stat
import time
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save as foreign_file

from edge.errors import ConfigError
from edge.kv import disk
from edge.kv.disk import PrefixStore
from edge.kv.kept_file import finish, read_kept
from edge.kv.make import KvBits
from edge.kv.prefix import PrefixKey, SpanKey
from tests.unit.kv.kept import NUM_TOKENS, is_row_equal, make_key, make_row

NEXT = (7, 8, 9)


def store(folder: Path, *, identity: str = "model, plain", max_bytes: int = 10**9) -> PrefixStore:
    return PrefixStore(folder / "kept", identity=identity, max_bytes=max_bytes)


def files(folder: Path) -> list[Path]:
    return sorted((folder / "kept").iterdir())


def one_file(folder: Path, *, kv_bits: KvBits | None = None) -> Path:
    assert store(folder).save(make_key(), make_row(kv_bits=kv_bits))
    (path,) = files(folder)
    return path


@pytest.mark.parametrize("kv_bits", [None, 8, 4])
@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_a_conversation_goes_on_after_the_end(tmp_path: Path, kv_bits: KvBits | None, dtype: mx.Dtype) -> None:
    assert store(tmp_path).save(make_key(), make_row(kv_bits=kv_bits, dtype=dtype))
    hit = store(tmp_path).find(make_key(more=NEXT))
    assert hit is not None
    assert hit[1] == NUM_TOKENS
    assert is_row_equal(hit[0], make_row(kv_bits=kv_bits, dtype=dtype))


def test_a_shared_beginning_is_cut_to_what_is_shared(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(make_key(), make_row())
    hit = kept.find(make_key(30, more=NEXT))
    assert hit is not None
    assert hit[1] == 30
    assert is_row_equal(hit[0], make_row(30))


def test_the_longest_is_found_and_only_if_longer_than_what_is_at_hand(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(make_key(more=NEXT), make_row(NUM_TOKENS + 3))
    kept.save(make_key(30, more=(5, 5)), make_row(32))
    wanted = make_key(more=(7, 8, 1))
    hit = kept.find(wanted, longer_than=NUM_TOKENS + 1)
    assert hit is not None
    assert hit[1] == NUM_TOKENS + 2
    assert kept.find(wanted, longer_than=NUM_TOKENS + 2) is None


def with_media(digest: str) -> PrefixKey:
    key = make_key(more=NEXT)
    return PrefixKey(key.token_ids, key.positions, (SpanKey(20, 4, digest, 0),))


@pytest.mark.parametrize(
    ("wanted", "num_shared"),
    [
        (with_media("cat"), NUM_TOKENS),
        (with_media("dog"), 20),
        (PrefixKey(make_key().token_ids, make_key().positions + 1, make_key().spans), 0),
        (make_key(15, more=NEXT), 0),
        (make_key(seed=1), 0),
    ],
)
def test_only_equal_ids_positions_and_pictures_are_shared(tmp_path: Path, wanted: PrefixKey, num_shared: int) -> None:
    one_file(tmp_path)
    hit = store(tmp_path).find(wanted)
    assert (hit[1] if hit else 0) == num_shared


def test_another_identity_shares_nothing_and_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one_file(tmp_path)
    other = store(tmp_path, identity="model, 8 bits")
    assert other.find(make_key(more=NEXT)) is None
    assert other.save(make_key(), make_row(kv_bits=8))
    assert len(files(tmp_path)) == 2
    assert caplog.messages == []


def test_folder_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_continued_conversation_replaces_its_file_and_a_held_one_adds_none(tmp_path: Path) -> None:
    kept = store(tmp_path)
    kept.save(make_key(), make_row())
    kept.save(make_key(more=NEXT), make_row(NUM_TOKENS + 3))
    (path,) = files(tmp_path)
    kept.save(make_key(30), make_row(30))
    assert files(tmp_path) == [path]


def test_saving_cuts_to_what_is_there_and_leaves_the_callers_memories(tmp_path: Path) -> None:
    memories = make_row()
    assert store(tmp_path).save(make_key(30), memories)
    assert [memory.num_tokens for memory in memories] == [NUM_TOKENS] * 2
    hit = store(tmp_path).find(make_key(more=NEXT))
    assert hit is not None
    assert hit[1] == 30
    assert not store(tmp_path).save(make_key(10, seed=1), make_row(10))


def save_aged(kept: PrefixStore, folder: Path, seed: int) -> Path:
    """Save one, and make all files a minute older afterwards."""
    before = set(files(folder))
    assert kept.save(make_key(seed=seed), make_row(seed=seed))
    (new,) = set(files(folder)) - before
    for path in files(folder):
        os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return new


def test_the_ones_used_longest_ago_go_over_the_budget(tmp_path: Path) -> None:
    num_bytes = one_file(tmp_path).stat().st_size
    store(tmp_path).delete_all()
    kept = store(tmp_path, max_bytes=2 * num_bytes + 100)
    first, second = (save_aged(kept, tmp_path, seed) for seed in (1, 2))
    assert kept.nbytes == first.stat().st_size + second.stat().st_size
    assert kept.find(make_key(seed=1, more=NEXT)) is not None
    third = save_aged(kept, tmp_path, 3)
    assert set(files(tmp_path)) == {first, third}
    assert kept.nbytes <= 2 * num_bytes + 100


def test_one_over_the_budget_is_not_kept_and_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = one_file(tmp_path)
    kept = store(tmp_path, max_bytes=path.stat().st_size)
    assert not kept.save(make_key(200, seed=1), make_row(200))
    assert files(tmp_path) == [path]
    assert len(caplog.messages) == 1


def test_a_row_goes_on_while_it_is_saved_and_restored_in_steps(tmp_path: Path) -> None:
    memories, kept = make_row(), store(tmp_path)
    num_steps = 0
    for _ in kept.save_steps(make_key(), memories):
        num_steps += 1
        for memory, other in zip(memories, make_row(seed=9), strict=True):
            memory.trim(1)
            memory.append(*(part[:, :, :1] for part in other.state))
    assert num_steps == 3 + 2
    steps = kept.find_steps(make_key(more=NEXT))
    for _ in range(4):
        next(steps)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value[1] == NUM_TOKENS
    assert is_row_equal(end.value.value[0], make_row())


def test_a_full_disk_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk, "write_kept", fail)
    assert not store(tmp_path).save(make_key(), make_row())
    assert [message.count("No space left") for message in caplog.messages] == [1]


def test_everything_is_deleted_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    path.with_name("half.tmp").write_bytes(b"x")
    path.with_name("mine.txt").write_bytes(b"x")
    kept = store(tmp_path)
    kept.delete_all()
    assert [left.name for left in files(tmp_path)] == ["mine.txt"]
    assert kept.find(make_key(more=NEXT)) is None


def test_what_is_deleted_while_it_is_written_does_not_come_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = store(tmp_path)
    steps = kept.save_steps(make_key(), make_row())
    next(steps)
    kept.delete_all()
    assert finish(steps) is False
    assert files(tmp_path) == []
    assert len(caplog.messages) == 1


def test_old_half_written_files_go_and_new_ones_stay(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    for name, age in (("old.tmp", 7200), ("new.tmp", 60)):
        path.with_name(name).write_bytes(b"x")
        os.utime(path.with_name(name), (time.time() - age,) * 2)
    store(tmp_path)
    assert [left.name for left in files(tmp_path)] == [path.name, "new.tmp"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"")
    with pytest.raises(ConfigError, match="expected a folder for kept conversations"):
        store(tmp_path)


def test_a_file_deleted_by_another_program_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, kept = one_file(tmp_path), store(tmp_path)
    assert kept.find(make_key(more=NEXT)) is not None

    def read_late(name: Path) -> object:
        path.unlink()
        return read_kept(name)

    monkeypatch.setattr(disk, "read_kept", read_late)
    assert kept.find(make_key(more=NEXT)) is None
    assert kept.find(make_key(more=NEXT)) is None


def test_the_next_best_is_taken_when_the_best_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, kept = one_file(tmp_path), store(tmp_path)
    path.write_bytes(path.read_bytes()[:-40] + bytes(40))
    kept.save(make_key(30, more=(5, 5)), make_row(32))
    for _ in range(2):
        hit = kept.find(make_key(more=NEXT))
        assert hit is not None
        assert hit[1] == 30
    assert len(caplog.messages) == 1


Mutation = Callable[[bytes, random.Random], bytes]


def cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def flip_head(content: bytes, rng: random.Random) -> bytes:
    return flip_at(content, rng, rng.randrange(1500))


def flip_anywhere(content: bytes, rng: random.Random) -> bytes:
    return flip_at(content, rng, rng.randrange(len(content)))


def flip_at(content: bytes, rng: random.Random, index: int) -> bytes:
    return content[:index] + bytes([content[index] ^ (1 << rng.randrange(8))]) + content[index + 1 :]


def fill(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content) - 40)
    stop = min(len(content), start + rng.choice([40, 4096]))
    return content[:start] + bytes([rng.choice([0x20, 0xFF])]) * (stop - start) + content[stop:]


def extend(content: bytes, rng: random.Random) -> bytes:
    return content + rng.randbytes(rng.randrange(1, 100))


def swap(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(1500, len(content) - 1500)
    return content[:at] + content[at + 8 :] + content[at : at + 8]


def noise(content: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(2000))


def long_header(content: bytes, rng: random.Random) -> bytes:
    return rng.choice([2**63, 2**32, 99_000_000]).to_bytes(8, "little") + content[8:]


def foreign(content: bytes, rng: random.Random) -> bytes:
    shape = (1, 2, rng.randrange(50), 32)
    return foreign_file({"layer.0.0": np.zeros(shape, dtype=np.float32)}, metadata={"format": "edge-kv-2"})


def nested(content: bytes, rng: random.Random) -> bytes:
    text = b'{"a":' * rng.choice([10, 100_000])
    return len(text).to_bytes(8, "little") + text


MUTATIONS = (cut, flip_head, flip_anywhere, fill, extend, swap, noise, long_header, foreign, nested)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: str(mutation.__name__))
def test_twenty_damaged_files_each_do_no_harm(
    tmp_path: Path, mutation: Mutation, caplog: pytest.LogCaptureFixture
) -> None:
    path = one_file(tmp_path)
    content, rng = path.read_bytes(), random.Random(mutation.__name__)
    caplog.set_level(logging.WARNING)
    for number in range(20):
        damaged = mutation(content, rng)
        path.write_bytes(damaged)
        assert damaged != content
        kept = store(tmp_path)
        assert kept.find(make_key(more=NEXT)) is None, f"mutant {number}"
        assert len(caplog.messages) == number + 1, "one line for each file"
        assert "\n" not in caplog.messages[-1]
    assert kept.save(make_key(), make_row())
    assert kept.find(make_key(more=NEXT)) is not None


def test_files_under_wrong_names_and_things_that_are_no_files_do_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = one_file(tmp_path)
    other = store(tmp_path, identity="another")
    other.save(make_key(), make_row(seed=5))
    (theirs,) = set(files(tmp_path)) - {path}
    theirs.rename(path.with_name(path.name[:16] + theirs.name[16:]))
    path.rename(path.with_name(path.name[:17] + 64 * "0" + ".safetensors"))
    path.with_name(path.name[:17] + 64 * "1" + ".safetensors").mkdir()
    os.mkfifo(path.with_name(path.name[:17] + 64 * "2" + ".safetensors"))
    path.with_name(path.name[:17] + 64 * "3" + ".safetensors").symlink_to("/dev/zero")
    path.with_name("model.safetensors").write_bytes(b"not ours")
    assert store(tmp_path).find(make_key(more=NEXT)) is None
    assert [message.count("name is not that of its content") for message in caplog.messages] == [1, 1]
