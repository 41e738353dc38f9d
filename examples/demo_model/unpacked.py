"""Write what this runtime reads of a conversion as a float32 folder under the hub's names, for transformers.

In: a converted folder or a GGUF file, and the original folder. Out: a folder with the conversion's values, unpacked,
and the original's configuration, tokenizer and processor files.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import mlx.core as mx

from edge.checkpoint.folder import open_checkpoint, read_parameters
from edge.checkpoint.names.hub import hub_table
from edge.checkpoint.pair import is_gguf, open_pair
from edge.checkpoint.pair_parameters import AddedError
from edge.checkpoint.pair_parameters import read_parameters as read_pair_parameters
from edge.config import LayerQuantization


def write_unpacked(conversion: Path, original: Path, out: Path) -> None:
    """Fill the folder `out`.

    Raises:
        EdgeError: A file is missing or broken.
    """
    out.mkdir(parents=True, exist_ok=True)
    for file in original.iterdir():
        if file.suffix in (".json", ".jinja", ".txt") and not file.name.endswith("index.json"):
            shutil.copyfile(file, out / file.name)
    parameters = _read(conversion)
    table = hub_table(open_checkpoint(original).config, "hub")
    tensors: dict[str, mx.array] = {}
    for rule in table.rules:
        tensors |= rule.inverse([parameters[target.name] for target in rule.targets])
    contiguous = {name: mx.contiguous(array) for name, array in tensors.items()}
    mx.save_safetensors(str(out / "model.safetensors"), contiguous, metadata={"format": "pt"})


def _read(conversion: Path) -> dict[str, mx.array]:
    if is_gguf(conversion):
        pair = open_pair(conversion)
        stored = read_pair_parameters(pair, dtype=mx.float32, added=AddedError())
        return _floats(stored, pair.packed_modules())
    checkpoint = open_checkpoint(conversion)
    return _floats(read_parameters(checkpoint, dtype=mx.float32), checkpoint.quantized)


def _floats(stored: Iterable[tuple[str, mx.array]], packed: Mapping[str, LayerQuantization]) -> dict[str, mx.array]:
    """Unpack packed weights; everything else passes through."""
    arrays = dict(stored)
    for module, form in packed.items():
        weight, scales, biases = (arrays.pop(f"{module}.{part}", None) for part in ("weight", "scales", "biases"))
        assert weight is not None, f"{module} has no packed weight"
        assert scales is not None, f"{module} has no scales"
        arrays[f"{module}.weight"] = mx.dequantize(
            weight, scales, biases, group_size=form.group_size, bits=form.bits, mode=form.mode
        ).astype(mx.float32)
    return arrays
