"""Bring the results of calls into the order of the calls.

Templates write results one after another without saying whose they are, so the model takes the first for that of the
first call. Programs that run calls side by side send results as they come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Json = Any  # checked by `edge.prompt.text.messages`


def order_results(messages: Sequence[Json]) -> list[int]:
    """Sort the results behind each message with calls by their ids, or by names where those tell them apart.

    Results of which one cannot be told stay as they are, all of that message's.

    Returns:
        The messages' indexes in their new order; who reads them can still say where each was given.
    """
    ordered: list[int] = []
    place = 0
    while place < len(messages):
        end = place + 1
        calls = _calls_of(messages[place])
        while len(calls) > 1 and end < len(messages) and _is_result(messages[end]):
            end += 1
        ordered += [place, *(place + 1 + one for one in _order(messages[place + 1 : end], calls))]
        place = end
    return ordered


def _order(results: Sequence[Json], calls: Sequence[Mapping[str, Json]]) -> list[int]:
    ids = [call.get("id") for call in calls]
    names = [_name_of(call) for call in calls]
    places = [_place_of(result, ids, names) for result in results]
    known = [place for place in places if place is not None]
    if len(known) < len(results):
        return list(range(len(results)))
    return sorted(range(len(results)), key=known.__getitem__)


def _place_of(result: Mapping[str, Json], ids: Sequence[Json], names: Sequence[Json]) -> int | None:
    given, name = result.get("tool_call_id"), result.get("name")
    if given is not None and given in ids:
        return ids.index(given)
    return names.index(name) if name is not None and names.count(name) == 1 else None


def _calls_of(message: Json) -> list[Mapping[str, Json]]:
    calls = message.get("tool_calls") if isinstance(message, Mapping) else None
    if not isinstance(calls, list | tuple) or not all(isinstance(call, Mapping) for call in calls):
        return []
    return list(calls)


def _name_of(call: Mapping[str, Json]) -> Json:
    function = call.get("function", call)
    return function.get("name") if isinstance(function, Mapping) else None


def _is_result(message: Json) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "tool"
