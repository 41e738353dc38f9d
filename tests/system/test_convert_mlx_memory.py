"""Memory of a conversion: bounded by the pieces at work, whatever the size of the model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.checkpoint.checkpoints import tiny_config_json
from tests.unit.checkpoint.test_folder_memory import write_sparse_folder

ROOT = Path(__file__).resolve().parents[2]
PEAK = """
import sys
from convert.__main__ import main
from tests.peak_memory import peak_rss_bytes
code = main(["mlx", sys.argv[1], sys.argv[2], "--recipe", "4bit", "--no-search"])
print("peak", peak_rss_bytes())
sys.exit(code)
"""


def peak_bytes(folder: Path, *, num_layers: int) -> tuple[int, int]:
    """Convert a folder of holes; return the peak and the bytes of the source."""
    raw = tiny_config_json()
    raw["text_config"] |= {
        "num_hidden_layers": num_layers,
        "num_experts": 64,
        "hidden_size": 512,
        "moe_intermediate_size": 640,
        "mlp_only_layers": [],
        "num_attention_heads": 8,
    }
    raw["vision_config"]["out_hidden_size"] = 512
    source_bytes = write_sparse_folder(folder, raw, "hub")
    words = [sys.executable, "-c", PEAK, str(folder), str(folder.with_name(f"{folder.name}_out"))]
    result = subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1]), source_bytes


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_number_of_layers(tmp_path: Path) -> None:
    small, _ = peak_bytes(tmp_path / "small", num_layers=3)
    large, source_bytes = peak_bytes(tmp_path / "large", num_layers=6)
    assert source_bytes > 700_000_000
    # What a lane holds at the peak is chance (58 MB more were seen on a busy machine); a layer has 120 MB:
    # so three more that were kept would be 360 MB, and 100 MB in 4 bits.
    assert large < small + 80_000_000
    assert large < 600_000_000  # 300 MB measured on two cores; four lanes at most
