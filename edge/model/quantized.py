"""How weights are stored: packed expert matrices, joined projections of unlike parts, and the steps that place both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_unflatten

from edge.config import LayerQuantization, QuantizationConfig
from edge.errors import WeightError
from edge.model.moe import SwitchLinear, row_indexes


class QuantizedSwitchLinear(nn.Module):
    """One packed matrix per expert: `weight` uint32, `scales`, and `biases` in the affine mode."""

    def __init__(self, input_size: int, output_size: int, num_experts: int, setting: LayerQuantization) -> None:
        super().__init__()
        self.setting = setting
        zeros = mx.zeros((num_experts, output_size, input_size))
        packed = mx.quantize(zeros, group_size=setting.group_size, bits=setting.bits, mode=setting.mode)
        self.weight, self.scales = packed[0], packed[1]
        if setting.mode == "affine":
            self.biases = packed[2]
        self.freeze()

    def __call__(self, rows: mx.array, experts: mx.array, is_sorted: bool) -> mx.array:
        """Multiply rows (..., 1, I) by the matrices of their experts, as `SwitchLinear` does."""
        return mx.gather_qmm(
            rows,
            self.weight,
            self.scales,
            self.biases if self.setting.mode == "affine" else None,
            lhs_indices=None if is_sorted else row_indexes(rows.shape[:-2], tuple(experts.shape)),
            rhs_indices=experts,
            transpose=True,
            group_size=self.setting.group_size,
            bits=self.setting.bits,
            mode=self.setting.mode,
            sorted_indices=is_sorted,
        )


class Parts(nn.Module):
    """A projection whose outputs are stored in several matrices, since they are packed in unlike ways."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__()
        self.parts = list(parts)

    def __call__(self, rows: mx.array, *choice: mx.array | bool) -> mx.array:
        """Return the outputs of all parts side by side; `choice` is what a `SwitchLinear` takes beside its rows."""
        return mx.concatenate([part(rows, *choice) for part in self.parts], axis=-1)


def project_to(module: nn.Module, rows: mx.array, start: int, stop: int) -> mx.array:
    """Compute some neighbouring outputs of a projection without bias, and no others.

    Args:
        module: A linear layer, plain or packed, or `Parts` of these.
        rows: (..., I).
        start: The first output.
        stop: The first output after them.

    Returns:
        (..., stop - start).
    """
    if isinstance(module, Parts):
        outputs, first = [], 0
        for part in module.parts:
            size = part.weight.shape[0]
            low, high = max(start - first, 0), min(stop - first, size)
            if low < high:
                outputs.append(project_to(part, rows, low, high))
            first += size
        return mx.concatenate(outputs, axis=-1)
    if isinstance(module, nn.QuantizedLinear):
        biases = module.get("biases")
        weight: mx.array = module.weight
        return mx.quantized_matmul(
            rows,
            weight[start:stop],
            scales=module.scales[start:stop],
            biases=None if biases is None else biases[start:stop],
            transpose=True,
            group_size=module.group_size,
            bits=module.bits,
            mode=module.mode,
        )
    plain: mx.array = module.weight
    return rows @ plain[start:stop].T


def split_modules(model: nn.Module, parts: Mapping[str, Sequence[int]]) -> None:
    """Put `Parts` in the place of plain projections.

    Args:
        model: The model with plain modules; changed in place. Nothing is evaluated.
        parts: Path of a projection -> outputs of each part.
    """
    modules = dict(model.named_modules())
    replaced = [(path, Parts([_plain_like(modules[path], size) for size in sizes])) for path, sizes in parts.items()]
    model.update_modules(tree_unflatten(replaced))


def quantize_modules(model: nn.Module, quantization: QuantizationConfig, *, stored_paths: Collection[str]) -> None:
    """Replace the modules that a checkpoint stores packed, before their weights are loaded.

    Which modules are packed is read off the files (a `scales` tensor), since published folders leave out of their
    config that the vision tower is not; how they are packed comes from the config.

    Args:
        model: The model with plain modules; changed in place. Nothing is evaluated.
        quantization: Settings of the folder.
        stored_paths: Paths of modules with packed weights, such as `language_model.model.layers.0.mlp.gate`.

    Raises:
        WeightError: A path is not a linear layer or embedding of this model, has no setting, or does not split
            into groups.
    """
    modules = dict(model.named_modules())
    replaced: list[tuple[str, nn.Module]] = []
    for path in sorted(stored_paths):
        module, setting = modules.get(path), quantization.of(path)
        if setting is None:
            raise WeightError(
                f"{path}: the weights are packed, but config.json says they are not. Convert the model again."
            )
        try:
            packed = None if module is None else _quantized_like(module, setting)
        except ValueError as error:  # mx.quantize: group size and width do not fit
            raise WeightError(f"{path}: cannot hold {setting}: {error} Convert the model again.") from None
        if packed is None:
            raise WeightError(
                f"{path}: expected packed weights only for linear layers, embeddings and experts of this model, "
                "found them here. Check that config.json belongs to these weights."
            )
        replaced.append((path, packed))
    model.update_modules(tree_unflatten(replaced))


def _plain_like(module: nn.Module, output_size: int) -> nn.Module:
    if isinstance(module, SwitchLinear):
        num_experts, _, input_size = module.weight.shape
        return SwitchLinear(input_size, output_size, num_experts)
    return nn.Linear(module.weight.shape[1], output_size, bias=False)


def _quantized_like(module: nn.Module, setting: LayerQuantization) -> nn.Module | None:
    group_size, bits, mode = setting.group_size, setting.bits, setting.mode
    match module:
        case nn.Linear():
            output_size, input_size = module.weight.shape
            return nn.QuantizedLinear(input_size, output_size, "bias" in module, group_size, bits, mode)
        case nn.Embedding():
            num_rows, width = module.weight.shape
            return nn.QuantizedEmbedding(num_rows, width, group_size, bits, mode)
        case SwitchLinear():
            num_experts, output_size, input_size = module.weight.shape
            return QuantizedSwitchLinear(input_size, output_size, num_experts, setting)
    return None
