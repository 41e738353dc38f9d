from __future__ import annotations

import json
import logging

from edge.server.log import JsonLines


def line(message: str, *args: object, exc_info: object = None) -> dict[str, object]:
    record = logging.LogRecord("edge", logging.INFO, "", 0, message, args, exc_info)  # type: ignore[arg-type]
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_an_event_is_one_object_with_its_fields() -> None:
    found = line("request", {"status": 200, "path": "/a\nb"})
    assert (found["event"], found["status"], found["path"], found["level"]) == ("request", 200, "/a\nb", "info")
    assert str(found["time"]).endswith("Z")


def test_other_lines_and_traces_are_objects_too() -> None:
    try:
        raise ValueError("x")
    except ValueError as error:
        found = line("fault %s", "a", exc_info=(type(error), error, error.__traceback__))
    assert found["event"] == "fault a"
    assert "ValueError: x" in str(found["trace"])
