"""Which of several files counts for a setting, and that the others are named."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from edge.errors import ConfigError, WeightError
from edge.precedence import PRECEDENCE, Place, Setting, find_setting, say_overruled


def write(folder: Path, place: Place, value: object) -> None:
    path = folder / place.file
    path.parent.mkdir(exist_ok=True)
    if not place.file.endswith(".json"):
        path.write_text(str(value))
    elif place.key is None:
        path.write_text(json.dumps(value))
    else:
        kept = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**kept, place.key: value}))


PAIRS = [
    (setting, first, second)
    for setting, places in PRECEDENCE.items()
    for index, first in enumerate(places)
    for second in places[index + 1 :]
]


@pytest.mark.parametrize(("setting", "first", "second"), PAIRS, ids=str)
def test_the_earlier_place_counts(tmp_path: Path, setting: Setting, first: Place, second: Place) -> None:
    values = ("A", "B") if setting == "template" else ({"fps": 1}, {"fps": 2})
    write(tmp_path, second, values[1])
    found = find_setting(tmp_path, setting)
    assert found is not None
    assert (found.value, found.where) == (values[1], str(tmp_path / str(second)))
    write(tmp_path, first, values[0])
    found = find_setting(tmp_path, setting)
    assert found is not None
    assert (found.value, found.where) == (values[0], str(tmp_path / str(first)))


def test_a_stale_template_is_named_once_it_differs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, Place("chat_template.jinja"), "new")
    write(tmp_path, Place("tokenizer_config.json", "chat_template"), "new")
    same = find_setting(tmp_path, "template")
    write(tmp_path, Place("tokenizer_config.json", "chat_template"), "old")
    differs = find_setting(tmp_path, "template")
    assert same is not None
    assert differs is not None
    with caplog.at_level(logging.WARNING):
        say_overruled(same)
        assert not caplog.records
        say_overruled(differs)
    assert "chat_template.jinja counts; tokenizer_config.json chat_template differs" in caplog.text


def test_no_file_and_a_null_are_nothing(tmp_path: Path) -> None:
    assert find_setting(tmp_path, "template") is None
    write(tmp_path, Place("processor_config.json", "image_processor"), None)
    assert find_setting(tmp_path, "images") is None


@pytest.mark.parametrize(
    "value", [[{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}], {"default": "D"}]
)
def test_of_named_templates_the_default_counts(tmp_path: Path, value: object) -> None:
    write(tmp_path, Place("tokenizer_config.json", "chat_template"), value)
    found = find_setting(tmp_path, "template")
    assert found is not None
    assert found.value == "D"


def test_another_kind_of_value_is_refused(tmp_path: Path) -> None:
    write(tmp_path, Place("processor_config.json", "image_processor"), [1])
    with pytest.raises(ConfigError, match=r"processor_config\.json image_processor: expected an object"):
        find_setting(tmp_path, "images")
    write(tmp_path, Place("tokenizer_config.json", "chat_template"), {"default": 7})
    with pytest.raises(ConfigError, match="expected the text of a template"):
        find_setting(tmp_path, "template")


def test_a_template_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chat_template.jinja"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(WeightError, match="git-lfs pointer"):
        find_setting(tmp_path, "template")
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read"):
        find_setting(tmp_path, "template")
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match="expected a file, found a folder"):
        find_setting(tmp_path, "template")
