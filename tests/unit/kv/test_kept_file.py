"""Files of kept prefixes: every bit comes back, or the file is refused."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from safetensors import safe_open

from edge.kv.kept_file import KeptFileError, KeptHead, finish, kept_bytes, make_head, read_head, read_kept, write_kept
from edge.kv.make import KvBits
from edge.kv.prefix import SpanKey
from tests.unit.kv.kept import is_row_equal, make_key, make_row
from tests.unit.kv.reference import HEADS, random_pairs, random_tokens


def write(path: Path, *, kv_bits: KvBits | None = None, dtype: mx.Dtype = mx.float32) -> KeptHead:
    memories = make_row(kv_bits=kv_bits, dtype=dtype)
    head = make_head("abc", make_key(), memories)
    finish(write_kept(path, head, memories))
    return head


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
@pytest.mark.parametrize("kv_bits", [None, 8, 4])
def test_a_row_comes_back_bit_for_bit_and_goes_on_alike(
    tmp_path: Path, kv_bits: KvBits | None, dtype: mx.Dtype
) -> None:
    written = write(tmp_path / "a", kv_bits=kv_bits, dtype=dtype)
    head, memories = finish(read_kept(tmp_path / "a"))
    expected = make_row(kv_bits=kv_bits, dtype=dtype)
    assert is_row_equal(memories, expected)
    assert head.digest() == written.digest()
    new = random_pairs(3, seed=5, head_dim=32).astype(dtype)
    queries = random_tokens(3, seed=6, heads=HEADS, head_dim=32).astype(dtype)
    for memory, other in zip(memories, expected, strict=True):
        memory.append(new)
        other.append(new)
        one, two = (kept.attend(queries, scale=0.2, mask="causal") for kept in (memory, other))
        assert mx.allclose(one, two, rtol=1e-5, atol=1e-6).item()


def test_the_head_is_read_by_itself(tmp_path: Path) -> None:
    write(tmp_path / "a", kv_bits=8)
    head = read_head(tmp_path / "a")
    assert (head.identity, head.form) == ("abc", "packed-8-32")
    assert np.array_equal(head.key.token_ids, make_key().token_ids)
    assert np.array_equal(head.key.positions, make_key().positions)
    assert head.key.spans == make_key().spans


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16])
def test_the_file_is_safetensors_as_others_read_it(tmp_path: Path, dtype: mx.Dtype) -> None:
    path = tmp_path / "a.safetensors"
    write(path, dtype=dtype)
    with safe_open(path, framework="np") as file:
        names = sorted(file.keys())
        positions = file.get_tensor("positions")
    assert names == ["layer.0.0", "layer.1.0", "positions", "sha256", "token_ids"]
    assert np.array_equal(positions, make_key().positions)
    loaded = mx.load(str(path))
    assert isinstance(loaded, dict)
    assert loaded["layer.1.0"].dtype == dtype
    assert mx.array_equal(loaded["layer.1.0"], make_row(dtype=dtype)[1].state[0]).item()
    content = path.read_bytes()
    assert hashlib.sha256(content[:-32]).digest() == content[-32:]


@pytest.mark.parametrize("kv_bits", [None, 4])
def test_the_size_is_known_before(tmp_path: Path, kv_bits: KvBits | None) -> None:
    head = write(tmp_path / "a", kv_bits=kv_bits)
    assert (tmp_path / "a").stat().st_size == kept_bytes(head, make_row(kv_bits=kv_bits))


def test_only_the_owner_may_read_it_and_nothing_else_is_left(tmp_path: Path) -> None:
    write(tmp_path / "a")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_write_closed_before_its_end_leaves_nothing(tmp_path: Path) -> None:
    memories = make_row()
    steps = write_kept(tmp_path / "a", make_head("abc", make_key(), memories), memories)
    for _ in range(4):
        next(steps)
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    steps.close()
    assert list(tmp_path.iterdir()) == []


def other_heads() -> list[KeptHead]:
    head = make_head("abc", make_key(), make_row())
    key = head.key
    moved = replace(key, positions=key.positions + np.array([[0], [0], [1]], dtype=np.int32))
    return [
        head,
        replace(head, identity="abd"),
        replace(head, form="packed-8-32"),
        replace(head, key=make_key(seed=1)),
        replace(head, key=moved),
        replace(head, key=replace(key, spans=(SpanKey(20, 4, "dog", 0),))),
        replace(head, key=replace(key, spans=(SpanKey(20, 4, "cat", 4),))),
        replace(head, key=key.first(30)),
    ]


def test_the_digest_tells_everything_apart_that_keys_and_values_depend_on() -> None:
    assert len({head.digest() for head in other_heads()}) == len(other_heads())
    wide = replace(make_key(), token_ids=make_key().token_ids.astype(np.int64))
    assert replace(other_heads()[0], key=wide).digest() == other_heads()[0].digest()


def edited(content: bytes, changes: dict[str, object], *, metadata: dict[str, str] | None = None) -> bytes:
    """Change tensors and metadata of a header, and write the right sum behind."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"].update(metadata or {})
    text = json.dumps({changes.get(name, name): entry for name, entry in header.items()}).encode()
    body = len(text).to_bytes(8, "little") + text + content[8 + size : -32]
    return body + hashlib.sha256(body).digest()


@pytest.mark.parametrize(
    ("changes", "metadata", "message"),
    [
        ({}, {"format": "edge-kv-0"}, "its format is 'edge-kv-0', expected 'edge-kv-2'"),
        ({"token_ids": "ids"}, {}, "missing or broken"),
        ({}, {"spans": "[[1, 2]]"}, "missing or broken"),
        ({}, {"spans": "[" * 100_000}, "missing or broken"),
        ({"layer.0.0": "layer.2.0"}, {}, "layers are not all there"),
        ({"layer.1.0": "layer.one"}, {}, "layers are not all there"),
        ({"layer.1.0": "layer.0.2"}, {}, "layers are not all there"),
        ({"sha256": "sum"}, {}, "does not fit its sum"),
        ({}, {"form": "packed-8-32"}, "expected the state of a memory of form 'packed-8-32'"),
        ({}, {"form": "round"}, "of form 'round'"),
    ],
)
def test_a_file_with_a_right_sum_and_wrong_content_is_refused(
    tmp_path: Path, changes: dict[str, object], metadata: dict[str, str], message: str
) -> None:
    write(tmp_path / "a")
    content = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(edited(content, {}))
    assert len(finish(read_kept(tmp_path / "a"))[1]) == 2
    (tmp_path / "a").write_bytes(edited(content, changes, metadata=metadata))
    with pytest.raises(KeptFileError, match=message):
        finish(read_kept(tmp_path / "a"))


def test_keys_of_fewer_tokens_than_ids_are_refused(tmp_path: Path) -> None:
    memories = make_row(30)
    finish(write_kept(tmp_path / "a", make_head("abc", make_key(), memories), memories))
    with pytest.raises(KeptFileError, match="do not hold its tokens"):
        finish(read_kept(tmp_path / "a"))
