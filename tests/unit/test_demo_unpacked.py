"""What the bits table asks transformers for: a conversion's values under the hub's names."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

from edge.loading import DEMO_FOLDER
from examples.demo_model.unpacked import write_unpacked


def test_a_folder_that_is_not_packed_comes_back_with_its_own_names_and_values(tmp_path: Path) -> None:
    write_unpacked(DEMO_FOLDER, DEMO_FOLDER, tmp_path)
    made = mx.load(str(tmp_path / "model.safetensors"))
    real = mx.load(str(DEMO_FOLDER / "model.safetensors"))
    assert isinstance(made, dict)
    assert isinstance(real, dict)
    assert made.keys() == real.keys()
    assert all(mx.array_equal(made[name], real[name].astype(mx.float32)) for name in real)
    assert (tmp_path / "tokenizer.json").is_file()
