"""A module's tests can be found, and every module has some."""

from __future__ import annotations

import pytest

from tests.imports import ROOT
from tests.nearest import main, named_tests, nearest, own_test, untested

MODULES = sorted(
    path for half in ("edge", "convert") for path in (ROOT / half).rglob("*.py") if not path.stem.startswith("__")
)


def test_every_module_has_a_test_file_of_its_name_or_is_tested_through_what_imports_it() -> None:
    far = untested()
    assert not far, f"no test is near {far}: write {[own_test(path) for path in far]}"


def test_the_test_file_of_the_same_name_comes_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["edge/text/stops.py"]) == 0
    assert capsys.readouterr().out.startswith("0  tests/unit/text/test_stops.py\n")
    assert main(["convert/mlx/packing.py"]) == 0
    assert capsys.readouterr().out.startswith("0  tests/unit/convert/mlx/test_packing.py\n")


def test_tests_that_a_docstring_names_are_there_and_come_first() -> None:
    named = {path: named_tests(path) for path in MODULES}
    assert not [str(file) for files in named.values() for file in files if not file.is_file()]
    work = ROOT / "convert" / "work.py"
    assert named[work]
    assert [(0, file) for file in named[work]] == nearest(work)[: len(named[work])]


def test_without_one_those_that_import_it_come_before_those_that_import_its_users() -> None:
    found = nearest(ROOT / "edge" / "model" / "moe.py")
    assert (1, ROOT / "tests" / "parity" / "test_forward.py") in found
    assert [count for count, _ in found] == sorted(count for count, _ in found)


@pytest.mark.parametrize(("argv", "said"), [([], "expected a module"), (["edge/nothing.py"], "no such file")])
def test_a_wrong_name_is_told_in_one_line(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert said in capsys.readouterr().err
