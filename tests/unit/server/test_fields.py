from __future__ import annotations

import pytest

from edge.server.errors import ApiError
from edge.server.fields import Fields


def test_values_are_taken_with_their_types_and_the_rest_is_left() -> None:
    fields = Fields({"a": "x", "b": True, "c": 3.0, "d": 2, "e": [1], "f": {"g": 1, "h": None}, "i": None, "j": 0})
    assert fields.text("a") == "x"
    assert fields.flag("b") is True
    assert fields.whole("c") == 3
    assert fields.number("d") == 2.0
    assert fields.items("e") == [1]
    inner = fields.inner("f")
    assert (inner.left, inner.whole("g"), inner.left) == (["f.g"], 1, [])
    assert (fields.text("i"), fields.flag("none", default=True), fields.items("none")) == (None, True, [])
    assert fields.left == ["j"]
    fields.ignore("j", "none")
    assert fields.left == []


@pytest.mark.parametrize(
    ("method", "value"),
    [
        *(("text", 1), ("text", ["x"]), ("flag", 1), ("flag", "true"), ("whole", 1.5), ("whole", True), ("whole", "1")),
        *(("number", "1"), ("number", False), ("items", {}), ("items", "x"), ("object", []), ("inner", 3)),
    ],
)
def test_other_types_are_refused_by_name(method: str, value: object) -> None:
    with pytest.raises(ApiError, match=r"^name: expected ") as refused:
        getattr(Fields({"name": value}), method)("name")
    assert (refused.value.param, refused.value.status) == ("name", 400)


def test_a_long_value_is_shown_short_and_an_inner_field_with_its_place() -> None:
    with pytest.raises(ApiError, match=r"^outer\.name: expected a number, found '") as refused:
        Fields({"outer": {"name": "x" * 1000}}).inner("outer").number("name")
    assert len(str(refused.value)) < 200


def test_words_are_held_to_a_list() -> None:
    assert Fields({"a": "x"}).choice("a", ("x", "y")) == "x"
    with pytest.raises(ApiError, match="one of x, y"):
        Fields({"a": "z"}).choice("a", ("x", "y"))
