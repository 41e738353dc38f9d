"""Load a GGUF pair: blocks go to MLX's packed forms without being quantized anew where a form exists.

In: a checked `GgufPair`. Out: `LoadedModel`, as from a folder. What the packed forms add to the files' own error is
measured on some rows of each tensor and logged.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import field
from math import prod

import mlx.core as mx
import numpy as np

from edge.checkpoint.build import build_model, num_model_bytes
from edge.checkpoint.files.gguf import GgufFile
from edge.checkpoint.folder import LoadedModel, default_dtype
from edge.checkpoint.ggml.decode import decode
from edge.checkpoint.ggml.pack import Packed, is_exact, pack, unpack_values
from edge.checkpoint.names.hub import packed_targets
from edge.checkpoint.names.table import Rule
from edge.checkpoint.pair import GgufPair
from edge.config import LayerQuantization
from edge.records import dataclass

_LOG = logging.getLogger(__name__)
CHUNK_VALUES = 1 << 24  # decoded at a time
SAMPLED_ROWS = 16


@dataclass(slots=True)
class AddedError:
    """How far packed values lie from the file's, by block type."""

    squares: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    weights: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    tensors: Counter[str] = field(default_factory=Counter)

    def shares(self) -> dict[str, float]:
        """Return the root mean square of the differences over that of the values, for types that differ at all."""
        return {
            name: (square / self.weights[name]) ** 0.5
            for name, square in self.squares.items()
            if square > 0 and self.weights[name] > 0
        }


def load_pair(pair: GgufPair, *, dtype: mx.Dtype | None = None) -> LoadedModel:
    """Load a GGUF model.

    Args:
        pair: The two files.
        dtype: Compute type of floats and of packed scales; float32 keeps exact forms exact. By default bfloat16 on a
            GPU and float32 on the CPU.
    """
    compute_dtype = dtype or default_dtype()
    added = AddedError()
    parameters = read_parameters(pair, dtype=compute_dtype, added=added)
    model = build_model(pair.config, pair.packed_modules(), parameters)
    if shares := added.shares():
        _LOG.warning("%s: %s", pair.text.path.name, describe_shares(shares, added.tensors))
    return LoadedModel(
        config=pair.config,
        model=model,
        folder=pair.text.path,
        layout="gguf",
        dtype=compute_dtype,
        num_bytes=num_model_bytes(model),
    )


def describe_shares(shares: Mapping[str, float], tensors: Mapping[str, int]) -> str:
    """Say in one line how far packed values lie from the file's."""
    listed = ", ".join(f"{name} {share:.2%} ({tensors[name]} tensors)" for name, share in sorted(shares.items()))
    return f"block types without an equal form here are repacked; difference (root mean square): {listed}"


def read_parameters(pair: GgufPair, *, dtype: mx.Dtype, added: AddedError) -> Iterator[tuple[str, mx.array]]:
    """Read parameters one by one, evaluated; packed ones come as weight, scales and perhaps biases."""
    for rule in pair.rules:
        form = pair.packed_form(rule)
        if form is None:
            yield from _read_floats(pair, rule, dtype=dtype).items()
        else:
            yield from _read_packed(pair, rule, form, dtype=dtype, added=added).items()


def read_floats(file: GgufFile, name: str) -> mx.array:
    """Decode a whole tensor, float32 (float types: as they are stored)."""
    tensor = file.tensors[name]
    raw = file.read_bytes(name)
    if tensor.type.name == "BF16":
        array = mx.array(raw.view("<u2")).view(mx.bfloat16)
    elif tensor.type.name == "F16":
        array = mx.array(raw.view("<f2"))
    else:
        array = mx.array(decode(raw, tensor.type))
    return array.reshape(tensor.shape)


def _read_floats(pair: GgufPair, rule: Rule, *, dtype: mx.Dtype) -> dict[str, mx.array]:
    arrays = rule.apply([read_floats(pair.file_of(source), source) for source in rule.sources])
    arrays = {name: array.astype(dtype) for name, array in arrays.items()}
    mx.eval(list(arrays.values()))
    return arrays


def _read_packed(
    pair: GgufPair, rule: Rule, form: LayerQuantization, *, dtype: mx.Dtype, added: AddedError
) -> dict[str, mx.array]:
    source, target = rule.sources[0], rule.targets[0]
    file = pair.file_of(source)
    tensor = file.tensors[source]
    num_rows = prod(tensor.shape[:-1])
    step = max(1, CHUNK_VALUES // tensor.shape[-1])
    chunks = []
    for start in range(0, num_rows, step):
        chunks.append(pack(file.read_bytes(source, start, min(num_rows, start + step)), tensor.type, dtype=dtype))
    _measure(chunks[0], file, source, form, added)
    parts = [[chunk.weight for chunk in chunks], [chunk.scales for chunk in chunks]]
    parts += [[chunk.biases for chunk in chunks if chunk.biases is not None]] if chunks[0].biases is not None else []
    targets = packed_targets(target.name, target.shape, form)
    arrays = {
        place.name: (arrays[0] if len(arrays) == 1 else mx.concatenate(arrays)).reshape(place.shape)
        for place, arrays in zip(targets, parts, strict=True)
    }
    mx.eval(list(arrays.values()))
    return arrays


def _measure(chunk: Packed, file: GgufFile, source: str, form: LayerQuantization, added: AddedError) -> None:
    tensor = file.tensors[source]
    added.tensors[tensor.type.name] += 1
    if is_exact(tensor.type) and chunk.scales.dtype in (mx.float32, mx.uint8):
        return
    rows = min(SAMPLED_ROWS, chunk.weight.shape[0])
    biases = None if chunk.biases is None else chunk.biases[:rows]
    values = np.array(unpack_values(Packed(chunk.weight[:rows], chunk.scales[:rows], biases), form))
    truth = decode(file.read_bytes(source, 0, rows), tensor.type)
    added.squares[tensor.type.name] += float(np.square(values - truth).sum())
    added.weights[tensor.type.name] += float(np.square(truth).sum())
