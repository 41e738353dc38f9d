"""Measure reading a picture and the vision tower against mlx-vlm: `python -m tests.tower_against PYTHON [tower]`.

In: the Python of an environment with mlx-vlm. Out: processor seconds of both by turns, each in a process of its own: a
picture of 2048x2048, and one of 2500x2000 that is resized, from decoded pixels to patches; with `tower` two blocks of
the 30B's tower on 1,024 patches, float32 on the CPU. mlx-vlm has no bound on scores there: larger pictures take it
4 * 16 * patches^2 bytes.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

ROUNDS = 5
HERE = str(Path(__file__).resolve().parents[1])
SIZES = """
import json, sys, time
import mlx.core as mx, numpy as np
from PIL import Image
mx.set_default_device(mx.cpu)
pixels = np.random.default_rng(0).integers(0, 256, (2048, 2048, 3), dtype=np.uint8)
picture, small = Image.fromarray(pixels), Image.fromarray(pixels[:64, :64])
odd = Image.fromarray(np.resize(pixels, (2000, 2500, 3)))
patches, side, depth, levels = mx.zeros((1024, 1536)), 32, 2, [0]
def seconds(function, *arguments):
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started
"""
OURS = """
from dataclasses import replace
from edge.model.vision import VisionTower
from edge.plan.family import FAMILY
from edge.prompt.media.patches import fit_image, make_patches, resize_frame
from edge.prompt.media.picture import load_image
from edge.settings import ImageSettings
settings = ImageSettings(patch_size=16, temporal_patch_size=2, merge_size=2, max_pixels=1 << 24)
def read(picture):
    rgb = load_image(picture)
    height, width = fit_image(*rgb.shape[:2], settings)
    make_patches(resize_frame(rgb, height=height, width=width)[None], settings)
tower = VisionTower(replace(FAMILY["30B-A3B"].vision, depth=depth, deepstack_indexes=tuple(levels)))
mx.eval(tower.parameters())
def see():
    output = tower(patches, [(1, side, side)])
    mx.eval(output.features, *output.deepstack)
"""
THEIRS = """
from mlx_vlm.models.qwen3_vl.processing_qwen3_vl import Qwen3VLImageProcessor
from mlx_vlm.models.qwen3_vl_moe.config import VisionConfig
from mlx_vlm.models.qwen3_vl_moe.vision import VisionModel
processor = Qwen3VLImageProcessor(max_pixels=1 << 24)
def read(picture):
    processor([picture])
tower = VisionModel(VisionConfig(
    depth=depth, hidden_size=1152, intermediate_size=4304, out_hidden_size=2048, num_heads=16, patch_size=16,
    spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=2304, deepstack_visual_indexes=levels,
))
mx.eval(tower.parameters())
def see():
    features, deepstack = tower(patches, mx.array([[1, side, side]]))
    mx.eval(features, *deepstack)
"""
MEASURE = """
read(small)
found = {name: min(seconds(read, one) for _ in range(2)) for name, one in (("read", picture), ("resize", odd))}
print(json.dumps({**found, "tower": seconds(see) if "tower" in sys.argv else 0.0}))
"""


def measured(python: str, code: str) -> dict[str, float]:
    """Run one side in a fresh process."""
    command = [python, "-c", SIZES + code + MEASURE, *sys.argv[2:]]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure by turns; print both medians and the median of the ratios."""
    pairs = [(measured(sys.executable, OURS), measured(sys.argv[1], THEIRS)) for _ in range(ROUNDS)]
    for what in ("read", "resize", *sys.argv[2:]):
        mine, theirs = [one[what] for one, _ in pairs], [other[what] for _, other in pairs]
        ratios = sorted(one / other for one, other in zip(mine, theirs, strict=True))
        print(
            f"{what}: {statistics.median(mine):.3f} s, mlx-vlm {statistics.median(theirs):.3f} s, "
            f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


if __name__ == "__main__":
    main()
