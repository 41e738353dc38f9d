from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from PIL import Image

from edge.chat.calls import talk_tools
from edge.chat.calls.consent import Consent
from edge.chat.json_output import result_json
from edge.chat.sessions.session import Session
from edge.events import ToolCall
from edge.tools import Tool, ToolResult
from edge.tools.rounds import MAX_ROUNDS
from edge.tools.tool import function_tool
from tests.unit.chat.parrot import Talking


def double(number: int) -> int:
    """Double a number."""
    return 2 * number


def call(number: object = 4, *, name: str = "double", place: int = 0) -> ToolCall:
    return ToolCall(place, f"c{place}", name, f'{{"number": {number}}}')


def with_tools(talking: Talking, *tools: Tool, agrees: bool = True) -> None:
    talking.talk.change(agrees=agrees)
    talking.talk.add_tools(tools or [function_tool(double, origin="here")])


def contents(talking: Talking) -> list[object]:
    return [message["content"] for message in talking.talk.messages if message["role"] == "tool"]


def says(monkeypatch: pytest.MonkeyPatch, *answers: Consent) -> list[str]:
    asked: list[str] = []
    left = list(answers)

    def ask(_: object, name: str) -> Consent:
        asked.append(name)
        return left.pop(0)

    monkeypatch.setattr(talk_tools, "can_ask", lambda _: True)
    monkeypatch.setattr(talk_tools, "ask_consent", ask)
    return asked


def test_results_go_back_until_an_answer_comes_and_are_shown(talking: Talking) -> None:
    with_tools(talking)
    talking.engine.calls = [[call(4), call(5, place=1)], [call(6)]]
    note = talking.say("double them")
    assert contents(talking) == ["8", "10", "12"]
    assert [message["role"] for message in talking.talk.messages] == [
        "user", "assistant", "tool", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert talking.talk.last is not None
    assert talking.talk.last.text == "answer 3"
    assert 'double {"number": 4}' in note
    assert "= 12" in note
    assert talking.last().tools is not None


def test_without_somebody_to_ask_the_result_says_so(talking: Talking) -> None:
    with_tools(talking, agrees=False)
    talking.engine.calls = [[call()]]
    assert "--yes lets all tools run" in talking.say("one")
    assert "nobody can be asked" in str(contents(talking)[0])


def test_each_call_is_asked_about_and_always_is_remembered_for_that_tool(
    talking: Talking, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = says(monkeypatch, "no", "yes", "always")
    with_tools(talking, agrees=False)
    talking.engine.calls = [[call(1), call(2, place=1)], [call(3)], [call(4)]]
    talking.say("one")
    assert asked == ["double"] * 3
    assert "refused" in str(contents(talking)[0])
    assert contents(talking)[1:] == ["4", "6", "8"]


def test_rounds_end_with_an_answer_and_the_next_question_has_its_tools_again(talking: Talking) -> None:
    with_tools(talking)
    talking.engine.calls = [[call(n)] for n in range(20)]
    talking.say("again and again")
    assert len(contents(talking)) == MAX_ROUNDS
    assert talking.last().tool_choice == "none"
    talking.engine.calls = []
    talking.say("two")
    assert talking.last().tool_choice == "auto"


def test_ctrl_c_in_a_tool_gives_every_call_a_result_and_the_talk_goes_on(talking: Talking) -> None:
    def hang(number: int) -> int:
        """Hang."""
        raise AssertionError("never runs here")

    with_tools(talking, function_tool(hang))
    box = talking.talk.tools

    def interrupt(_: ToolCall) -> object:
        raise KeyboardInterrupt

    assert box is not None
    box._run = interrupt  # type: ignore[method-assign, assignment]  # stands for the key
    talking.engine.calls = [[call(name="hang"), call(name="hang", place=1)]]
    assert "stopped; the calls so far are kept" in talking.say("one")
    assert len(contents(talking)) == 2
    assert all("user stopped" in str(content) for content in contents(talking))
    talking.say("two")
    assert len(talking.last().messages) == 5


def test_a_picture_of_a_tool_is_copied_beside_the_talk(talking: Talking) -> None:
    def paint(number: int) -> object:
        """Paint."""
        file = io.BytesIO()
        Image.new("RGB", (40, 30)).save(file, "PNG")
        return Image.open(file)

    tool = Tool(function_tool(double).declaration, lambda arguments: paint(**arguments))
    with_tools(talking, tool)
    talking.engine.calls = [[call()]]
    talking.say("paint")
    (content,) = contents(talking)
    assert isinstance(content, list)
    assert str(talking.folder / "media") in content[0]["image"]


@pytest.mark.parametrize("reason", ["length", "cancelled"])
def test_calls_of_a_cut_answer_do_not_run(talking: Talking, reason: str) -> None:
    ran: list[int] = []
    record: Callable[..., object] = lambda number: ran.append(number)  # noqa: E731
    tool = Tool(function_tool(double).declaration, lambda arguments: record(**arguments))
    with_tools(talking, tool)
    talking.say("one")
    answer = talking.talk.last
    assert answer is not None
    from dataclasses import replace

    cut = replace(answer, tool_calls=(call(),), finish=replace(answer.finish, reason=reason))  # type: ignore[arg-type]
    assert talking.talk.tools is not None
    assert talking.talk.tools.follow_up(cut) is None
    assert ran == []


def test_a_talk_with_calls_is_saved_whole_and_its_question_can_be_asked_again(talking: Talking) -> None:
    with_tools(talking)
    talking.engine.calls = [[call(4)]]
    talking.say("one")
    assert Session(talking.folder).read().messages == talking.talk.messages
    talking.engine.calls = [[call(5)]]
    talking.say("/retry")
    assert contents(talking) == ["10"]
    talking.say("/undo")
    assert talking.talk.messages == []


def test_listeners_get_each_result_as_it_comes(talking: Talking) -> None:
    with_tools(talking)
    got: list[ToolResult] = []
    assert talking.talk.tools is not None
    talking.talk.tools.listeners.append(got.append)
    talking.engine.calls = [[call(4), call(name="gone", place=1)]]
    talking.say("one")
    assert [(result.text[:8], result.is_error) for result in got] == [("8", False), ("Error: t", True)]
    assert json.loads(json.dumps(result_json(got[0])))["content"] == "8"


def test_a_picture_that_is_not_there_becomes_text_and_the_talk_is_still_saved(talking: Talking) -> None:
    tool = Tool(function_tool(double).declaration, lambda _: {"type": "image", "image": "/gone/a.png"})
    with_tools(talking, tool)
    talking.engine.calls = [[call()]]
    talking.say("paint")
    assert "cannot be read" in str(contents(talking))
    assert talking.talk.keeper.is_saving


@pytest.mark.parametrize("failure", ["refuse", "broken", "fail early", "stop early"])
def test_results_outlive_a_request_that_fails_and_retry_asks_for_the_answer_alone(
    talking: Talking, failure: str
) -> None:
    ran: list[str] = []
    says = [failure]

    def look(number: int) -> str:
        """Look."""
        ran.append("x")
        return says[0]

    with_tools(talking, function_tool(look, origin="here"))
    talking.engine.calls = [[call(name="look")]]
    assert "the results of the tools are kept: /retry" in talking.say("one")
    assert [message["role"] for message in talking.talk.messages] == ["user", "assistant", "tool"]
    assert Session(talking.folder).read().messages == talking.talk.messages
    kept = talking.talk.messages[-1]
    kept["content"] = "fine"  # what made it fail is gone
    talking.say("/retry")
    assert ran == ["x"]
    assert [message["role"] for message in talking.talk.messages] == ["user", "assistant", "tool", "assistant"]
    assert talking.last().messages[-1]["content"] == "fine"
    talking.say("/retry")  # now it ends with an answer: the whole question again
    assert [message["role"] for message in talking.talk.messages] == ["user", "assistant"]


def test_a_window_closed_while_tools_run_keeps_what_ran(talking: Talking) -> None:
    with_tools(talking)
    box = talking.talk.tools
    assert box is not None
    run = box._run

    def run_here(made: ToolCall) -> ToolResult:  # the signal comes to the thread of the talk, not of the tool
        if '"number": 2' in made.arguments:
            raise SystemExit(129)
        return run(made)

    box._run = run_here  # type: ignore[method-assign, assignment]  # stands for the signal
    talking.engine.calls = [[call(1), call(2, place=1)]]
    with pytest.raises(SystemExit):
        talking.talk.handle("one")
    assert contents(talking)[0] == "2"
    assert "user stopped" in str(contents(talking)[1])
    assert Session(talking.folder).read().messages == talking.talk.messages
