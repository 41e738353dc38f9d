from __future__ import annotations

import json
import re

import pytest

from edge.events import ToolCallDeltaEvent
from edge.text.call import CallReader

CALL = '\n{"name": "f", "arguments": {"a": "x"}}\n</tool_call>'


def test_a_complete_call_has_its_name_and_the_raw_text_of_its_arguments() -> None:
    reader = CallReader(3)
    _, rest = reader.feed(CALL + "after")
    assert (reader.status, rest, reader.is_closed_by_tag) == ("complete", "after", True)
    assert (reader.call.index, reader.call.name, reader.call.arguments) == (3, "f", '{"a": "x"}')


def test_ids_are_unique_and_look_like_those_of_openai() -> None:
    ids = set()
    for _ in range(100):
        reader = CallReader(0)
        reader.feed(CALL)
        ids.add(reader.call.id)
    assert len(ids) == 100
    assert all(re.fullmatch("call_[0-9a-f]{24}", id) for id in ids)


def test_arguments_are_streamed_as_soon_as_the_name_is_known() -> None:
    reader = CallReader(0)
    assert reader.feed('\n{"name": "f')[0] == []
    (first,) = reader.feed('"')[0]
    assert (first.index, first.name, first.arguments, first.id[:5]) == (0, "f", "", "call_")
    assert reader.feed(', "arguments": {"a"')[0] == [ToolCallDeltaEvent(0, "", "", '{"a"')]
    assert reader.feed(': "x"}')[0] == [ToolCallDeltaEvent(0, "", "", ': "x"}')]
    assert reader.feed("}\n")[0] == []


def test_arguments_before_the_name_are_streamed_with_it() -> None:
    reader = CallReader(0)
    assert reader.feed('{"arguments": {"a": [1, 2]}, "name": "')[0] == []
    (delta,) = reader.feed('f"}')[0]
    assert (delta.name, delta.arguments) == ("f", '{"a": [1, 2]}')


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('{"name": "f", "arguments": {}}', "{}"),
        ('{"name":"f","arguments":{"a":{"b":[{"c":"}</tool_call>{"}]}}}', '{"a":{"b":[{"c":"}</tool_call>{"}]}}'),
        ('{"arguments": {"a": 1.5e3}, "name": "f"}', '{"a": 1.5e3}'),
        ('{"name": "f", "arguments": "{\\"a\\": 1}"}', '{"a": 1}'),
        ('{"arguments": "{}", "name": "f"}', "{}"),
        ('{"name": "f"}', "{}"),
        ('{"name": "f", "arguments": null}', "{}"),
        ('{"name": "f", "arguments": null, "id": 7}', "{}"),
        ('{"id": {"name": "g", "arguments": 1}, "name": "f", "arguments": {"a": 1}, "x": [1]}', '{"a": 1}'),
        (
            '{"name": "f", "arguments": {"a": "\\u65e5\\n\\"\\ud83d\\ude00日"}}',
            '{"a": "\\u65e5\\n\\"\\ud83d\\ude00日"}',
        ),
        ('{\n  "name": "f",\n  "arguments": {\n    "a": true\n  }\n}', '{\n    "a": true\n  }'),
        ('{"n\\u0061me": "\\u0066", "arguments": {"name": "inner"}}', '{"name": "inner"}'),
    ],
)
def test_calls_as_models_write_them_are_read(text: str, arguments: str) -> None:
    reader = CallReader(0)
    deltas, _ = reader.feed(text + "\n</tool_call>")
    assert (reader.status, reader.reason) == ("complete", "")
    assert (reader.call.name, reader.call.arguments) == ("f", arguments)
    assert "".join(delta.arguments for delta in deltas) == arguments
    assert isinstance(json.loads(arguments), dict)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("f(x)", "it is not a JSON object"),
        ('[{"name": "f"}]', "it is not a JSON object"),
        ('{"name": "f", "arguments": {"a": 1}\n</tool_call>', "its JSON is broken"),
        ('{"name": "f", "arguments": {"a": "x}}\n</tool_call>', "its JSON is broken"),
        ('{"name": "f", "arguments": {\'a\': 1}}', "its JSON is broken"),
        ('{"arguments": {"a": 1}}', "it has no name"),
        ("{}", "it has no name"),
        ('{"name": ""}', "its name is empty or broken"),
        ('{"name": "\\ud800"}', "its name is empty or broken"),
        ('{"name": 5}', "its name is not a string"),
        ('{"name": "f", "name": "g"}', "it has the key 'name' twice"),
        ('{"name": "f", "arguments": {}, "arguments": {}}', "it has the key 'arguments' twice"),
        ('{"name": "f", "arguments": [1]}', "its arguments are not a JSON object"),
        ('{"name": "f", "arguments": "x = 1"}', "its arguments are not a JSON object"),
        ('{"name": "f", "arguments": "[1]"}', "its arguments are not a JSON object"),
        ('{"name": "f", "arguments": "{\\"a\\": NaN}"}', "its arguments are not a JSON object"),
        ('{"name": "f", "arguments": {"a": %s}}' % ("9" * 5000), "its arguments are not a JSON object"),
        ('{"name": "f", "arguments": {}}}', "something follows its JSON"),
        ('{"name": "f", "arguments": {}}\n</tool_cull>', "something follows its JSON"),
    ],
)
def test_a_broken_call_says_what_is_wrong(text: str, reason: str) -> None:
    reader = CallReader(0)
    _, rest = reader.feed(text)
    assert (reader.status, reader.reason) == ("broken", reason)
    assert reader.raw + rest == text


@pytest.mark.parametrize(
    "pieces", [['{"name": "f", "arguments": {"a": x}}'], list('{"name": "f", "arguments": {"a": x}}')]
)
def test_what_breaks_a_call_is_not_sent_as_arguments(pieces: list[str]) -> None:
    reader, sent = CallReader(0), ""
    for piece in pieces:
        if reader.status == "open":
            sent += "".join(delta.arguments for delta in reader.feed(piece)[0])
    assert (reader.status, sent) == ("broken", '{"a": ')


def test_a_call_is_whole_without_its_closing_tag_if_its_json_is() -> None:
    reader = CallReader(0)
    reader.feed('{"name": "f", "arguments": {"a": 1}}\n</tool')
    reader.finish()
    assert (reader.status, reader.call.arguments, reader.is_closed_by_tag) == ("complete", '{"a": 1}', False)


def test_a_call_that_is_cut_off_is_broken() -> None:
    reader = CallReader(0)
    reader.feed('{"name": "f", "arguments": {"a": 1}')
    reader.finish()
    assert (reader.status, reader.reason, reader.is_announced) == ("broken", "it was cut off", True)


def test_the_next_call_may_follow_without_a_closing_tag() -> None:
    reader = CallReader(0)
    _, rest = reader.feed('{"name": "f", "arguments": {}}\n<tool_call>\n{"name')
    assert (reader.status, rest) == ("complete", '<tool_call>\n{"name')
