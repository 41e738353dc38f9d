from __future__ import annotations

import errno

import pytest

from edge.chat.border import explain, in_options, shown
from edge.errors import EdgeError, MediaError, PromptError, RequestError, UsageError


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (
            RequestError("max_tokens: expected a whole number, found 0.", field="max_tokens"),
            "--max-tokens: expected a whole number, found 0.",
            1,
        ),
        (UsageError("seed: expected 1.", field="seed"), "--seed: expected 1.", 2),
        (PromptError("Shorten it, or lower max_pixels."), "Shorten it, or lower --max-pixels.", 1),
        (EdgeError("the temperature of the machine"), "the temperature of the machine", 1),
        (OSError(errno.ENOSPC, "No space left on device", "/a"), "/a: No space left on device.", 1),
        (KeyboardInterrupt(), "interrupted", 130),
    ],
)
def test_every_failure_is_one_line_in_the_words_of_the_command_line(error: BaseException, line: str, code: int) -> None:
    assert explain(error) == (line, code)


@pytest.mark.parametrize(
    "error", [MemoryError(), UnicodeEncodeError("latin-1", "\u20ac", 0, 1, "no"), ValueError("x\ny")]
)
def test_other_failures_have_a_line_too(error: Exception) -> None:
    message, code = explain(error)
    assert message
    assert code == 1


def test_in_a_talk_settings_are_named_as_set_has_them() -> None:
    assert in_options("lower max_tokens.", in_talk=True) == "lower max-tokens. (/set NAME VALUE)"
    assert in_options("nothing to translate", in_talk=True) == "nothing to translate"


def test_what_is_shown_as_the_wrong_kind_is_told_the_right_option_or_command() -> None:
    error = MediaError("a.gif: is animated (3 frames), expected a still picture. Pass it as a video.")
    assert explain(error)[0].endswith("expected a still picture. Show it with --video.")
    assert explain(error, in_talk=True)[0].endswith("Show it with /video.")
    assert in_options("expected a video. Pass it as an image.") == "expected a video. Show it with --image."


def test_words_that_only_look_like_settings_stay() -> None:
    assert in_options("my_max_tokens, --max-tokens, stop") == "my_max_tokens, --max-tokens, stop"


def test_names_of_files_are_shown_whatever_their_bytes_and_length() -> None:
    assert shown(b"a\xff") == "a\\udcff"
    assert len(shown("x" * 300)) < 125
