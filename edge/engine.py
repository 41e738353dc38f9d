"""The face of a loaded checkpoint: requests in, events or whole answers out, from any thread.

The engine builds and checks a prompt on the caller's thread and sends it to the one thread that owns the model.
Events come back through a queue; `stream`, `answer`, `map` and their async forms are views of that queue.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from edge.answer import Answer, AnswerParts
from edge.config import ModelConfig
from edge.conversation import Conversation, Message, user_message
from edge.errors import ContextLengthError, EdgeError, RequestError
from edge.events import Event, FinishEvent
from edge.limits import EngineLimits
from edge.options import Image, ImageSource, Video, VideoSource
from edge.prompt.build import Prompt
from edge.prompt.processor import Processor
from edge.request import LEAST_THOUGHT_TOKENS, Request, make_request
from edge.results import EventStream, Result
from edge.run.build import DraftReader, ModelReader, Speech, make_loop, sampling_of
from edge.run.job import Emit, Job
from edge.run.loop import Model
from edge.run.memory_use import MemoryUse
from edge.run.sample import SamplingParams
from edge.run.thread import ModelThread
from edge.settings import GenerationSettings

if TYPE_CHECKING:
    from edge.run.constrain import Constraint, ConstraintFactory

R = TypeVar("R")


class Engine:
    """One checkpoint, ready to answer. Make one with `edge.load`, end it with `close` or a `with` block.

    Threads: every method may be called from any thread, any number at a time, and from any asyncio loop. Requests
    that run at the same time are decoded together; each one's tokens are those it would get alone. An answer is
    cancelled from anywhere by setting its request's `cancel`, or by closing its stream; `close` cancels all.

    Attributes:
        name: What the model is called.
        context_tokens: Most tokens of prompt and answer together.
        default_sampling: What is taken where a request says nothing of sampling: the checkpoint's own settings.
        limits: What the engine may use, as given.
    """

    def __init__(
        self,
        *,
        read_model: ModelReader,
        read_processor: Callable[[], Processor],
        config: ModelConfig,
        generation: GenerationSettings,
        name: str,
        limits: EngineLimits | None = None,
        identity: str | None = None,
        read_draft: DraftReader | None = None,
    ) -> None:
        """Put the parts together; `edge.load` reads them from a checkpoint.

        Args:
            read_model: Reads the weights; called on the model thread, while the processor is read here.
            read_processor: Reads tokenizer, template and settings.
            config: Sizes of the model.
            generation: The checkpoint's own sampling advice and end tokens.
            name: What the model is called.
            limits: Bounds of context, rows and caches.
            identity: What weights these are, for finished turns kept on disk; None keeps none there.
            read_draft: Reads a small model that guesses tokens ahead.
        """
        self.config = config
        self.name = name
        self.limits = EngineLimits() if limits is None else limits
        if not isinstance(self.limits, EngineLimits):
            raise RequestError(f"limits: expected EngineLimits, found {type(limits).__name__}.", field="limits")
        self.context_tokens = self.limits.context_tokens or config.text.max_position_embeddings
        self.default_sampling: SamplingParams = sampling_of(generation)
        processor: Future[Processor] = Future()
        end_token_ids = frozenset(generation.eos_token_ids) | frozenset(config.eos_token_ids)
        speech = Speech(processor, end_token_ids, self.default_sampling)
        given, context = self.limits, self.context_tokens
        self._thread = ModelThread(
            lambda: make_loop(
                read_model,
                config=config,
                speech=speech,
                limits=given,
                context_tokens=context,
                identity=identity,
                read_draft=read_draft,
            )
        )
        # The thread must not hold the engine, or no engine would ever be let go.
        self._finalizer = weakref.finalize(self, self._thread.close)
        try:
            self.processor = read_processor()
            processor.set_result(self.processor)
            self._thread.wait_until_ready()
        except BaseException:
            self.close()
            raise
        self._end_token_ids = end_token_ids
        self._constraints: ConstraintFactory | None = None
        self._lock = threading.Lock()

    @property
    def vision_runs(self) -> int:
        """Pictures and videos the vision tower ran for so far."""
        return self._thread.call(lambda loop: loop.vision_runs)

    # One request ----------------------------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        images: Sequence[ImageSource | Image] = (),
        videos: Sequence[VideoSource | Video] = (),
        **settings: Any,
    ) -> Answer:
        """Ask one question about pictures and videos, and wait for the answer.

        Args:
            question: The text.
            images: Pictures: paths, data URLs, bytes, file objects, PIL pictures, arrays, or `Image`s with options.
            videos: Videos: files, or `Video`s with options.
            settings: Further fields of `Request`, such as max_tokens, schema, tools, sampling.

        Raises:
            EdgeError: As `stream`.
        """
        return self.answer(make_request([user_message(question, images=images, videos=videos)], settings))

    def stream(self, request: Request) -> EventStream:
        """Answer a request piece by piece.

        The prompt is built and checked at once, on this thread; the model runs on its own whether or not events are
        taken.

        Raises:
            RequestError: A value is wrong; `field` names it.
            PromptError: The messages make no prompt.
            ContextLengthError: It is longer than the context, or leaves no room for max_tokens.
            MediaError: A picture or video cannot be read.
            MemoryPlanError: The request can never fit into memory (raised when the first event is taken).
        """
        return self._open_stream(request, None)

    def _open_stream(self, request: Request, taken: Callable[[Event], None] | None) -> EventStream:
        inbox: SimpleQueue[Event | BaseException] = SimpleQueue()
        job = self._make_job(request, inbox.put)
        stream = EventStream(job, inbox, owner=self, taken=taken)
        self._thread.submit(job)
        return stream

    def answer(self, request: Request) -> Answer:
        """Answer a request in one piece; raises like `stream`."""
        return self.stream(request).answer()

    async def astream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer a request piece by piece in an asyncio loop; ending the generator cancels it.

        A `break` alone ends it when Python lets the generator go; `contextlib.aclosing` does so at once.

        Raises:
            EdgeError: As `stream`.
        """
        import asyncio  # 30 ms that a program without it need not wait for

        loop = asyncio.get_running_loop()
        inbox: asyncio.Queue[Event | BaseException] = asyncio.Queue()

        def emit(item: Event | BaseException) -> None:
            loop.call_soon_threadsafe(inbox.put_nowait, item)

        job = await asyncio.to_thread(self._make_job, request, emit)
        self._thread.submit(job)
        try:
            while True:
                item = await inbox.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, FinishEvent):
                    return
        finally:
            job.cancel.set()

    async def aanswer(self, request: Request) -> Answer:
        """Answer a request in one piece in an asyncio loop; cancelling the task cancels it.

        Raises:
            EdgeError: As `stream`.
        """
        parts = AnswerParts()
        events = self.astream(request)
        try:
            async for event in events:
                parts.add(event)
        finally:
            await events.aclose()
        return parts.answer()

    # Many requests --------------------------------------------------------------------------------------------------

    def map(self, requests: Iterable[Request]) -> Generator[Result, None, None]:
        """Answer many requests, several at a time, and give the results as they finish.

        Requests are taken from the iterable as room comes free, so that it may be endless. One that fails has its
        error in its result and disturbs no other. Leaving the iteration (`close`) cancels those that run.

        Raises:
            RequestError: A single request, or nothing that gives some.
        """
        from edge.many import run_many

        if isinstance(requests, Request) or not isinstance(requests, Iterable):
            raise RequestError(
                f"expected Requests, one after the other, found {type(requests).__name__}. Use answer(...) for one.",
                field="requests",
            )
        return run_many(requests, make_job=self._make_job, submit=self._thread.submit, at_once=self.limits.max_rows)

    def chat(self, *, system: str | None = None, messages: Sequence[Message] = (), **settings: Any) -> Conversation:
        """Begin a conversation that keeps its messages, or go on with one that was saved.

        Args:
            system: The system message.
            messages: What was said before, as `Conversation.messages` of an earlier talk.
            settings: Fields of `Request` for all its questions.

        Raises:
            RequestError: There is no such field, the messages are no list of objects, or the system message is no
                text or stands in them too.
        """
        return Conversation(self._open_stream, system=system, messages=messages, **settings)

    def count_tokens(self, request: Request | Sequence[Message]) -> int:
        """Count the tokens of a prompt, those of pictures and videos included; raises like `stream`."""
        request = request if isinstance(request, Request) else Request(messages=request)
        return len(self.build_prompt(request).token_ids)

    def build_prompt(self, request: Request) -> Prompt:
        """Build the prompt of a request without running it; raises like `stream`, but may be longer than fits."""
        return self._build_prompt(request, most_tokens=None)

    def _build_prompt(self, request: Request, *, most_tokens: int | None) -> Prompt:
        if not isinstance(request, Request):
            raise RequestError(
                f"expected a Request, found {type(request).__name__}. Use ask(...) for one question.", field="request"
            )
        if request.raw_prompt is not None:
            return self.processor.build_raw(request.raw_prompt, max_tokens=most_tokens)
        options = replace(request.prompt_options, max_prompt_tokens=most_tokens)
        return self.processor.build(request.messages, tools=request.prompt_tools, options=options)

    def memory(self) -> MemoryUse:
        """Tell what memory was planned and is used: weights, keys and values, kept turns, spare buffers, the peak."""
        return self._thread.call(lambda loop: loop.memory_use())

    def call_model(self, function: Callable[[Model], R]) -> R:
        """Call a function of the model on its thread, between two slices of work: to measure or inspect it.

        Requests wait for it. Arrays that it returns must be evaluated.
        """
        return self._thread.call(lambda loop: function(loop.model))

    # Life -----------------------------------------------------------------------------------------------------------

    def save_kept(self) -> None:
        """Write the finished turns that are kept to `EngineLimits.keep_folder`; `close` does so too."""
        self._thread.call(lambda loop: loop.save_kept())

    def forget_kept(self) -> None:
        """Delete finished turns and vision results, in memory and in `EngineLimits.keep_folder`."""
        self._thread.call(lambda loop: loop.forget_kept())

    def close(self) -> None:
        """Cancel what runs, end the model thread and let the weights go; further requests are refused."""
        self._finalizer()

    def __repr__(self) -> str:
        return f"<edge.Engine of {self.name!r}, {self.context_tokens} tokens of context>"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise EdgeError("An engine cannot be sent to another process. Load the model there.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_job(self, request: Request, emit: Emit) -> Job:
        """Build and check everything about a request that needs no model."""
        started = time.perf_counter()
        prompt = self._build_prompt(request, most_tokens=self.context_tokens)
        self._check_length(prompt, request)
        constraint = self._constrain(request, follows_thought=prompt.opens_reasoning)
        return Job(request, prompt, constraint, emit, started)

    def _constrain(self, request: Request, *, follows_thought: bool) -> Constraint | None:
        """Compile what a request asks of its answer; nothing is imported for one that asks nothing."""
        if request.schema is None and request.grammar is None and not request.tools and request.tool_choice == "auto":
            return None
        from edge.run.constrain import ConstraintFactory

        with self._lock:
            if self._constraints is None:
                vocab_size = self.config.text.vocab_size
                end_ids = self._end_token_ids or {vocab_size - 1}
                self._constraints = ConstraintFactory(self.processor.tokenizer, vocab_size=vocab_size, end_ids=end_ids)
        return self._constraints.make(
            schema=request.schema,
            grammar=request.grammar,
            tools=request.tools,
            tool_choice=request.tool_choice,
            parallel_tool_calls=request.parallel_tool_calls,
            follows_thought=follows_thought,
        )

    def _check_length(self, prompt: Prompt, request: Request) -> None:
        least = LEAST_THOUGHT_TOKENS if prompt.opens_reasoning and request.answer_tokens != 0 else 1
        length, wanted = len(prompt.token_ids), request.max_tokens or least
        if length + wanted <= self.context_tokens:
            return
        visual = sum(span.length for span in prompt.spans)
        raise ContextLengthError(
            f"The prompt has {length} tokens ({visual} of pictures and videos) and {wanted} may follow; "
            f"the context holds {self.context_tokens}. Shorten the prompt, or lower max_pixels or max_tokens.",
            field="max_tokens" if length + least <= self.context_tokens else "messages",
        )
