from __future__ import annotations

import pytest

from edge.chat.asking.paths import find_files, is_file

FILES = {
    "/pics/a cat.png",
    "/pics/a.png",
    "/pics/b.jpg",
    "~/c.webp",
    "d.png",
    "README",
    "/etc/hosts",
    "it's.png",
    "notes.txt",
    "/pics/łódź.png",
}


def found(line: str) -> tuple[str, tuple[str, ...]]:
    result = find_files(line, exists=FILES.__contains__)
    return result.text, result.sources


@pytest.mark.parametrize(
    ("line", "text", "sources"),
    [
        ("/pics/a.png what is it?", "what is it?", ["/pics/a.png"]),
        ("what is it? /pics/a.png", "what is it?", ["/pics/a.png"]),
        ("/pics/a\\ cat.png what?", "what?", ["/pics/a cat.png"]),
        ("'/pics/a cat.png' what?", "what?", ["/pics/a cat.png"]),
        ('"/pics/a cat.png" what?', "what?", ["/pics/a cat.png"]),
        ("/pics/a cat.png what?", "what?", ["/pics/a cat.png"]),
        ("/pics/a cat.png", "", ["/pics/a cat.png"]),
        (
            "compare /pics/a.png and /pics/b.jpg please",
            "compare a.png and b.jpg please",
            ["/pics/a.png", "/pics/b.jpg"],
        ),
        ("'/pics/a.png' /pics/b.jpg ", "", ["/pics/a.png", "/pics/b.jpg"]),
        ("~/c.webp what?", "what?", ["~/c.webp"]),
        ("@d.png what?", "what?", ["d.png"]),
        ("@README what?", "what?", ["README"]),
        ("what is in d.png?", "what is in d.png?", ["d.png"]),
        ("see (d.png), please", "see (d.png), please", []),
        ("file:///pics/a%20cat.png what?", "what?", ["file:///pics/a%20cat.png"]),
        ("data:image/png;base64,AAAA= what?", "what?", ["data:image/png;base64,AAAA="]),
        ("/pics/łódź.png co to?", "co to?", ["/pics/łódź.png"]),
        ("/etc/hosts explain", "explain", ["/etc/hosts"]),
    ],
)
def test_files_are_found_anywhere_and_leave_the_question(line: str, text: str, sources: list[str]) -> None:
    assert found(line) == (text, tuple(sources))


@pytest.mark.parametrize(
    "line",
    [
        "README what does it say?",
        "is notes.txt long?",
        "and/or what?",
        "gone.png what?",
        "/gone/a.png what?",
        "@someone said so",
        'it\'s "quoted" text',
        'a "half quoted line',
        "1/2 of 3.5",
        "",
        "   ",
        "\\",
        "'",
        "@",
        "~",
        "a\nb",
    ],
)
def test_ordinary_words_attach_nothing_and_stay_as_they_are(line: str) -> None:
    assert found(line) == (line, ())


def test_the_names_of_files_in_a_sentence_can_be_taken_out_of_it() -> None:
    line = find_files("compare /pics/a cat.png and /pics/b.jpg with gone.png", exists=FILES.__contains__)
    assert line.unnamed.split() == ["compare", "and", "with", "gone.png"]


@pytest.mark.parametrize("path", ["", "\0", "x" * 5000, "~nobody-of-this-name/x", "\udcff", "/"])
def test_asking_the_disk_never_fails(path: str) -> None:
    assert not is_file(path)
