from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import pytest
from PIL import Image

import edge
from edge.kv.make import KvBits
from edge.limits import EngineLimits
from edge.memory import precision_for
from edge.packed_experts import UNPACKED_BYTES
from edge.plan.estimate import PATCH_PIXEL_BYTES, SOURCE_PIXEL_BYTES, Task, estimate, picture_grid
from edge.plan.family import FAMILY
from edge.plan.machine import ON_METAL
from edge.run.sample import SamplingParams

ROOT = Path(__file__).parents[3]
CONFIG = FAMILY["30B-A3B"]


def test_a_picture_at_the_limit_has_the_most_tokens() -> None:
    assert picture_grid(CONFIG, (4096, 4096)) == ((1, 256, 256), 4096 * 4096)
    found = estimate(CONFIG, Task(1000, image=(4096, 4096)), weight_bytes=0, precision=ON_METAL)
    assert found.image_tokens == 16384
    assert found.features == 16384 * 2048 * 4 * 2
    assert found.decoding == PATCH_PIXEL_BYTES * 4096 * 4096


def test_the_peak_is_the_worst_moment_not_the_sum() -> None:
    found = estimate(CONFIG, Task(4096, image=(2048, 2048)), weight_bytes=10**9, precision=ON_METAL)
    reading = found.keys_values + found.features + found.chunk
    assert found.peak_bytes == 10**9 + max(found.decoding, found.vision, reading, found.keys_values + found.spare)
    parts = found.keys_values + found.chunk + found.vision + found.features + found.decoding + found.spare
    assert found.peak_bytes < 10**9 + parts


def test_packed_keys_and_values_halve_their_part() -> None:
    sizes = [
        estimate(CONFIG, Task(65536, kv_bits=bits), weight_bytes=0, precision=ON_METAL).keys_values
        for bits in (None, 8, 4)
    ]
    assert sizes[0] * 0.5 < sizes[1] < sizes[0] * 0.6
    assert sizes[2] < sizes[0] * 0.33


def test_experts_that_a_gpu_unpacks_are_counted() -> None:
    on_cuda = replace(ON_METAL, unpacks_experts=True)
    chunks = [estimate(CONFIG, Task(4096), weight_bytes=0, precision=found).chunk for found in (ON_METAL, on_cuda)]
    assert chunks[1] - chunks[0] == 2 * UNPACKED_BYTES


DECODE = """
import sys
import mlx.core as mx
from edge.prompt.types import MediaItem
from edge.prompt.media.prepare import prepare_media
from edge.settings import ImageSettings, VideoSettings
from tests.peak_memory import peak_rss_bytes
item = MediaItem(kind="image", source=sys.argv[1], label="picture", options={})
before = peak_rss_bytes()
media = prepare_media(item, images=ImageSettings(), videos=VideoSettings())
mx.eval(mx.array(media.patches))
print(peak_rss_bytes() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(2048, 2048), (5600, 4200)])
def test_decoding_takes_what_is_planned_within_15_percent(width: int, height: int, tmp_path: Path) -> None:
    gradient = Image.linear_gradient("L").resize((width, height))
    Image.merge("RGB", [gradient] * 3).save(tmp_path / "picture.jpg")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", DECODE, str(tmp_path / "picture.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    planned = estimate(CONFIG, Task(1000, image=(height, width)), weight_bytes=0, precision=ON_METAL).decoding
    assert planned >= SOURCE_PIXEL_BYTES * width * height
    assert planned / int(done.stdout) == pytest.approx(1.0, abs=0.15)


@pytest.mark.slow
@pytest.mark.skipif(mx.default_device().type == mx.DeviceType.gpu, reason="measured on the CPU")
@pytest.mark.parametrize(
    ("kv_bits", "num_words", "side"), [(None, 500, 0), (None, 1000, 448), (8, 700, 0), (4, 700, 448)]
)
def test_the_measured_peak_is_within_15_percent_of_the_plan(kv_bits: KvBits | None, num_words: int, side: int) -> None:
    import numpy as np

    pixels = np.random.default_rng(1).integers(0, 255, (max(side, 1), max(side, 1), 3), dtype=np.uint8)
    with edge.load(limits=EngineLimits(kv_bits=kv_bits)) as engine:
        before = engine.memory().active_bytes
        answer = engine.ask(
            "a " * num_words,
            images=[pixels] if side else [],
            max_tokens=4,
            sampling=SamplingParams(temperature=0.0),
        )
        size = (side, side) if side else None
        precision = precision_for(value_bytes=4)
        task = Task(answer.usage.prompt_tokens + 4, kv_bits, size, engine.processor.images)
        planned = estimate(engine.config, task, weight_bytes=before, precision=precision)
        reading = planned.weights + max(planned.vision, planned.keys_values + planned.features + planned.chunk)
        assert reading / answer.usage.peak_bytes == pytest.approx(1.0, abs=0.15)
