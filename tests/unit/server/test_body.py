from __future__ import annotations

import pytest

from edge.server.body import MAX_DEPTH, MAX_VALUES, parse_object
from edge.server.errors import ApiError


def test_an_object_is_parsed() -> None:
    assert parse_object(b'{"a": [1, 2.5, null, "\xc3\xa9"]}') == {"a": [1, 2.5, None, "\u00e9"]}


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{", b"[]", b'"a"', b"1", b"null", b"\xff\xfe", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e999}'),
        *(b'{"a": ' + b"9" * 5000 + b"}", b'{"a":' * 100_000, b"[" * 100_000, b"{'a': 1}", b'{"a": "\xff"}', b"\x00{}"),
        b'{"a": ' + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1) + b"}",
    ],
)
def test_what_is_no_plain_object_is_refused(data: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        parse_object(data)
    assert refused.value.status == 400
    assert len(str(refused.value)) < 400


def test_a_body_of_very_many_small_values_is_refused_before_they_are_made() -> None:
    data = b'{"a": [' + b"[]," * (MAX_VALUES // 2) + b"[]]}"
    with pytest.raises(ApiError, match=str(MAX_VALUES)) as refused:
        parse_object(data)
    assert refused.value.status == 413
