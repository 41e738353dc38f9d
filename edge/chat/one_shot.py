"""Answer one prompt: the answer on stdout, everything else on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from edge.chat.asking.looking import Kind, as_source
from edge.chat.asking.piped import Asked
from edge.chat.border import INTERRUPTED
from edge.chat.json_output import answer_json, event_json, result_json, write_json
from edge.errors import MediaError
from edge.events import Event, PromptEvent

if TYPE_CHECKING:
    from edge.chat.talk import Talk


def answer_once(talk: Talk, asked: Asked, *, out: TextIO, notice: str) -> int:
    """Answer and return the exit code: 0, or 130 when Ctrl-C cut the answer.

    Args:
        talk: A talk in which nothing was asked yet, or one that goes on.
        asked: The question.
        out: Where JSON is written.
        notice: A line written before the answer, once nothing can fail any more; may be empty.

    Raises:
        EdgeError: The question is refused.
    """
    options = talk.options
    shows_reasoning = options.thoughts != "hide"
    prompts: list[PromptEvent] = []

    def listen(event: Event) -> None:
        if isinstance(event, PromptEvent):
            prompts.append(event)
            if notice and len(prompts) == 1:  # tool calls make further prompts
                talk.screen.note(notice)
        if options.output == "events" and (line := event_json(event, shows_reasoning=shows_reasoning)):
            write_json(line, out)

    talk.listeners.append(listen)
    if talk.tools is not None and options.output == "events":
        talk.tools.listeners.append(lambda result: write_json({"event": "tool_result", **result_json(result)}, out))
    assert asked.text is not None, "one answer has a question"
    add_given(talk, asked.piped_media)
    if asked.is_typed:
        talk.say(asked.text)
    else:
        talk.ask(asked.text)
    if talk.last is None:
        if not prompts:
            raise MediaError("Only files were given. Add a question.")
        return INTERRUPTED
    if options.output == "json":
        results = talk.tools.results if talk.tools is not None else []
        found = answer_json(talk.engine, talk.last, prompts[-1], shows_reasoning=shows_reasoning, results=results)
        write_json(found, out, indent=2)
    return INTERRUPTED if talk.last.finish.reason == "cancelled" else 0


def add_given(talk: Talk, piped: bytes | None) -> None:
    """Let the pictures, videos and pages of the command line wait for the first question.

    Raises:
        EdgeError: A document cannot be read; in a talk, anything.
    """
    options = talk.options
    given: list[tuple[str, Kind]] = [(text, "image") for text in options.images]
    given += [(text, "video") for text in options.videos]
    given += [(text, "pdf") for text in options.pdfs]
    for text, kind in given:
        if text == "-":
            assert piped is not None, "the pipe was read"
            talk.waiting.add(piped, kind=kind, name="the pipe")
        elif kind == "pdf" or talk.is_talk:
            talk.waiting.add_typed(text, kind=kind)
        else:
            talk.waiting.add_unseen(as_source(text), kind="image" if kind == "image" else "video")
