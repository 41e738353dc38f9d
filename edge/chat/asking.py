"""Turn options into requests, and events into text on the screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.chat.arguments import ChatOptions
from edge.chat.screen import Screen
from edge.events import Answer, Event, FinishEvent, PromptEvent, ReasoningEvent, TextEvent

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.request import Request

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt


def user_message(text: str, *, images: Sequence[Path] = (), videos: Sequence[Path] = ()) -> Message:
    """Put pictures, videos and text into one user message, in this order."""
    content: list[Message] = [{"type": "image", "image": str(path)} for path in images]
    content += [{"type": "video", "video": str(path)} for path in videos]
    return {"role": "user", "content": [*content, {"type": "text", "text": text}]}


def assistant_message(answer: Answer) -> Message:
    """Put an answer and its thought into a message; the template drops old thoughts by itself."""
    thought = {"reasoning_content": answer.reasoning} if answer.reasoning else {}
    return {"role": "assistant", "content": answer.text, **thought}


def make_request(
    engine: Engine, options: ChatOptions, messages: Sequence[Message], *, cancel: threading.Event
) -> Request:
    """Build the request for a conversation; values that were not given are the checkpoint's."""
    from edge.prompt.build import PromptOptions
    from edge.request import Request

    sampling: dict[str, Any] = options.sampling  # Any: the fields differ in type
    limits = {"min_pixels": options.min_pixels, "max_pixels": options.max_pixels}
    return Request(
        messages=messages,
        sampling=replace(engine.default_sampling, **sampling),
        max_tokens=options.max_tokens,
        stop=options.stop,
        thinking_budget=options.thinking_budget,
        options=PromptOptions(image=limits, video={**limits, "fps": options.fps}),
        cancel=cancel,
    )


def begin(engine: Engine, request: Request) -> tuple[PromptEvent, Iterator[Event]]:
    """Build and plan a request; what can be refused is refused here, before anything is written."""
    events = engine.stream(request)
    first = next(events)
    assert isinstance(first, PromptEvent), "a stream begins with its prompt"
    return first, events


def show_events(events: Iterator[Event], screen: Screen | None, *, shows_reasoning: bool) -> Answer:
    """Write an answer as it comes, or nowhere without a screen; return all of it."""
    text, reasoning = [], []
    for event in events:
        if isinstance(event, ReasoningEvent):
            reasoning.append(event.text)
            if screen and shows_reasoning:
                screen.reasoning(event.text)
        elif isinstance(event, TextEvent):
            text.append(event.text)
            if screen:
                screen.answer(event.text)
        elif isinstance(event, FinishEvent):
            finish = event
    if screen:
        screen.end_line()
    return Answer("".join(text), "".join(reasoning), finish)


def explain_cut(answer: Answer) -> str | None:
    """Say in one line when an answer is not whole, and what to do."""
    if answer.finish.reason == "stop" and answer.reasoning and not answer.text:
        return "(no answer: the model ended inside its thought; ask again, or set --thinking-budget)"
    if answer.finish.reason != "length":
        return None
    tokens = answer.finish.statistics.answer_tokens
    if answer.text or not answer.reasoning:
        return f"(cut at {tokens} tokens; raise --max-tokens for more)"
    return f"(no answer: all {tokens} tokens went into the thought; raise --max-tokens or set --thinking-budget)"
