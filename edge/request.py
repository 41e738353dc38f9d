"""Say what a request to the engine is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from typing import Any

from edge.errors import RequestError
from edge.options import ImageOptions, VideoOptions, given, options_of
from edge.prompt.build import PromptOptions
from edge.records import dataclass
from edge.run.sample import SamplingParams
from edge.units import one_line, plain_number

MAX_TOP_LOGPROBS = 20
MAX_KEPT_TOKENS = 1024
MAX_KEPT_BESIDE_BUDGET = 64
LEAST_THOUGHT_TOKENS = 8
"""A thought with less room than this, the tokens that close it included, is left out."""
Json = Mapping[str, Any]  # Any: JSON, checked by the parts that read it
_WHOLE = ("max_tokens", "thinking_budget", "answer_tokens", "top_logprobs", "max_visual_tokens")
_ELSEWHERE = {
    "response_format": "schema (the JSON Schema itself)",
    "json_schema": "schema",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "enable_thinking": "thinking_budget (0 for none)",
    "reasoning_effort": "thinking_budget (tokens)",
    "logprobs": "top_logprobs (a number, 0 for the token's own alone)",
}


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the model. Values are checked here; messages, tools and schemas when the prompt is built.

    Attributes:
        messages: The conversation in OpenAI's shape: role and content, which is text or a list of parts. A picture
            part is {"type": "image", "image": SOURCE}, a video part {"type": "video", "video": SOURCE}, both with
            options beside the source; OpenAI's image_url parts are taken too. `user_message` makes such a message.
        tools: Tool declarations in OpenAI's shape: {"type": "function", "function": {"name": ..., ...}}, or the inner
            object alone.
        tool_choice: "auto", "none", "required", or the name of the tool that must be called.
        parallel_tool_calls: Whether an answer may hold several calls.
        schema: A JSON Schema that the answer must obey, or "json" for any JSON object; `Answer.json` reads it. As in
            JSON Schema, properties that are not listed may come unless "additionalProperties" is False; bound lists
            and texts (maxItems, maxLength), or max_tokens may cut the answer off.
        grammar: {"regex": ...} or {"lark": ...} that the answer must match.
        sampling: How tokens are chosen, as `SamplingParams` or as a mapping of its fields; None takes the
            checkpoint's own defaults.
        max_tokens: Most tokens to generate, thought included; None goes on until the context or memory is full.
        stop: Text, or several, that ends the answer; it does not appear in it.
        thinking_budget: Most tokens of thought before it is closed with a bridging sentence; 0 leaves the thought
            empty; None sets no limit but that of `answer_tokens`.
        answer_tokens: Tokens kept for the answer: a thought is closed in time, and one that the model ends without
            an answer is closed too. None keeps a quarter of what may be generated, at most 1,024 (at most 64 beside
            a thinking_budget). 0 keeps none: the model may think to the end.
        loop_guard: Close a thought, and end an answer, that repeats itself exactly: three times, and over at least
            512 tokens.
        speculate: Whether tokens are guessed and checked several in one step; None as `EngineLimits.speculate` says.
            The answer is the same either way.
        image: Limits for all pictures.
        video: Limits and rates for all videos.
        continue_last: Go on with the last message, which is the assistant's: the answer is what follows its text,
            without a thought. Not beside a schema, a grammar or a forced call, which hold for whole answers.
        template_variables: Variables for the checkpoint's chat template, such as {"add_vision_id": True}.
        token_ids: Send a `TokenEvent` for every generated token.
        top_logprobs: Send logprobs too: of the token and of this many most likely ones, 0 to 20; None sends none.
        raw_prompt: Text that goes to the model as it is, around the chat template, in place of messages; special tokens
            in it count as such.
        allow_files: Let messages name files of this computer; False for requests from elsewhere.
        max_visual_tokens: Refuse prompts with more tokens of pictures and videos.
        cancel: Set it from any thread to end the answer after the current slice of work. It stays set: ask again with
            a new request, or with a copy (`copy.copy`), which has its own.

    Raises:
        RequestError: A value is of the wrong type or out of range; its `field` names it.
    """

    messages: Sequence[Json]
    tools: Sequence[Json] | None = None
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    schema: Json | str | None = None
    grammar: Json | None = None
    sampling: SamplingParams | Json | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    thinking_budget: int | None = None
    answer_tokens: int | None = None
    loop_guard: bool = True
    speculate: bool | None = None
    image: ImageOptions | Json | None = None
    video: VideoOptions | Json | None = None
    continue_last: bool = False
    template_variables: Json = field(default_factory=dict)
    token_ids: bool = False
    top_logprobs: int | None = None
    raw_prompt: str | None = None
    allow_files: bool = True
    max_visual_tokens: int | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Refuse values of the wrong type or out of range, and turn mappings into their classes."""
        check_objects("messages", self.messages, "Use ask(...) for one question.")
        if self.tools is not None:
            check_objects("tools", self.tools, "tool_from_function makes one of a function.")
        set_field = object.__setattr__  # frozen: numbers, texts and mappings become what they mean once, here
        for name in _WHOLE:
            set_field(self, name, plain_number(getattr(self, name)))
        _check_whole("max_tokens", self.max_tokens, least=1)
        _check_whole("thinking_budget", self.thinking_budget, least=0)
        _check_whole("answer_tokens", self.answer_tokens, least=0)
        _check_whole("top_logprobs", self.top_logprobs, least=0, most=MAX_TOP_LOGPROBS)
        _check_whole("max_visual_tokens", self.max_visual_tokens, least=0)
        stop = _stops(self.stop)
        self._check_shares()
        if not isinstance(self.tool_choice, str) or not self.tool_choice:
            raise RequestError(
                f'tool_choice: expected "auto", "none", "required" or a tool\'s name as text, '
                f"found {self.tool_choice!r}.",
                field="tool_choice",
            )
        if self.raw_prompt is not None and (not isinstance(self.raw_prompt, str) or self.messages or self.tools):
            raise RequestError(
                "raw_prompt: expected text, without messages and tools beside it. Leave one of them out.",
                field="raw_prompt",
            )
        _check_kind("template_variables", self.template_variables, Mapping, "a mapping")
        if self.grammar is not None:
            _check_kind("grammar", self.grammar, Mapping, "a mapping")
        for name in ("continue_last", "parallel_tool_calls", "token_ids", "allow_files"):
            _check_kind(name, getattr(self, name), bool, "True or False")
        if self.speculate is not None:
            _check_kind("speculate", self.speculate, bool, "True or False")
        if self.continue_last:
            self._check_continued()
        _check_kind("cancel", self.cancel, threading.Event, "a threading.Event")
        set_field(self, "stop", stop)
        set_field(self, "sampling", options_of(SamplingParams, self.sampling, field="sampling"))
        set_field(self, "image", options_of(ImageOptions, self.image, field="image"))
        set_field(self, "video", options_of(VideoOptions, self.video, field="video"))

    def __reduce__(self) -> tuple[Callable[[dict[str, Any]], Request], tuple[dict[str, Any]]]:
        """Be copied and pickled without `cancel`, which belongs to one asking in one process."""
        return _again, ({one.name: getattr(self, one.name) for one in fields(self) if one.name != "cancel"},)

    def _check_continued(self) -> None:
        rules = {"raw_prompt": self.raw_prompt, "schema": self.schema, "grammar": self.grammar}
        beside = next((name for name, value in rules.items() if value is not None), None)
        if beside is None and self.tool_choice not in ("auto", "none"):
            beside = "tool_choice"
        if beside is not None:
            raise RequestError(
                f"continue_last: expected no {beside} beside it, which holds for whole answers. Leave one out.",
                field="continue_last",
            )

    def _check_shares(self) -> None:
        """Refuse a share of the tokens, for the thought or the answer, that leaves the other none."""
        for name in ("thinking_budget", "answer_tokens"):
            value = getattr(self, name)
            if self.max_tokens is not None and value is not None and value >= self.max_tokens:
                left = "answer" if name == "thinking_budget" else "thought"
                raise RequestError(
                    f"{name}: expected less than max_tokens {self.max_tokens}, found {value}; "
                    f"no {left} would come. Lower it.",
                    field=name,
                )

    @property
    def wants_tokens(self) -> bool:
        """Whether a `TokenEvent` is sent for every token."""
        return self.token_ids or self.top_logprobs is not None

    @property
    def skips_thought(self) -> bool:
        """Whether the answer comes without a thought: none is wanted, or there is no room for one."""
        if self.thinking_budget == 0:
            return True
        if self.max_tokens is None or self.answer_tokens == 0:
            return False
        return self.max_tokens - self.kept_tokens(self.max_tokens) < LEAST_THOUGHT_TOKENS

    def kept_tokens(self, max_tokens: int) -> int:
        """Count the tokens kept for the answer when `max_tokens` may be generated."""
        if self.answer_tokens is not None:
            return self.answer_tokens
        return min(max_tokens // 4, MAX_KEPT_TOKENS if self.thinking_budget is None else MAX_KEPT_BESIDE_BUDGET)

    @property
    def prompt_options(self) -> PromptOptions:
        """What the request changes about its prompt."""
        return PromptOptions(
            template_variables=self.template_variables,
            image=given(self.image) if self.image else {},
            video=given(self.video) if self.video else {},
            allow_files=self.allow_files,
            max_visual_tokens=self.max_visual_tokens,
            skips_thought=self.skips_thought,
            continues_last=self.continue_last,
        )

    @property
    def prompt_tools(self) -> Sequence[Json] | None:
        """The tools that the prompt declares, in the shape that models know: none when no call is allowed."""
        if self.tool_choice == "none" or self.tools is None:
            return None
        return [tool if "function" in tool or "name" not in tool else _wrapped(tool) for tool in self.tools]


def _again(values: dict[str, Any]) -> Request:
    return Request(**values)


def _wrapped(function: Json) -> Json:
    return {"type": "function", "function": {key: value for key, value in function.items() if key != "type"}}


def make_request(messages: Sequence[Json], settings: Mapping[str, Any]) -> Request:
    """Make a request of messages and further fields by name; None counts as not given.

    Raises:
        RequestError: There is no such field, or a value is wrong.
    """
    check_settings(settings)
    return Request(messages=messages, **{name: value for name, value in settings.items() if value is not None})


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse names that are no fields of a request besides its messages.

    Raises:
        RequestError: Names the first such name and the ones there are.
    """
    known = [one.name for one in fields(Request) if one.name != "messages"]
    for name in settings:
        if name not in known:
            advice = _advice(name) or f"Known: {', '.join(known)}."
            raise RequestError(f"{name}: no such setting of a request. {advice}", field=name)


def _advice(name: str) -> str | None:
    """Say where a setting of other programs' words belongs."""
    if name in (one.name for one in fields(SamplingParams)):
        return f'It is one of sampling: sampling={{"{name}": ...}}.'
    if name in _ELSEWHERE:
        return f"It is called {_ELSEWHERE[name]} here."
    return None


def check_objects(name: str, value: object, advice: str) -> None:
    """Refuse what is no list of objects.

    Raises:
        RequestError: Names the place, and ends with the advice.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise RequestError(f"{name}: expected a list of objects, found {type(value).__name__}. {advice}", field=name)
    for i, one in enumerate(value):
        if not isinstance(one, Mapping):
            raise RequestError(f"{name}[{i}]: expected an object, found {type(one).__name__}. {advice}", field=name)


def _stops(stop: object) -> tuple[str, ...]:
    stops = (stop,) if isinstance(stop, str) else stop
    if not isinstance(stops, Sequence) or not all(isinstance(one, str) and one for one in stops):
        raise RequestError(f"stop: expected text or a list of texts, none of them empty, found {stop!r}.", field="stop")
    return tuple(stops)


def _check_kind(name: str, value: object, kind: type, expected: str) -> None:
    if not isinstance(value, kind):
        found = repr(value) if kind is bool else type(value).__name__  # numpy's truth values have bool's name
        raise RequestError(f"{name}: expected {expected}, found {one_line(found, max_characters=60)}.", field=name)


def _check_whole(name: str, value: object, *, least: int, most: int | None = None) -> None:
    if value is None:
        return
    limits = f"a whole number of at least {least}" + (f" and at most {most}" if most is not None else "")
    if not isinstance(value, int) or isinstance(value, bool):
        raise RequestError(f"{name}: expected {limits}, found {value!r}.", field=name)
    if value < least or (most is not None and value > most):
        raise RequestError(
            f"{name}: expected {limits}, found {value}. {'Raise' if value < least else 'Lower'} it.", field=name
        )
