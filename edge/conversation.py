"""Talk with an engine: the messages are kept, so that each question stands on what was said before.

In: questions with pictures and videos. Out: answers, or events; every finished answer becomes a message. A question
that fails or is refused leaves no trace.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from edge.answer import Answer, AnswerParts
from edge.errors import EdgeError, RequestError
from edge.events import Event, FinishEvent, ToolCall
from edge.options import Image, ImageSource, Video, VideoSource
from edge.request import Request, check_objects, check_settings, make_request

if TYPE_CHECKING:
    from edge.results import EventStream

Message = dict[str, Any]  # Any: JSON, checked by edge.prompt


def user_message(
    text: str, *, images: Sequence[ImageSource | Image] = (), videos: Sequence[VideoSource | Video] = ()
) -> Message:
    """Put pictures, videos and text into one user message, in this order.

    The message is JSON, fit to be saved, where its pictures are paths or data URLs: paths become text.

    Args:
        text: The question.
        images: Sources (path, data URL, bytes, file object, PIL picture, array), or `Image`s.
        videos: Sources, or `Video`s.

    Raises:
        RequestError: The question is no text, or a single source was given where a list is expected.
    """
    if not isinstance(text, str):
        raise RequestError(f"question: expected text, found {type(text).__name__}.", field="question")
    for name, media in (("images", images), ("videos", videos)):
        if isinstance(media, str | bytes | Image | Video) or not isinstance(media, Sequence):
            raise RequestError(f"{name}: expected a list of sources, found {type(media).__name__}.", field=name)
    parts = [(one if isinstance(one, Image) else Image(one)).part() for one in images]
    parts += [(one if isinstance(one, Video) else Video(one)).part() for one in videos]
    for part in parts:
        source = part[part["type"]]
        if isinstance(source, os.PathLike):
            part[part["type"]] = os.fsdecode(source)
    return {"role": "user", "content": [*parts, {"type": "text", "text": text}]}


class Conversation:
    """Messages of one talk. One thread at a time; many conversations of one engine may run at once.

    `json.dumps(chat.messages)` saves a talk whose pictures are paths or data URLs; `engine.chat(messages=...)` goes on
    with it, in another process too. Settings are not among the messages. `copy.copy(chat)` is a branch: it has the
    messages so far and the settings, and goes on apart.

    Attributes:
        messages: What was said so far, in OpenAI's shape; it may be changed between two questions.
    """

    def __init__(
        self,
        stream: Callable[[Request, Callable[[Event], None]], EventStream],
        *,
        system: str | None,
        messages: Sequence[Message] = (),
        **settings: Any,
    ) -> None:
        """Begin a talk; `Engine.chat` does it.

        Args:
            stream: Runs a request; tells of each event that is taken.
            system: The system message.
            messages: What was said before.
            settings: Fields of every `Request`.
        """
        if system is not None and not isinstance(system, str):
            raise RequestError(f"system: expected text, found {type(system).__name__}.", field="system")
        check_settings(settings)
        check_objects("messages", messages, "Give those of an earlier talk.")
        if system is not None and any(one.get("role") == "system" for one in messages):
            raise RequestError(
                "system: expected none, as the messages have a system message already. Leave it out.", field="system"
            )
        first: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        self.messages: list[Message] = [*first, *messages]
        self._stream = stream
        self._settings = settings

    def ask(
        self,
        question: str,
        *,
        images: Sequence[ImageSource | Image] = (),
        videos: Sequence[VideoSource | Video] = (),
        **changes: Any,
    ) -> Answer:
        """Ask and wait for the answer.

        Args:
            question: The text.
            images: Pictures that go with it, as for `user_message`.
            videos: Videos that go with it.
            changes: Fields of `Request` for this question only.

        Raises:
            EdgeError: What `Engine.stream` raises; the talk stays as it was before the question.
        """
        with self.stream(question, images=images, videos=videos, **changes) as events:
            return events.answer()

    def stream(
        self,
        question: str,
        *,
        images: Sequence[ImageSource | Image] = (),
        videos: Sequence[VideoSource | Video] = (),
        **changes: Any,
    ) -> EventStream:
        """Ask, and give the events.

        Question and answer join the messages when the finish event is taken, also after `cancel`, with what had come.
        A stream that is closed before leaves no trace. Raises like `ask`.
        """
        return self._run([user_message(question, images=images, videos=videos)], changes)

    def give_results(self, results: Sequence[tuple[ToolCall, Any]], **changes: Any) -> Answer:
        """Tell what the last answer's tool calls gave, and wait for what the model says to it.

        Args:
            results: Each call with its result: text, any JSON, or content parts (pictures are allowed).
            changes: Fields of `Request` for this step only.

        Raises:
            EdgeError: As `ask`.
        """
        with self.stream_results(results, **changes) as events:
            return events.answer()

    def stream_results(self, results: Sequence[tuple[ToolCall, Any]], **changes: Any) -> EventStream:
        """Tell what the calls gave, as `give_results`, and give the events, as `stream`."""
        from edge.text.tools import tool_result_message

        if not results or not all(isinstance(one, tuple) and isinstance(one[0], ToolCall) for one in results):
            raise RequestError(
                "results: expected a list of pairs, each a ToolCall of the last answer and its result.", field="results"
            )
        return self._run([tool_result_message(call, content) for call, content in results], changes)

    def _run(self, new: list[Message], changes: Mapping[str, Any]) -> EventStream:
        parts = AnswerParts()

        def remember(event: Event) -> None:
            parts.add(event)
            if isinstance(event, FinishEvent):
                self.messages += [*new, parts.answer().message()]

        check_objects("messages", self.messages, "They are the talk so far; an empty list begins anew.")
        if not isinstance(self.messages, list):
            self.messages = list(self.messages)
        return self._stream(make_request([*self.messages, *new], {**self._settings, **changes}), remember)

    def __copy__(self) -> Conversation:
        return Conversation(self._stream, system=None, messages=_own(self.messages), **self._settings)

    def __deepcopy__(self, _memo: object) -> Conversation:
        return self.__copy__()  # pictures are sources, which nobody changes

    def __reduce__(self) -> NoReturn:
        raise EdgeError("A conversation belongs to its engine. Save its messages, and go on with chat(messages=...).")


def _own(value: Any) -> Any:  # Any: JSON, but for sources
    """Copy lists and objects, all the way down; what lies in them is shared."""
    if isinstance(value, list):
        return [_own(one) for one in value]
    return {key: _own(one) for key, one in value.items()} if isinstance(value, dict) else value
