"""Write a dense twin of a small mixture of experts: `python -m tests.dense_twin FOLDER OUT`.

In: a checkpoint folder in the published layout, one file of weights. Out: the same with the first expert of each layer
for all of them, as a checkpoint of the dense family. It answers nothing sensibly; it is for comparing runtimes.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

EXPERTS, ROUTER = ".mlp.experts.", ".mlp.gate.weight"
WEIGHTS = "model.safetensors"
OF_MIXTURES = ("decoder_sparse_step", "mlp_only_layers", "moe_intermediate_size", "norm_topk_prob")
OF_EXPERTS = ("num_experts", "num_experts_per_tok")


def main() -> None:
    """Read and write."""
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True)
    for file in source.glob("*"):
        if file.is_file() and not file.name.startswith(WEIGHTS) and file.name != "README.md":
            shutil.copy(file, out)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps(dense_config(config), indent=2), encoding="utf-8")
    weights = mx.load(str(source / WEIGHTS))
    assert isinstance(weights, dict)
    mx.save_safetensors(str(out / WEIGHTS), dict(dense_weights(weights)), {"format": "pt"})


def dense_config(config: dict) -> dict:  # type: ignore[type-arg]  # JSON
    """Return the configuration of a dense model with one expert's width."""
    text = {key: value for key, value in config["text_config"].items() if key not in OF_MIXTURES + OF_EXPERTS}
    text |= {"model_type": "qwen3_vl_text", "intermediate_size": config["text_config"]["moe_intermediate_size"]}
    return config | {
        "architectures": ["Qwen3VLForConditionalGeneration"],
        "model_type": "qwen3_vl",
        "text_config": text,
        "vision_config": config["vision_config"] | {"model_type": "qwen3_vl"},
    }


def dense_weights(weights: dict[str, mx.array]) -> Iterator[tuple[str, mx.array]]:
    """Yield all parameters, with the first expert's matrices (O, I) in the place of the stacks (E, I, O)."""
    for name, array in weights.items():
        if name.endswith(ROUTER):
            continue
        before, found, matrix = name.partition(EXPERTS)
        if not found:
            yield name, array
        elif matrix == "down_proj":
            yield f"{before}.mlp.down_proj.weight", mx.contiguous(array[0].T)
        else:
            gate, up = mx.split(array[0].T, 2)
            yield f"{before}.mlp.gate_proj.weight", mx.contiguous(gate)
            yield f"{before}.mlp.up_proj.weight", mx.contiguous(up)


if __name__ == "__main__":
    main()
