"""Make a model from a configuration and parameters under their published paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import mlx.core as mx
from mlx.utils import tree_flatten

from edge.checkpoint.names.joined import Joining, join_names, join_parameters
from edge.config import LayerQuantization, ModelConfig, QuantizationConfig
from edge.errors import ConfigError

if TYPE_CHECKING:
    from edge.model.qwen3vl import Qwen3VL


def build_model(
    config: ModelConfig, packed: Mapping[str, LayerQuantization], parameters: Iterable[tuple[str, mx.array]]
) -> Qwen3VL:
    """Make a model and fill it.

    Args:
        config: The checkpoint.
        packed: Published module path -> how its weight is packed.
        parameters: All parameters under their published paths, evaluated; taken one by one.

    Raises:
        WeightError: A module cannot be packed as it should be.
        ValueError: A parameter is missing, unknown, or has another shape.
    """
    # Late: converters import this package and need no model.
    from edge.checkpoint.modules import turn_matrices

    joining = join_names(config, packed)
    model = empty_model(config, joining)
    model.load_weights(list(join_parameters(parameters, joining.rules)), strict=True)  # checks names and shapes
    model.eval()
    turn_matrices(model.language_model)
    return model


def empty_model(config: ModelConfig, joining: Joining) -> Qwen3VL:
    """Make a model whose modules are of the kinds that the joined parameters need; nothing is evaluated."""
    from edge.checkpoint.modules import quantize_modules, split_modules
    from edge.model.qwen3vl import Qwen3VL

    model = Qwen3VL(config)
    split_modules(model, joining.parts)
    forms = QuantizationConfig(LayerQuantization(32, 4, "affine"), joining.packed)  # each packed module is named
    quantize_modules(model, forms, stored_paths=joining.packed.keys())
    return model


def num_model_bytes(model: Qwen3VL) -> int:
    """Count the bytes of all parameters in memory."""
    arrays: list[tuple[str, mx.array]] = tree_flatten(model.parameters())  # type: ignore[assignment]  # mlx: a union
    return sum(array.nbytes for _, array in arrays)


def check_runs_in(config: ModelConfig, packed: Mapping[str, LayerQuantization], *, dtype: mx.Dtype, where: str) -> None:
    """Refuse a compute type that this machine cannot multiply experts in.

    Raises:
        ConfigError: MLX multiplies unpacked experts in float32 only on the CPU.
    """
    if config.text.moe is None or dtype == mx.float32 or mx.default_device().type == mx.DeviceType.gpu:
        return
    experts = [f"{name}.weight" for name in packed if ".switch_mlp." in name]
    num_matrices = 3 * sum(config.text.is_sparse_layer(index) for index in range(config.text.num_layers))
    if len(experts) < num_matrices:
        raise ConfigError(
            f"{where}: expected float32 as compute type, since experts that are not packed run in no other on the CPU, "
            f"found {str(dtype).removeprefix('mlx.core.')}. Leave dtype out, or take a packed conversion."
        )
