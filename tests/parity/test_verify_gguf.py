"""GGUF pairs as candidates: errors of their block types, and settings the files cannot hold."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from convert.__main__ import main
from convert.verify.measure import Measurement
from convert.verify.results import Report
from edge.errors import WeightError
from tests.parity.verify_folders import write_prompts
from tests.unit.convert.gguf.sources import write_source

TYPES = ("Q4_K_M", "Q6_K", "Q8_0", "F32")


@lru_cache(maxsize=1)
def folders() -> Path:
    """A source, prompts, and its pairs; projectors are F32."""
    root = Path(mkdtemp())
    write_prompts(root, names=("words", "both"))
    write_source(root / "source")
    for name in TYPES:
        words = ["--type", name, "--mmproj", "F32", "--processes", "1"]
        assert main(["gguf", str(root / "source"), str(root / name / f"tiny-{name}.gguf"), *words]) == 0
    return root


def prepare(root: Path, *names: str) -> Measurement:
    return Measurement.prepare(
        str(root / "source"),
        candidates=[str(root / name / f"tiny-{name}.gguf") for name in names],
        prompts=str(root / "prompts.jsonl"),
        dtype="float32",
        work=root / "work",
    )


@lru_cache(maxsize=1)
def report() -> Report:
    return prepare(folders(), *TYPES).run(say=lambda _: None)


def test_a_pair_of_float32_errs_by_rounding_only() -> None:
    exact = report().candidates[TYPES.index("F32")]
    assert max(stage.carried for stage in exact.stages) <= 1e-5
    assert exact.overall.mean_kl < 1e-9
    assert exact.findings == ()


def test_kl_falls_as_block_types_grow() -> None:
    kl = [result.overall.mean_kl for result in report().candidates]
    sizes = [result.num_bytes for result in report().candidates]
    assert kl == sorted(kl, reverse=True)
    assert sizes == sorted(sizes)


def test_the_size_counts_both_files() -> None:
    files = list((folders() / "Q8_0").glob("*.gguf"))
    assert len(files) == 2
    assert report().candidates[2].num_bytes == sum(path.stat().st_size for path in files)


def test_video_settings_come_from_the_reference_and_that_is_noted() -> None:
    note = "GGUF files hold no video settings; videos were prepared as the original's files say."
    assert prepare(folders(), "Q8_0").notes == ((note,),)
    path = folders() / "source" / "video_preprocessor_config.json"
    text = path.read_text()
    path.write_text(text.replace("65536", "4096").replace("16777216", "25165824"))  # those of the real checkpoints
    try:
        notes = prepare(folders(), "Q8_0").notes
    finally:
        path.write_text(text)
    assert notes == ((),)


def test_a_folder_with_one_pair_is_a_candidate() -> None:
    root = folders()
    prepared = Measurement.prepare(
        str(root / "source"),
        candidates=[str(root / "Q8_0")],
        prompts=str(root / "prompts.jsonl"),
        dtype="float32",
        work=root / "work",
    )
    assert prepared.candidates[0].name == "tiny-Q8_0"


def test_a_pair_of_other_weights_is_refused(tmp_path: Path) -> None:
    write_source(tmp_path / "source", seed=3)

    with pytest.raises(WeightError, match="tiny-Q8_0 holds the weights of another model"):
        Measurement.prepare(
            str(tmp_path / "source"),
            candidates=[str(folders() / "Q8_0")],
            prompts=str(folders() / "prompts.jsonl"),
            dtype="float32",
            work=tmp_path / "work",
        )
