from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import RequestError
from edge.events import ToolCall
from edge.tools.folder import MAX_BYTES, folder_tools
from tests.unit.tools.boxes import box_of


@pytest.fixture
def root(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (base / "a.txt").write_text("\n".join(f"line {i}" for i in range(1, 11)), encoding="utf-8")
    (base / "sub" / "b.txt").write_text("inside", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "base-other").mkdir()
    (tmp_path / "base-other" / "c.txt").write_text("secret", encoding="utf-8")
    (base / "link.txt").symlink_to(tmp_path / "secret.txt")
    (base / "out").symlink_to(tmp_path)
    (base / "in.txt").symlink_to(base / "sub" / "b.txt")
    return base


def read(root: Path, path: str, **values: int) -> str:
    return str(folder_tools(root)[0].call({"path": path, **values}))


def test_files_below_are_read_also_by_a_link_that_stays_inside(root: Path) -> None:
    assert read(root, "sub/b.txt") == "inside"
    assert read(root, "./sub/../sub/b.txt") == "inside"
    assert read(root, str(root / "sub" / "b.txt")) == "inside"
    assert read(root, "in.txt") == "inside"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "sub/../../secret.txt",
        "link.txt",
        "out/secret.txt",
        "../base-other/c.txt",
        "/etc/hostname",
        "/proc/self/environ",
        "out/base/../secret.txt",
    ],
)
def test_nothing_outside_is_read_or_listed(root: Path, path: str) -> None:
    with pytest.raises(RequestError, match="outside the folder"):
        read(root, path)
    with pytest.raises(RequestError, match="outside the folder"):
        folder_tools(root)[1].call({"path": path})


def test_lines_are_chosen_and_what_is_left_is_told(root: Path) -> None:
    assert read(root, "a.txt", start_line=3, num_lines=2) == "line 3\nline 4\n[6 more lines; go on with start_line 5]"
    assert read(root, "a.txt", start_line=10) == "line 10"


def test_what_is_no_text_file_is_refused_with_its_reason(root: Path) -> None:
    (root / "big").write_bytes(b"a" * (MAX_BYTES + 1))
    (root / "picture").write_bytes(b"\xff\xd8\xff")
    os.mkfifo(root / "pipe")
    cases = {
        "big": "more than",
        "picture": "no UTF-8",
        "pipe": "no file",
        "sub": "no file",
        "none": "No such",
        "a\0b": "no path",
    }
    for path, said in cases.items():
        with pytest.raises(RequestError, match=said):
            read(root, path)


def test_a_listing_names_folders_sizes_and_links(root: Path) -> None:
    listing = folder_tools(root)[1].call({})
    assert listing == "a.txt 70\nin.txt (a link)\nlink.txt (a link)\nout (a link)\nsub/"


def test_the_tools_work_in_a_box(root: Path) -> None:
    result = box_of(folder_tools(root)).run(ToolCall(0, "1", "read_file", '{"path": "../secret.txt"}'))
    assert result.is_error
    assert "secret\n" not in result.text


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="expected a folder"):
        folder_tools(tmp_path / "none")
