"""Run a conversion of each kind in this process, and harm its source: MLX, GGUF and repack in one line of tests."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from convert.__main__ import main
from convert.final import partial_path
from convert.partial import PartialOutput
from tests.unit.checkpoint.checkpoints import write_hub_folder
from tests.unit.convert.gguf.sources import source_json, source_parameters, write_companions
from tests.unit.convert.mlx.conversion import files_of

Shown = tuple[int, str]


@dataclass(frozen=True)
class Line:
    """One kind of output: its command, where it goes, and the file of the source that is harmed."""

    name: str
    options: tuple[str, ...]
    out_name: str
    weights: str

    def words(self, source: Path, place: Path) -> list[str]:
        """Return the command line."""
        chosen = source / self.weights if self.name == "repack" else source
        return [self.name, str(chosen), str(self.out(place)), *self.options]

    def out(self, place: Path) -> Path:
        """Return OUT."""
        return place / self.out_name

    def files(self, place: Path) -> dict[str, str]:
        """Return sha256 by name of everything that was made; the card names the source's folder."""
        folder = place if self.name == "gguf" else self.out(place)
        if not folder.is_dir():
            return {}
        folders = [path.name for path in folder.iterdir() if not path.is_file()]
        return files_of(folder, but=("README.md", *folders))


MLX = Line("mlx", ("--recipe", "8bit"), "out", "model-00002-of-00003.safetensors")
GGUF = Line("gguf", ("--type", "Q8_0", "--processes", "1"), "x.gguf", "model-00002-of-00003.safetensors")
REPACK = Line("repack", (), "out", "Tiny-Q8_0.gguf")


def make_source(folder: Path) -> Path:
    """Write one folder with a hub checkpoint in three shards and its GGUF pair, and the sums of all of them."""
    raw = source_json(is_moe=False)
    write_hub_folder(folder, raw, source_parameters(raw), num_shards=3)
    write_companions(folder)
    with redirect_stdout(io.StringIO()):
        words = ["gguf", str(folder), str(folder / "Tiny-Q8_0.gguf"), "--type", "Q8_0", "--processes", "1"]
        assert main(words) == 0
    sums = {name: value for name, value in files_of(folder).items() if name.endswith((".safetensors", ".gguf"))}
    (folder / "SHA256SUMS").write_text("".join(f"{value}  {name}\n" for name, value in sums.items()))
    return folder


def run(line: Line, source: Path, place: Path) -> Shown:
    """Run a conversion here; return exit code and what stands on stderr."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        code = main(line.words(source, place))
    shown = err.getvalue()
    assert shown.count("\n") <= 1
    assert len(shown) < 500
    assert "internal error" not in shown
    return code, shown


def at_piece(number: int, action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when a number of pieces are recorded."""
    record, calls = PartialOutput.record, iter(range(10**6))

    def acting(self: PartialOutput, piece: int, digest: str) -> None:
        record(self, piece, digest)
        if next(calls) == number:
            action()

    monkeypatch.setattr(PartialOutput, "record", acting)


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def cut(path: Path, *, share: float = 0.4) -> None:
    os.truncate(path, int(path.stat().st_size * share))


def assert_nothing_is_there(line: Line, place: Path) -> None:
    assert line.files(place) == {}
    assert not partial_path(line.out(place)).exists()
