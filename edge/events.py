"""What an engine tells about one request, in order: the prompt, pieces of the answer, and how it ended.

Out of `Engine.stream`: perhaps `ProgressEvent`s of the queue, one `PromptEvent`, `ProgressEvent`s of the tower and the
prefill, then pieces (`ReasoningEvent`, `TextEvent`, `ToolCallDeltaEvent`, `ToolCallEvent`, `CutCallEvent`, `NoteEvent`,
and `TokenEvent` if asked for), then one `FinishEvent`.
"""

from __future__ import annotations

from typing import Literal

from edge.records import dataclass

FinishReason = Literal["stop", "length", "tool_calls", "repetition", "cancelled"]


@dataclass(frozen=True, slots=True)
class MediaUse:
    """What became of one picture or video: nothing is scaled down silently.

    Attributes:
        kind: "image" or "video".
        num_tokens: Visual tokens in the prompt.
        source_size: Height and width as given, in pixels.
        resized_size: Height and width the model sees, in pixels.
        summary: All of this in one line, with the limit that shrank it, if one did.
        is_shrunk: Whether a limit on pixels made it smaller.
        is_cached: Whether the vision tower did not have to run for it.
    """

    kind: str
    num_tokens: int
    source_size: tuple[int, int]
    resized_size: tuple[int, int]
    summary: str
    is_shrunk: bool
    is_cached: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts, times and speeds of one request.

    Attributes:
        prompt_tokens: All tokens of the prompt, cached ones included.
        cached_tokens: Prompt tokens whose keys and values came from an earlier or running request.
        completion_tokens: Tokens generated, end token and thought included.
        reasoning_tokens: Of these, tokens of the thought.
        vision_runs: Pictures and videos the vision tower ran for.
        prompt_s: Seconds for reading media and building the prompt.
        queue_s: Seconds the finished prompt waited for room beside other requests.
        vision_s: Seconds of this request's work in the vision tower.
        prefill_s: Seconds of this request's work on its prompt.
        first_token_s: Seconds from the request to its first token (or to its end, if there was none).
        decode_s: Seconds from the first token to the last.
        peak_bytes: Most memory MLX held since the engine was last idle, weights included.
        guessed_tokens: Tokens that were guessed and checked by the model beside the one that was next.
        accepted_tokens: How many of these were right: so many steps were saved.
    """

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    vision_runs: int
    prompt_s: float
    queue_s: float
    vision_s: float
    prefill_s: float
    first_token_s: float
    decode_s: float
    peak_bytes: int
    guessed_tokens: int = 0
    accepted_tokens: int = 0

    @property
    def prefill_tokens_per_s(self) -> float:
        """Prompt tokens computed per second; cached ones do not count."""
        return (self.prompt_tokens - self.cached_tokens) / self.prefill_s if self.prefill_s > 0 else 0.0

    @property
    def decode_tokens_per_s(self) -> float:
        """Tokens per second after the first."""
        return (self.completion_tokens - 1) / self.decode_s if self.completion_tokens > 1 and self.decode_s > 0 else 0.0


@dataclass(frozen=True, slots=True)
class PromptEvent:
    """The request was admitted; nothing is computed yet.

    Attributes:
        prompt_tokens: All tokens of the prompt.
        cached_tokens: Of these, tokens whose keys and values exist already.
        media: What became of each picture and video, in the order of the prompt.
        hints: Lines for the user about what will work badly.
    """

    prompt_tokens: int
    cached_tokens: int
    media: tuple[MediaUse, ...]
    hints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningEvent:
    """A piece of the thought that comes before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class FinishEvent:
    """The end of an answer.

    Attributes:
        reason: "stop" for an end token or stop string, "tool_calls" when the answer ended with calls, "length" when
            tokens ran out, "repetition" when it repeated itself without end, "cancelled".
        stop: The stop string that was found, if one was.
        usage: Counts, times and speeds.
    """

    reason: FinishReason
    stop: str | None
    usage: Usage


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    """How far the work before the first token has come; `done` goes up to `total` in each stage.

    Attributes:
        stage: "queued" (requests before this one), "vision" (blocks of the tower) or "prefill" (prompt tokens).
        done: Units done, 0 <= done <= total.
        total: Units in all.
    """

    stage: Literal["queued", "vision", "prefill"]
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for.

    Attributes:
        index: Place among the calls of this answer, from 0.
        id: A name for the call, unique within a conversation; the result's message repeats it.
        name: The tool's name.
        arguments: The arguments, as the text of a JSON object.
    """

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallDeltaEvent:
    """A piece of a call while it is written.

    Attributes:
        index: Place among the calls of this answer, from 0.
        id: The call's name within the conversation; in the first piece.
        name: The tool's name; in the first piece.
        arguments: More of the arguments; all pieces join to their JSON text.
    """

    index: int
    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallEvent:
    """A call that is complete and whose arguments are a JSON object."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class CutCallEvent:
    """A call whose name came and whose end did not: a limit or a cancel ended the answer inside it.

    Attributes:
        call: Its `arguments` are no JSON but the beginning of some: what the deltas of the call join to.
    """

    call: ToolCall


@dataclass(frozen=True, slots=True)
class NoteEvent:
    """A line for the user about this answer, such as a call that could not be read and came out as text."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenEvent:
    """A generated token, sent only when token ids or logprobs were asked for.

    Attributes:
        token_id: Its id.
        is_reasoning: Whether it belongs to the thought.
        logprob: Natural logarithm of its probability before sampling's cuts; None when not asked for.
        top_logprobs: The most likely tokens of this step and their logprobs, best first; empty when not asked for.
    """

    token_id: int
    is_reasoning: bool
    logprob: float | None = None
    top_logprobs: tuple[tuple[int, float], ...] = ()


Event = (
    ProgressEvent
    | PromptEvent
    | ReasoningEvent
    | TextEvent
    | ToolCallDeltaEvent
    | ToolCallEvent
    | CutCallEvent
    | NoteEvent
    | TokenEvent
    | FinishEvent
)
