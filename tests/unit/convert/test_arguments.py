"""The parts of the command line that converters share."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from convert.arguments import add_source_arguments, next_command


def test_the_next_command_survives_spaces() -> None:
    words = shlex.split(next_command(Path("/a b/it's.gguf")))
    assert words == ["python", "-m", "edge.chat", "--model", "/a b/it's.gguf"]


@pytest.mark.parametrize("can_stream", [True, False])
def test_only_commands_that_read_weights_stream(can_stream: bool) -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_source_arguments(parser, can_stream=can_stream)
    assert hasattr(parser.parse_args(["org/name"]), "stream") is can_stream
    assert parser.parse_args(["org/name", "--from-packed"]).from_packed
