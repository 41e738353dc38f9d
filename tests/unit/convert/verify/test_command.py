"""The command line: limits decide the exit code, a missing extra is named."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from types import ModuleType

import pytest

from convert.verify import command
from convert.verify.command import _judge, add_arguments, require_reference_extra
from edge.errors import ConfigError
from tests.unit.convert.verify.test_report import REPORT, RESULT, SCORE

BROKEN = replace(REPORT, candidates=(replace(RESULT, kinds=(replace(SCORE, mean_kl=float("nan")),)),))


@pytest.mark.parametrize(
    ("max_kl", "min_top1", "code"),
    [(None, None, 0), (0.02, None, 0), (0.0123, 0.95, 0), (0.01, None, 1), (None, 0.96, 1), (0.02, 0.96, 1)],
)
def test_limits_decide_the_exit_code(max_kl: float | None, min_top1: float | None, code: int) -> None:
    assert _judge(REPORT, max_kl=max_kl, min_top1=min_top1) == code


def test_a_kl_that_is_no_number_fails() -> None:
    assert _judge(BROKEN, max_kl=1.0, min_top1=None) == 1


def test_failures_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    _judge(REPORT, max_kl=0.01, min_top1=None)
    assert capsys.readouterr().err == "q4: Mean KLD 0.0123 is above --max-kl 0.01\n"


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_extra_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ConfigError, match=r"not installed\. Install the extra: pip install 'qwen3vl-edge\[reference\]'"
    ):
        require_reference_extra()


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "x"])
def test_a_limit_must_be_a_number(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["--reference", "a", "--candidate", "b", f"--max-kl={value}"])
    assert "expected a number from 0 up" in capsys.readouterr().err


def test_importing_the_command_does_not_import_torch() -> None:
    assert "torch" not in vars(command)
