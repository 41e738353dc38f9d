"""One kept prefix as a safetensors file: what its tokens are, its keys and values, and a sum over all of it.

Order in the file: header, `token_ids` (L,), `positions` (3, L), `layer.N.M` for every layer and array of its state, and
`sha256`, the sum of all bytes before it. So what the tokens are is read without the rest, and writing and reading hold
one tensor at a time beside the memories. The sum is there because a flipped bit in a key is a wrong answer, not an
error. Written under another name and renamed last; not forced onto the disk, since the sum shows what got lost.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import BinaryIO, TypeVar

import mlx.core as mx
import numpy as np

from edge.checkpoint.files.dtypes import DTYPES, NAMES
from edge.checkpoint.files.header import Header, TensorInfo, read_header
from edge.errors import EdgeError, WeightError
from edge.kv.layer import LayerMemory, RowMemory
from edge.kv.make import memory_form, restore_memory
from edge.kv.prefix import PrefixKey, SpanKey
from edge.records import dataclass

FORMAT_VERSION = "edge-kv-2"
TEMPORARY_SUFFIX = ".tmp"

_SUM_BYTES = hashlib.sha256().digest_size
_HEAD_NAMES = ("token_ids", "positions")
_SUM_NAME = "sha256"
_WRITTEN = ("F32", "F16", "BF16", "U32")


class KeptFileError(EdgeError):
    """A file of kept keys and values is damaged, of another version, or something else."""


@dataclass(frozen=True, slots=True)
class KeptHead:
    """What is known of a kept prefix without reading its keys and values."""

    identity: str
    form: str
    key: PrefixKey

    def digest(self) -> str:
        """Name the prefix by all that its keys and values depend on, 64 hex digits."""
        parts = (FORMAT_VERSION, self.identity, self.form, _spans_to_json(self.key.spans))
        digest = hashlib.sha256("\n".join(parts).encode())
        for array in (self.key.token_ids, self.key.positions):
            digest.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return digest.hexdigest()


def make_head(identity: str, key: PrefixKey, memories: RowMemory) -> KeptHead:
    """Describe what `write_kept` will write."""
    return KeptHead(identity, memory_form(memories[0]), key)


def kept_bytes(head: KeptHead, memories: RowMemory) -> int:
    """Count the bytes of the file that `write_kept` will write."""
    header = _make_header(head, memories)
    return len(header) + 16 * len(head.key.token_ids) + sum(a.nbytes for m in memories for a in m.state) + _SUM_BYTES


Result = TypeVar("Result")
Steps = Generator[None, None, Result]
"""Work in bounded pieces: one with each `next`. Closed before its end it leaves nothing behind."""


def finish(steps: Steps[Result]) -> Result:
    """Do all steps at once; returns their result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def write_kept(path: Path, head: KeptHead, memories: RowMemory) -> Steps[None]:
    """Write a kept prefix, one array a step.

    The file has its name only when it is complete, and only its owner may read it.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=TEMPORARY_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            digest = hashlib.sha256()
            for part in _parts(head, memories):
                digest.update(part)
                file.write(part)
                yield
            file.write(digest.digest())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # deleted with all others meanwhile
            os.unlink(temporary)
        raise


def read_head(path: Path) -> KeptHead:
    """Read what the tokens of a kept prefix are.

    Raises:
        KeptFileError: The file is damaged, of another version, or something else.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return _read_head(file, _read_header(file, path))


def read_kept(path: Path) -> Steps[tuple[KeptHead, list[LayerMemory]]]:
    """Read a kept prefix, one array a step, and check the sum over the file.

    Raises:
        KeptFileError: The file is damaged, of another version, or something else.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        header = _read_header(file, path)
        head = _read_head(file, header)
        digest = hashlib.sha256()
        arrays: dict[str, mx.array] = {}
        infos = sorted(header.tensors.items(), key=lambda item: item[1].start)
        file.seek(0)
        digest.update(file.read(infos[0][1].start))
        for name, info in infos[:-1]:
            raw = _read_bytes(file, info)
            digest.update(raw.data)
            if name not in _HEAD_NAMES:
                arrays[name] = _to_array(raw, info)
            yield
        if infos[-1][0] != _SUM_NAME or _read_bytes(file, infos[-1][1]).tobytes() != digest.digest():
            raise KeptFileError("its content does not fit its sum")
    return head, _restore(head, arrays)


def _parts(head: KeptHead, memories: RowMemory) -> Iterator[bytes | memoryview]:
    """Yield the bytes of the file before the sum."""
    yield _make_header(head, memories)
    for array in (head.key.token_ids, head.key.positions):
        yield np.ascontiguousarray(array, dtype="<i4").tobytes()
    for memory in memories:
        for part in memory.state:
            bits = mx.contiguous(part).view(mx.uint16 if part.dtype == mx.bfloat16 else part.dtype)
            yield np.array(bits, copy=False).data


def _make_header(head: KeptHead, memories: RowMemory) -> bytes:
    """Return the length and the JSON that open a safetensors file."""
    num_tokens = len(head.key.token_ids)
    tensors: list[tuple[str, str, tuple[int, ...], int]] = [
        ("token_ids", "I32", (num_tokens,), 4 * num_tokens),
        ("positions", "I32", (3, num_tokens), 12 * num_tokens),
    ]
    for layer_index, memory in enumerate(memories):
        for array_index, array in enumerate(memory.state):
            name = f"layer.{layer_index}.{array_index}"
            tensors.append((name, NAMES[array.dtype], array.shape, array.nbytes))
    tensors.append((_SUM_NAME, "U8", (_SUM_BYTES,), _SUM_BYTES))
    metadata = {
        "format": FORMAT_VERSION,
        "identity": head.identity,
        "form": head.form,
        "spans": _spans_to_json(head.key.spans),
    }
    header: dict[str, object] = {"__metadata__": metadata}
    start = 0
    for name, dtype, shape, num_bytes in tensors:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [start, start + num_bytes]}
        start += num_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the format's readers want the data at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def _read_header(file: BinaryIO, path: Path) -> Header:
    try:
        header = read_header(file, path)
    except WeightError:
        raise KeptFileError("it is cut off or no safetensors file") from None
    found = header.metadata.get("format")
    if found != FORMAT_VERSION:
        raise KeptFileError(f"its format is {found!r}, expected {FORMAT_VERSION!r}")
    return header


def _read_head(file: BinaryIO, header: Header) -> KeptHead:
    metadata, tensors = header.metadata, header.tensors
    try:
        spans = tuple(SpanKey(*_checked_span(span)) for span in json.loads(metadata["spans"]))
        ids_info, positions_info = (tensors[name] for name in _HEAD_NAMES)
        num_tokens = prod(ids_info.shape)
        if ids_info.dtype != "I32" or positions_info.dtype != "I32" or positions_info.shape != (3, num_tokens):
            raise KeptFileError("its ids and positions have other types or shapes")
        file.seek(ids_info.start)
        token_ids = _read_bytes(file, ids_info).view("<i4")
        file.seek(positions_info.start)
        positions = _read_bytes(file, positions_info).view("<i4").reshape(3, num_tokens)
        return KeptHead(metadata["identity"], metadata["form"], PrefixKey(token_ids, positions, spans))
    except (KeyError, ValueError, TypeError, RecursionError):
        raise KeptFileError("its ids, positions or pictures are missing or broken") from None


def _checked_span(span: object) -> tuple[int, int, str, int]:
    if not isinstance(span, list) or [type(part) for part in span] != [int, int, str, int]:
        raise ValueError(f"{span!r} is no span")
    start, length, digest, media_offset = span
    return start, length, digest, media_offset


def _spans_to_json(spans: tuple[SpanKey, ...]) -> str:
    return json.dumps([[span.start, span.length, span.digest, span.media_offset] for span in spans])


def _read_bytes(file: BinaryIO, info: TensorInfo) -> np.ndarray:
    """Read one tensor's bytes from where the file stands."""
    raw = np.empty(info.num_bytes, dtype=np.uint8)
    if file.readinto(raw) != info.num_bytes:  # type: ignore[attr-defined]  # BinaryIO of typeshed lacks readinto
        raise KeptFileError("it is cut off")
    return raw


def _to_array(raw: np.ndarray, info: TensorInfo) -> mx.array:
    if info.dtype not in _WRITTEN:
        raise KeptFileError(f"it holds {info.dtype}")
    stored = DTYPES[info.dtype]
    return mx.array(raw.view(stored.numpy_type).reshape(info.shape)).view(stored.mlx_type)


def _restore(head: KeptHead, arrays: dict[str, mx.array]) -> list[LayerMemory]:
    """Make memories of the `layer.N.M` arrays, which must look alike in all layers."""
    per_layer = max(1, sum(name.startswith("layer.0.") for name in arrays))
    names = [[f"layer.{index}.{part}" for part in range(per_layer)] for index in range(len(arrays) // per_layer)]
    if {name for layer in names for name in layer} != set(arrays) or not names:
        raise KeptFileError("its layers are not all there")
    states = [tuple(arrays[name] for name in layer) for layer in names]
    looks = {tuple((array.shape, array.dtype) for array in state) for state in states}
    if len(looks) > 1 or any(array.shape[2:3] != (len(head.key.token_ids),) for array in states[0]):
        raise KeptFileError("its layers do not hold its tokens")
    try:
        return [restore_memory(head.form, state) for state in states]
    except ValueError as error:
        raise KeptFileError(str(error)) from None
