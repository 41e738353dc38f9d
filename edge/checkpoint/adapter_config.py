"""Read what an adapter's `adapter_config.json` says of its scale, and refuse what cannot be merged.

In: the JSON as peft writes it. Out: `AdapterConfig`. A key that is not listed here and is set is refused: it may change
what the adapter does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from edge.config_json import read_json_object
from edge.errors import ConfigError
from edge.json_reader import JsonReader
from edge.records import dataclass

CONFIG_NAME = "adapter_config.json"

# Keys that decide what was trained or how training began, not what the stored matrices mean.
_WITHOUT_EFFECT = frozenset(
    {"peft_type", "task_type", "base_model_name_or_path", "base_model_class", "parent_library", "revision"}
    | {"auto_mapping", "inference_mode", "peft_version", "exclude_modules", "lora_dropout", "fan_in_fan_out"}
    | {"modules_to_save", "layers_to_transform", "layers_pattern", "target_parameters", "target_modules", "bias"}
    | {"loftq_config", "eva_config", "corda_config", "lora_ga_config", "runtime_config", "megatron_core"}
    | {"qalora_group_size", "ensure_weight_tying", "save_embedding_layers"}
)
_READ = frozenset({"r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "init_lora_weights"})
# Beginnings that leave the base weights as they are; the others change them, and the file does not hold how.
_SOUND_BEGINNINGS = (True, False, None, "gaussian", "eva", "orthogonal", "true", "false")
_PLAIN_NAME = re.compile(r"[\w.]+")


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """Rank and alpha of an adapter, with exceptions by module.

    Attributes:
        path: The file.
        base: Name or folder of the model it was trained on, if the file says.
        rank: Columns of B.
        alpha: The update is alpha / rank times B A.
        is_rslora: Divide by the root of the rank.
        ranks: Module name or its end -> rank.
        alphas: Module name or its end -> alpha.
    """

    path: Path
    base: str | None
    rank: int
    alpha: float
    is_rslora: bool
    ranks: Mapping[str, float]
    alphas: Mapping[str, float]

    def rank_of(self, module: str) -> int:
        """Return a module's rank."""
        return int(_of(module, self.ranks, self.rank))

    def scale_of(self, module: str) -> float:
        """Return the factor of a module's update."""
        alpha, rank = _of(module, self.alphas, self.alpha), self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.is_rslora else rank)


def read_adapter_config(path: Path) -> AdapterConfig:
    """Read an `adapter_config.json`.

    Raises:
        ConfigError: The file is broken, or asks for something that cannot be merged.
    """
    raw = read_json_object(path)
    reader = JsonReader(raw, str(path))
    reader.choice("peft_type", ("LORA",))
    for name, value in raw.items():
        if name not in _WITHOUT_EFFECT | _READ and value not in (None, False, {}, [], ""):
            raise ConfigError(
                f"{path}: {name} {value!r} is not supported, only plain LoRA. Merge the adapter with peft, and give "
                "the merged folder."
            )
    beginning = raw.get("init_lora_weights")
    if not isinstance(beginning, bool | str | None) or beginning not in _SOUND_BEGINNINGS:
        raise ConfigError(
            f"{path}: init_lora_weights {beginning!r} changes the base weights as well. Convert the adapter to plain "
            "LoRA with peft (path_initial_model_for_weight_conversion), or merge it there."
        )
    base = raw.get("base_model_name_or_path")
    return AdapterConfig(
        path=path,
        base=base if isinstance(base, str) and base else None,
        rank=reader.size("r", most=1 << 16),
        alpha=reader.number("lora_alpha"),
        is_rslora=reader.flag("use_rslora", False),
        ranks=_read_pattern(reader, "rank_pattern", is_whole=True),
        alphas=_read_pattern(reader, "alpha_pattern", is_whole=False),
    )


def _of(module: str, pattern: Mapping[str, float], default: float) -> float:
    return next((value for name, value in pattern.items() if f".{module}".endswith(f".{name}")), default)


def _read_pattern(reader: JsonReader, key: str, *, is_whole: bool) -> dict[str, float]:
    """Read numbers by module; regular expressions from a file are not run, only names (with or without ^ . $) taken."""
    if not reader.raw.get(key):
        return {}
    block = reader.child(key)
    numbers: dict[str, float] = {}
    for name in block.raw:
        plain = name.replace("\\.", ".").removesuffix("$").removeprefix("^").removeprefix(".*").removeprefix(".")
        if not _PLAIN_NAME.fullmatch(plain):
            raise block.wrong(name, "named by a module's name or its end", name)
        numbers[plain] = block.size(name) if is_whole else block.number(name)
    return numbers
