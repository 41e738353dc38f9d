"""Give a model the modules that stored parameters need: packed ones, and projections in several parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import mlx.nn as nn
from mlx.utils import tree_unflatten

from edge.config import LayerQuantization, QuantizationConfig
from edge.errors import WeightError
from edge.model.linear import Linear
from edge.model.moe import SwitchLinear
from edge.model.quantized import Parts, QuantizedEmbedding, QuantizedLinear, QuantizedSwitchLinear
from edge.products import turned


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


def turn_matrices(model: nn.Module) -> None:
    """Lay out the matrices of a filled model, one by one, as this machine multiplies them most quickly."""
    for module in model.modules():
        if isinstance(module, Linear | SwitchLinear):
            module.weight = turned(module.weight)


def _plain_like(module: nn.Module, output_size: int) -> nn.Module:
    if isinstance(module, SwitchLinear):
        num_experts, _, input_size = module.weight.shape
        return SwitchLinear(input_size, output_size, num_experts)
    return Linear(module.weight.shape[1], output_size, bias=False)


def _quantized_like(module: nn.Module, setting: LayerQuantization) -> nn.Module | None:
    group_size, bits, mode = setting.group_size, setting.bits, setting.mode
    match module:
        case nn.Linear():
            output_size, input_size = module.weight.shape
            return QuantizedLinear(input_size, output_size, "bias" in module, group_size, bits, mode)
        case nn.Embedding():
            num_rows, width = module.weight.shape
            return QuantizedEmbedding(num_rows, width, group_size, bits, mode)
        case SwitchLinear():
            num_experts, output_size, input_size = module.weight.shape
            return QuantizedSwitchLinear(input_size, output_size, num_experts, setting)
    return None
