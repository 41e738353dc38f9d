"""Run requests on one loaded checkpoint.

In: a `Request`. Out: events while the answer is made. The engine owns the model, the kept caches and the vision
cache; every request has its own cache, sampler and reader, so streams may be interleaved freely.
The way through: messages -> prompt -> kept prefix -> vision tower (new media only) -> prefill -> tokens -> events.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import mlx.core as mx

from edge.cache.kv import KVCache, make_cache
from edge.cache.prefix import PrefixKey, PrefixPool, SpanKey
from edge.cache.vision import VisionCache
from edge.config import ModelConfig
from edge.errors import MemoryPlanError, PromptError
from edge.events import (
    Answer,
    Event,
    FinishEvent,
    MediaUse,
    PromptEvent,
    ReasoningEvent,
    TextEvent,
)
from edge.generate.answer import AnswerReader, ThinkingBudget
from edge.generate.sampling import Sampler, SamplingParams
from edge.generate.step import Generation
from edge.generate.turn import Turn
from edge.memory import (
    ANSWER_TOKENS,
    MemoryPlan,
    Precision,
    available_bytes,
    choose_chunk_tokens,
    plan_request,
)
from edge.model.qwen3vl import Qwen3VL
from edge.model.types import VisionOutput
from edge.parse.reasoning import CLOSE
from edge.prompt.build import Prompt
from edge.prompt.processor import Processor
from edge.request import Request
from edge.settings import GenerationSettings

KEPT_BYTES = 1 << 30
KEPT_TURNS = 8
VISION_CACHE_BYTES = 1 << 29


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """Bounds of one engine.

    Attributes:
        context_tokens: Most tokens of prompt and answer together; None takes the model's.
        chunk_tokens: Tokens per prefill forward; None chooses by memory.
        kept_bytes: Keys and values kept between turns (the newest turn is always kept).
        kept_turns: Turns kept.
        vision_cache_bytes: Vision results kept.
    """

    context_tokens: int | None = None
    chunk_tokens: int | None = None
    kept_bytes: int = KEPT_BYTES
    kept_turns: int = KEPT_TURNS
    vision_cache_bytes: int = VISION_CACHE_BYTES


class Engine:
    """One checkpoint, ready to answer. Make one with `edge.load`."""

    def __init__(
        self,
        *,
        model: Qwen3VL,
        config: ModelConfig,
        processor: Processor,
        generation: GenerationSettings,
        name: str,
        limits: EngineLimits | None = None,
    ) -> None:
        """Put the parts together; `edge.loading.load` reads them from a folder."""
        self.config = config
        self.name = name
        self.processor = processor
        self.limits = limits or EngineLimits()
        self.context_tokens = self.limits.context_tokens or config.text.max_position_embeddings
        self.default_sampling = _sampling_of(generation)
        self.vision_runs = 0
        self._model = model
        self._end_token_ids = frozenset(generation.eos_token_ids) | frozenset(config.eos_token_ids)
        self._kept: PrefixPool[KVCache] = PrefixPool(
            max_bytes=self.limits.kept_bytes, max_entries=self.limits.kept_turns
        )
        self._seen = VisionCache(max_bytes=self.limits.vision_cache_bytes)
        self._precision = _precision_of(model)
        self._num_running = 0

    def stream(self, request: Request) -> Iterator[Event]:
        """Answer a request piece by piece.

        The prompt is built and checked at once; the model runs as the events are taken.

        Raises:
            PromptError: The messages make no prompt, or it is longer than the context.
            MediaError: A picture or video cannot be read.
            MemoryPlanError: The request does not fit into memory.
        """
        started = time.perf_counter()
        prompt = self.build_prompt(request)
        self._check_length(prompt, request)
        return self._run(request, prompt, prompt_s=time.perf_counter() - started)

    def answer(self, request: Request) -> Answer:
        """Answer a request in one piece; raises like `stream`."""
        text, reasoning = [], []
        for event in self.stream(request):
            if isinstance(event, TextEvent):
                text.append(event.text)
            elif isinstance(event, ReasoningEvent):
                reasoning.append(event.text)
            elif isinstance(event, FinishEvent):
                finish = event
        return Answer("".join(text), "".join(reasoning), finish)

    def build_prompt(self, request: Request) -> Prompt:
        """Build the prompt of a request without running it."""
        return self.processor.build(request.messages, tools=request.tools, options=request.options)

    def _check_length(self, prompt: Prompt, request: Request) -> None:
        length, wanted = len(prompt.token_ids), request.max_tokens or 1
        if length + wanted <= self.context_tokens:
            return
        visual = sum(span.length for span in prompt.spans)
        raise PromptError(
            f"The prompt has {length} tokens ({visual} of pictures and videos) and {wanted} may follow; "
            f"the context holds {self.context_tokens}. Shorten the prompt, or lower --max-pixels or --max-tokens."
        )

    def _run(self, request: Request, prompt: Prompt, *, prompt_s: float) -> Iterator[Event]:
        """Take a cache, answer, and keep the cache if it is known to be whole."""
        key = _prefix_key(prompt)
        cache, kept_tokens = self._kept.take(key) or (make_cache(self.config.text), 0)
        sampler = Sampler(
            request.sampling or self.default_sampling,
            prompt_token_ids=prompt.token_ids,
            vocab_size=self.config.text.vocab_size,
        )
        generation = Generation(self._model, prompt, cache=cache, num_cached=kept_tokens, sampler=sampler)
        if self._num_running == 0:
            mx.reset_peak_memory()
        self._num_running += 1
        is_whole = False
        try:
            yield from self._answer(request, prompt, generation, prompt_s=prompt_s)
            is_whole = True
        except (GeneratorExit, MemoryPlanError):
            is_whole = True  # left between two steps
            raise
        finally:
            self._num_running -= 1
            if is_whole and generation.num_cached:
                answered = key.extended(generation.token_ids, next_position=prompt.next_position)
                self._kept.put(answered.first(generation.num_cached), generation.cache)

    def _answer(self, request: Request, prompt: Prompt, generation: Generation, *, prompt_s: float) -> Iterator[Event]:
        kept_tokens, length = generation.num_cached, len(prompt.token_ids)
        plan = self._plan_memory(prompt, request, kept_tokens=kept_tokens)
        fitting_tokens = min(self.context_tokens - length, plan.max_new_tokens - (length - kept_tokens))
        turn = Turn(
            generation,
            self._make_reader(request, prompt),
            budget=ThinkingBudget(request.thinking_budget, closing_token_ids=self._closing_ids(request)),
            max_tokens=request.max_tokens or fitting_tokens,
            cancel=request.cancel,
        )
        yield self._prompt_event(prompt, kept_tokens)
        started = time.perf_counter()
        outputs, vision_runs = ({}, 0) if request.cancel.is_set() else self._see(prompt, start=kept_tokens)
        vision_s = time.perf_counter() - started
        turn.prefill(outputs, chunk_tokens=self._chunk_tokens(length))
        yield from turn.decode()
        yield turn.finish(vision_runs=vision_runs, prompt_s=prompt_s, vision_s=vision_s)

    def _make_reader(self, request: Request, prompt: Prompt) -> AnswerReader:
        return AnswerReader(
            self.processor.tokenizer,
            starts_in_reasoning=prompt.opens_reasoning,
            stops=request.stop,
            end_token_ids=self._end_token_ids,
        )

    def _chunk_tokens(self, context_tokens: int) -> int:
        return self.limits.chunk_tokens or choose_chunk_tokens(
            self.config.text, precision=self._precision, context_tokens=context_tokens
        )

    def _closing_ids(self, request: Request) -> Sequence[int]:
        """Tokens that close a thought; its text ends with a newline in the model's own format."""
        if request.thinking_budget is None:
            return ()
        return self.processor.tokenizer.encode(("\n" if request.thinking_budget else "") + CLOSE + "\n\n")

    def _plan_memory(self, prompt: Prompt, request: Request, *, kept_tokens: int) -> MemoryPlan:
        """Plan memory; before refusing, let go of what other turns have kept."""
        length, answer_tokens = len(prompt.token_ids), request.max_tokens or ANSWER_TOKENS
        unseen = [
            media.grid_thw
            for index, media in enumerate(prompt.media)
            if _is_needed(prompt, index, start=kept_tokens) and self._seen.find(media.digest) is None
        ]

        def plan() -> MemoryPlan:
            return plan_request(
                self.config,
                precision=self._precision,
                new_tokens=length - kept_tokens + answer_tokens,
                context_tokens=length + answer_tokens,
                unseen=unseen,
                available=available_bytes() + int(mx.get_cache_memory()),
            )

        try:
            return plan()
        except MemoryPlanError:
            self._kept.clear()
            mx.clear_cache()
            return plan()

    def _prompt_event(self, prompt: Prompt, kept_tokens: int) -> PromptEvent:
        media = tuple(
            MediaUse(
                kind=media.kind,
                num_tokens=media.num_tokens,
                source_size=media.source_size,
                resized_size=media.resized_size,
                summary=media.summary,
                is_shrunk=media.is_shrunk,
                is_cached=not _is_needed(prompt, index, start=kept_tokens) or self._seen.find(media.digest) is not None,
            )
            for index, media in enumerate(prompt.media)
        )
        return PromptEvent(len(prompt.token_ids), kept_tokens, media, prompt.hints)

    def _see(self, prompt: Prompt, *, start: int) -> tuple[dict[int, VisionOutput], int]:
        """Get the vision outputs of media with tokens past `start`; the tower runs once per picture (PEERS 26)."""
        outputs: dict[int, VisionOutput] = {}
        runs = 0
        for index, media in enumerate(prompt.media):
            if not _is_needed(prompt, index, start=start):
                continue
            output = self._seen.find(media.digest)
            if output is None:
                output = self._model.encode_vision(mx.array(media.patches), [media.grid_thw])
                mx.eval(output.features, *output.deepstack)
                mx.clear_cache()
                self._seen.keep(media.digest, output)
                runs += 1
            outputs[index] = output
        self.vision_runs += runs
        return outputs, runs


def _is_needed(prompt: Prompt, media_index: int, *, start: int) -> bool:
    """Whether tokens of a medium lie past the kept prefix."""
    return any(span.media_index == media_index and span.start + span.length > start for span in prompt.spans)


def _prefix_key(prompt: Prompt) -> PrefixKey:
    spans = (
        SpanKey(span.start, span.length, prompt.media[span.media_index].digest, span.media_offset)
        for span in prompt.spans
    )
    return PrefixKey(prompt.token_ids, prompt.positions, tuple(spans))


def _sampling_of(generation: GenerationSettings) -> SamplingParams:
    """The checkpoint's own defaults."""
    return SamplingParams(
        temperature=generation.temperature if generation.do_sample else 0.0,
        top_p=generation.top_p,
        top_k=generation.top_k,
        repetition_penalty=generation.repetition_penalty,
        presence_penalty=generation.presence_penalty,
    )


def _precision_of(model: Qwen3VL) -> Precision:
    """Bytes per activation, from a norm's weight: it is never quantized."""
    itemsize = model.language_model.model.norm.weight.itemsize
    return Precision(itemsize=int(itemsize), is_attention_fused=mx.default_device().type == mx.DeviceType.gpu)
