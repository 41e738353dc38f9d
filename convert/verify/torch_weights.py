"""Read a checkpoint's tensors into torch modules, one block at a time, in the order transformers keeps them.

The files are mapped, so a tensor takes memory only while it is copied. Names and axes are taken from the hub's layout
itself, not from this project's name tables: a fault in those must show as a difference, not cancel out. The tables take
part only for MLX folders, and where an adapter is merged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import mlx.core as mx
import numpy as np
import torch

from edge.checkpoint.files.header import TensorInfo
from edge.checkpoint.folder import Checkpoint, read_parameters
from edge.checkpoint.names.hub import FP8_DTYPE, FP8_SCALE_SUFFIX, hub_table
from edge.checkpoint.names.table import Rule
from edge.errors import WeightError

_TORCH_TYPES = {
    "BF16": ("<i2", torch.bfloat16),
    "F16": ("<i2", torch.float16),
    "F32": ("<f4", torch.float32),
    FP8_DTYPE: ("u1", torch.float8_e4m3fn),
}
_EXPERTS = ".mlp.experts."
Module = TypeVar("Module", bound=torch.nn.Module)


class TorchWeights:
    """A checkpoint's tensors by hub name."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Take a checkpoint of float weights.

        Raises:
            WeightError: Its weights are quantized to whole numbers, so it is no reference.
        """
        if checkpoint.quantized:
            raise WeightError(
                f"{checkpoint.source.folder}: expected the original checkpoint as the reference, found MLX packed "
                f"weights ({next(iter(checkpoint.quantized))}). Give the folder it was converted from."
            )
        self._checkpoint = checkpoint
        # An adapter is merged by the name tables' last operation; parity with peft holds that by itself.
        self._by_tables = checkpoint.layout == "mlx" or checkpoint.adapter is not None

    def make(self, build: Callable[[], Module], *, prefix: str, dtype: torch.dtype) -> Module:
        """Build a module without memory, then fill its parameters.

        Args:
            build: Makes the module; runs on torch's meta device.
            prefix: Hub name of the module, with its dot.
            dtype: Compute type.
        """
        with torch.device("meta"):
            module = build()
        module = module.to(dtype).eval()
        # One buffer for the block: the system gets it back whole, and memory stays flat over many layers.
        buffer = torch.empty(sum(parameter.numel() for parameter in module.parameters()), dtype=dtype)
        start = 0
        for name, empty in list(module.named_parameters()):
            values = buffer[start : start + empty.numel()].view(empty.shape)
            start += empty.numel()
            self._fill(values, prefix + name)
            owner, _, own_name = name.rpartition(".")
            setattr(module.get_submodule(owner), own_name, torch.nn.Parameter(values, requires_grad=False))
        return module

    def rows(self, name: str, indexes: torch.Tensor) -> torch.Tensor:
        """Read some rows of a matrix, float32."""
        if self._by_tables:
            return self._from_tables(name)[indexes].float()
        return self._mapped(name)[indexes].float()

    def vector(self, name: str) -> torch.Tensor:
        """Read a small tensor, float32."""
        return self._from_tables(name) if self._by_tables else self._mapped(name).float()

    def _fill(self, parameter: torch.Tensor, name: str) -> None:
        if self._by_tables:
            self._copy(parameter, self._from_tables(name), name)
            return
        source = self._mapped(name)
        info = self._checkpoint.source.tensors[name]
        is_transposed = _EXPERTS in name and self._checkpoint.layout == "hub"  # [E, H, 2I] on the hub
        if info.dtype != FP8_DTYPE:
            self._copy(parameter, source.transpose(-1, -2) if is_transposed else source, name)
            return
        scales = self._mapped(name + FP8_SCALE_SUFFIX)
        if source.ndim == 2:
            self._copy(parameter, self._decode(source, scales), name)
            return
        for expert in range(source.shape[0]):  # one matrix at a time, so that float32 copies stay small
            decoded = self._decode(source[expert], scales[expert])
            self._copy(parameter[expert], decoded.T if is_transposed else decoded, name)

    def _copy(self, parameter: torch.Tensor, source: torch.Tensor, name: str) -> None:
        assert parameter.shape == source.shape, f"{name}: {tuple(source.shape)} for {tuple(parameter.shape)}"
        parameter.copy_(source)

    def _decode(self, codes: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        fp8 = self._checkpoint.config.fp8
        assert fp8 is not None, "FP8 tensors without a block size are refused when the folder is opened"
        rows, columns = codes.shape
        spread = scales.float().repeat_interleave(fp8.block_shape[0], 0)[:rows]
        return codes.float() * spread.repeat_interleave(fp8.block_shape[1], 1)[:, :columns]

    def _mapped(self, name: str) -> torch.Tensor:
        info: TensorInfo = self._checkpoint.source.tensors[name]
        if info.dtype not in _TORCH_TYPES:
            raise WeightError(f"{info.path}: {name} is stored as {info.dtype}; the reference reads floats only.")
        numpy_type, torch_type = _TORCH_TYPES[info.dtype]
        # mode c: pages are private, so torch may have a writable view; nothing is written
        mapped: Any = np.memmap(
            info.path, numpy_type, mode="c", offset=info.start, shape=info.shape
        )  # Any: torch's stub
        return torch.from_numpy(mapped).view(torch_type)

    @cached_property
    def _table_rules(self) -> dict[str, Rule]:
        table = hub_table(self._checkpoint.config, "transformers5")
        return {name: rule for rule in table.rules for name in rule.sources}

    def _from_tables(self, name: str) -> torch.Tensor:
        """Turn parameters back into what transformers keeps; only here the name tables take part."""
        rule = self._table_rules[name]
        wanted = {target.name for target in rule.targets}
        rules = tuple(own for own in self._checkpoint.rules if own.targets[0].name in wanted)
        parameters = dict(read_parameters(replace(self._checkpoint, rules=rules), dtype=mx.float32))
        array = rule.inverse([parameters[target.name] for target in rule.targets])[name]
        return torch.from_numpy(np.array(array))
