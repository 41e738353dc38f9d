"""Hold logits of MLX folders against mlx-vlm's own: `python -m tests.against_mlx_vlm PYTHON FOLDER...`.

In: the Python of an environment with mlx-vlm, and folders that it should load. Out: for each, the relative error of
this runtime's logits against mlx-vlm's forward on the same tokens and patches, float32, a text and a prompt with a
picture, each program in a process of its own; or the line with which mlx-vlm refuses the folder. Exit status 1 where an
error is above 1e-6. mlx-vlm 0.7.10 computes the tower of mixtures of experts with the GELUs of blocks and mergers
changed about (the reference: tanh in blocks, erf in mergers); they are put right first. `--as-it-is` leaves them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np

from edge.checkpoint.folder import load_folder
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.build import Prompt
from edge.prompt.processor import Processor
from edge.run.forward import visual_rows

TOLERANCE = 1e-6
PICTURE = Path("examples/images/scene.png")
MESSAGES: dict[str, list[dict[str, Any]]] = {  # Any: JSON
    "text": [{"role": "user", "content": "What is the capital of France? Answer in one word."}],
    "picture": [
        {
            "role": "user",
            "content": [{"type": "image", "image": str(PICTURE)}, {"type": "text", "text": "What is this?"}],
        }
    ],
}
THEIRS = """
import sys
from pathlib import Path
import mlx.core as mx, mlx.nn as nn, numpy as np
from mlx_vlm.utils import load_model
model = load_model(Path(sys.argv[1]))
model.set_dtype(mx.float32)
if sys.argv[4:] == ["right"]:
    for block in model.vision_tower.blocks:
        block.mlp.act_fn = nn.GELU(approx="tanh")
    for merger in (model.vision_tower.merger, *model.vision_tower.deepstack_merger_list):
        merger.act_fn = nn.GELU()
given = np.load(sys.argv[2])
kwargs = {}
if "patches" in given:
    kwargs = {"pixel_values": mx.array(given["patches"]), "image_grid_thw": mx.array(given["grid"])}
np.save(sys.argv[3], np.array(model(mx.array(given["ids"][None]), **kwargs).logits[0]))
"""


def main() -> None:
    """Compare every folder; print a line for each prompt."""
    words = [word for word in sys.argv[1:] if word != "--as-it-is"]
    way = [] if "--as-it-is" in sys.argv else ["right"]
    errors = [compared(words[0], Path(folder), way) for folder in words[1:]]
    sys.exit(int(max(errors) > TOLERANCE))


def compared(python: str, folder: Path, way: list[str]) -> float:
    """Print both errors of a folder; return the larger one."""
    loaded = load_folder(folder, dtype=mx.float32)
    processor = Processor.from_folder(folder, loaded.config)
    worst = 0.0
    for name, messages in MESSAGES.items():
        prompt = processor.build(messages)
        own = own_logits(loaded.model, prompt)
        theirs = their_logits(python, folder, prompt, way)
        if isinstance(theirs, str):
            print(f"{folder.name}, {name}: mlx-vlm refuses it: {theirs}")
            return float("inf")
        error = float(np.linalg.norm(own - theirs) / np.linalg.norm(theirs))
        print(f"{folder.name}, {name}, {len(own)} tokens: relative error {error:.2g}", flush=True)
        worst = max(worst, error)
    return worst


def own_logits(model: Qwen3VL, prompt: Prompt) -> np.ndarray:
    """Run this runtime's model on a whole prompt (L, V)."""
    outputs = {
        index: model.encode_vision(mx.array(media.patches), [media.grid_thw])
        for index, media in enumerate(prompt.media)
    }
    visual = visual_rows(prompt.spans, outputs, start=0, stop=len(prompt.token_ids))
    ids = mx.array(prompt.token_ids[None])
    return np.array(model(ids, positions=prompt.positions[:, None], memory=None, visual=visual)[0])


def their_logits(python: str, folder: Path, prompt: Prompt, way: list[str]) -> np.ndarray | str:
    """Run mlx-vlm on the same tokens and patches; its last words where it fails."""
    with tempfile.TemporaryDirectory() as work:
        given, found = Path(work) / "given.npz", Path(work) / "found.npy"
        arrays: dict[str, np.ndarray] = {"ids": prompt.token_ids}
        if prompt.media:
            arrays |= {"patches": np.concatenate([media.patches for media in prompt.media])}
            arrays |= {"grid": np.array([media.grid_thw for media in prompt.media])}
        np.savez(given, allow_pickle=False, **arrays)
        command = [python, "-c", THEIRS, str(folder), str(given), str(found), *way]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
        if done.returncode:
            return done.stderr.strip().splitlines()[-1]
        logits: np.ndarray = np.load(found)
        return logits


if __name__ == "__main__":
    main()
