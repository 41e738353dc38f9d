"""Sums as `sha256sum --check` reads them; cards are tested where they are made, in mlx and gguf."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from convert.card import make_sums


@pytest.mark.parametrize("line", ["{old}  a", "{old} *a", "{old}  ./a"])
def test_a_former_sum_of_the_same_file_is_replaced_and_others_stay(line: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    former = f"{'1' * 64}  b\n{line.format(old='0' * 64)}\n\nno sum at all\n"
    expected = f"{'1' * 64}  b\nno sum at all\n{hashlib.sha256(b'new').hexdigest()}  a\n"
    assert make_sums(tmp_path, ["a"], former=former) == expected
