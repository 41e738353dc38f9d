"""Adapters for tests, written as peft writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

PREFIX = "base_model.model."


def write_adapter(folder: Path, tensors: Mapping[str, NDArray[np.float32]], **config: Any) -> Path:  # Any: JSON
    """Write an adapter's two files; names are those behind peft's prefix."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], **config}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    save_file({PREFIX + name: array for name, array in tensors.items()}, folder / "adapter_model.safetensors")
    return folder


def pair_of(module: str, *, outputs: int, inputs: int, rank: int = 2) -> dict[str, NDArray[np.float32]]:
    """Make the two matrices of a linear module, of ones."""
    return {
        f"{module}.lora_A.weight": np.ones((rank, inputs), np.float32),
        f"{module}.lora_B.weight": np.ones((outputs, rank), np.float32),
    }
