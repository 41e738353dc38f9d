"""Checkpoints and pictures shared by the tests that run programs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.system.convert_lines import make_source
from tests.system.folders import THINKING_TEMPLATE, write_tiny_folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint; not to be changed."""
    return write_tiny_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def thinking_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, whose template opens a thought."""
    return write_tiny_folder(tmp_path_factory.mktemp("thinking"), template=THINKING_TEMPLATE)


@pytest.fixture
def own_folder(tmp_path: Path) -> Path:
    """A checkpoint in two shards for a test to break."""
    return write_tiny_folder(tmp_path / "own", num_shards=2)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((48, 32)).convert("RGB").save(path)
    return path


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source for conversions of each kind; not to be changed."""
    return make_source(tmp_path_factory.mktemp("sound") / "Tiny")


@pytest.fixture
def source(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to harm."""
    return Path(shutil.copytree(sound, tmp_path / "Tiny"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where the output of a conversion goes."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"
