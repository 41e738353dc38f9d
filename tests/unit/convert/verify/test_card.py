"""A report replaces the earlier one in a model card and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.verify.card import write_section

CARD = "---\nlicense: apache-2.0\n---\n\n# A model\n\nText.\n"


@pytest.mark.parametrize("text", ["", CARD, CARD.rstrip("\n"), CARD + "\n"], ids=["none", "card", "no newline", "gap"])
def test_a_section_is_added_once_and_replaced(text: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    if text:
        path.write_text(text)
    write_section(tmp_path / "README.md", "q4", "first")
    write_section(tmp_path / "README.md", "q4", "second")
    found = path.read_text()
    assert found.startswith(text.rstrip("\n"))
    assert found.count("second") == 1
    assert "first" not in found


def test_candidates_of_one_card_have_their_own_sections(tmp_path: Path) -> None:
    write_section(tmp_path / "README.md", "q4", "of four")
    write_section(tmp_path / "README.md", "q8", "of eight")
    write_section(tmp_path / "README.md", "q4", "again")
    assert (tmp_path / "README.md").read_text().split("\n\n") == [
        "<!-- verify q4 -->\nagain\n<!-- end of verify q4 -->",
        "<!-- verify q8 -->\nof eight\n<!-- end of verify q8 -->\n",
    ]


def test_text_behind_the_section_stays(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    write_section(path, "q4", "first")
    path.write_text(path.read_text() + "\n## More\n")
    write_section(tmp_path / "README.md", "q4", "second")
    assert path.read_text().endswith("<!-- end of verify q4 -->\n\n## More\n")
