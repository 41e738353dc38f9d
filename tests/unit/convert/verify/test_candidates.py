"""Candidates have names of their own, and none is measured twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from convert.verify.candidates import Candidate, with_distinct_names
from edge.errors import UsageError

ABSENT = cast(Any, None)  # parts that names do not need


def named(path: str) -> Candidate:
    place = Path(path)
    is_gguf = place.suffix == ".gguf"
    return Candidate(
        name=place.stem if is_gguf else place.name,
        blocks=ABSENT,
        config=ABSENT,
        processor=ABSENT,
        files=(place,),
        card=place.with_name(f"{place.name}.md") if is_gguf else place / "README.md",
        is_gguf=is_gguf,
    )


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/a/x", "/a/y"], ["x", "y"]),
        (["/a/x", "/b/x", "/b/y"], ["a-x", "b-x", "y"]),
        (["/m/a/x", "/n/a/x"], ["m-a-x", "n-a-x"]),
        (["/a/x", "/a/x.gguf"], ["x", "x.gguf"]),
        (["/a/x.gguf", "/b/x.gguf", "/a/x"], ["a-x.gguf", "b-x.gguf", "x"]),
        (["/x", "/a/x"], ["x", "a-x"]),
    ],
)
def test_names_that_occur_twice_are_lengthened_until_none_does(paths: list[str], names: list[str]) -> None:
    found = with_distinct_names([named(path) for path in paths], sources=paths)
    assert [one.name for one in found] == names


@pytest.mark.parametrize("path", ["/a/x", "/a/x.gguf"])
def test_a_candidate_given_twice_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="given twice"):
        with_distinct_names([named(path), named("/b/y"), named(path)], sources=[path, "/b/y", path])


def test_no_candidates_have_no_names() -> None:
    assert with_distinct_names([], sources=[]) == ()
