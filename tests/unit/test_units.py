from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigError, EdgeError
from edge.units import byte_count, one_line, token_count


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a  b: caf\u00e9 \U0001f600", "a  b: caf\u00e9 \U0001f600"),
        ("a\nb\r\tc", "a b  c"),
        ("\x1b]0;owned\x07 x", "\\x1b]0;owned\\x07 x"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egnp", "abc\\u202egnp"),
        ("caf\udce9", "caf\\udce9"),
        ("a\u2028b", "a b"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_long_text_keeps_its_start_and_its_end() -> None:
    shown = one_line("cause: " + "x" * 600_000 + ". Download it again.")
    assert len(shown) == 500
    assert shown.startswith("cause: xxx")
    assert shown.endswith("xxx. Download it again.")


@given(st.text(max_size=2000))
def test_any_text_becomes_one_short_printable_line(text: str) -> None:
    shown = one_line(text)
    assert shown.isprintable()
    assert len(shown) <= 500
    shown.encode()


@pytest.mark.parametrize("kind", [EdgeError, ConfigError])
def test_every_error_is_one_line(kind: type[EdgeError]) -> None:
    assert str(kind("key \x1b[2J\nof a file")) == "key \\x1b[2J of a file"
    assert str(kind("x" * 10_000)).count("x") < 500


@pytest.mark.parametrize(
    ("text", "count"), [("32768", 32768), ("32k", 32768), ("1m", 1 << 20), ("256K", 262144), (" 8 k ", 8192), ("0", 0)]
)
def test_a_number_of_tokens_may_have_k_or_m(text: str, count: int) -> None:
    assert token_count(text) == count


@pytest.mark.parametrize("text", ["", "k", "1.5k", "-1", "1g", "1e6", "12345678901234", "\uff11"])
def test_anything_else_is_no_number_of_tokens(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number of tokens"):
        token_count(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("16.5GB", 16_500_000_000),
        ("24 gb", 24_000_000_000),
        (" 900m ", 900_000_000),
        (".5k", 500),
        ("14.MB", 14_000_000),
        ("14e6", 14_000_000),
        ("1.5e3MB", 1_500_000_000),
        ("4GiB", 4 << 30),
        ("2 mib", 2 << 20),
        ("1TB", 10**12),
        ("1234567", 1_234_567),
        ("7B", 7),
    ],
)
def test_a_size_is_read_in_all_its_spellings(text: str, size: int) -> None:
    assert byte_count(text) == size


@pytest.mark.parametrize(
    "text", ["", "GB", "0", "0.4", "-1GB", "+1GB", "1,5GB", "1 5GB", "4bit", "3iB", "1GBB", "nan", "\u0661GB", "1e999"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a size"):
        byte_count(text)
