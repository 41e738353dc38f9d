"""Turn options into requests, and events into text on the screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edge.answer import Answer, AnswerParts
from edge.chat.arguments import ChatOptions
from edge.chat.screen import Screen
from edge.events import Event, NoteEvent, PromptEvent, ReasoningEvent, TextEvent

if TYPE_CHECKING:
    from edge.engine import Engine
    from edge.request import Request

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt


def make_request(
    engine: Engine, options: ChatOptions, messages: Sequence[Message], *, cancel: threading.Event
) -> Request:
    """Build the request for a conversation; values that were not given are the checkpoint's."""
    from edge.options import ImageOptions, VideoOptions
    from edge.request import Request

    sampling: dict[str, Any] = options.sampling  # Any: the fields differ in type
    low, high = options.min_pixels, options.max_pixels
    return Request(
        messages=messages,
        sampling=replace(engine.default_sampling, **sampling),
        max_tokens=options.max_tokens,
        stop=options.stop,
        thinking_budget=options.thinking_budget,
        image=ImageOptions(min_pixels=low, max_pixels=high),
        video=VideoOptions(min_pixels=low, max_pixels=high, fps=options.fps),
        cancel=cancel,
    )


def begin(engine: Engine, request: Request) -> tuple[PromptEvent, Iterator[Event]]:
    """Build and plan a request; what can be refused is refused here, before anything is written."""
    events = iter(engine.stream(request))
    for event in events:
        if isinstance(event, PromptEvent):
            return event, events
    raise AssertionError("a stream has a prompt event")


def show_events(
    prompt: PromptEvent, events: Iterator[Event], screen: Screen | None, *, shows_reasoning: bool
) -> Answer:
    """Write an answer as it comes, or nowhere without a screen; return all of it."""
    parts = AnswerParts()
    parts.add(prompt)
    for event in events:
        parts.add(event)
        if screen is None:
            continue
        match event:
            case ReasoningEvent() if shows_reasoning:
                screen.reasoning(event.text)
            case TextEvent():
                screen.answer(event.text)
            case NoteEvent():
                screen.note(event.text)
    if screen:
        screen.end_line()
    return parts.answer()


def explain_cut(answer: Answer) -> str | None:
    """Say in one line when an answer is not whole, and what to do."""
    if answer.finish.reason == "stop" and answer.reasoning and not answer.text:
        return "(no answer: the model ended inside its thought; ask again, or set --thinking-budget)"
    if answer.finish.reason != "length":
        return None
    tokens = answer.usage.completion_tokens
    if answer.text or not answer.reasoning:
        return f"(cut at {tokens} tokens; raise --max-tokens for more)"
    return f"(no answer: all {tokens} tokens went into the thought; raise --max-tokens or set --thinking-budget)"
