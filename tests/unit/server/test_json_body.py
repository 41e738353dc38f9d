from __future__ import annotations

import pytest

from edge.server.json_body import JsonBody


def test_half_a_character_is_no_fault() -> None:
    assert JsonBody({"a": "\ud800b\u00e9"}).body == b'{"a":"?b\xc3\xa9"}'


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        JsonBody({"a": float("nan")})
