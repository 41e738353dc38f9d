"""Build the loop of a loaded model: its caches, its planner, and how a job becomes a row."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import mlx.core as mx

from edge.checkpoint.build import num_model_bytes
from edge.config import ModelConfig
from edge.kv.prefix import PrefixPool
from edge.kv.vision import VisionMemory
from edge.limits import EngineLimits
from edge.memory import SPARE_BYTES, Precision, precision_for
from edge.model.qwen3vl import Qwen3VL
from edge.prompt.processor import Processor
from edge.records import dataclass
from edge.run.draft import Draft, SeeingDraft
from edge.run.job import Job
from edge.run.loop import Loop, LoopParts, Model
from edge.run.plan import Plan, Planner
from edge.run.row import Row
from edge.run.sample import Sampler, SamplingParams
from edge.run.speculate import DraftGuesser, Guesser, most_guessed
from edge.run.thought import plan_thought
from edge.settings import GenerationSettings
from edge.text.answer import AnswerReader

if TYPE_CHECKING:
    from edge.kv.disk import PrefixStore

ModelReader = Callable[[], Qwen3VL]
DraftReader = Callable[[], Draft]


@dataclass(frozen=True, slots=True)
class Speech:
    """How a checkpoint's answers are read and ended.

    Attributes:
        processor: Tokenizer and templates; ready before the first job.
        end_token_ids: Tokens that end an answer.
        default_sampling: The checkpoint's own advice.
    """

    processor: Future[Processor]
    end_token_ids: frozenset[int]
    default_sampling: SamplingParams

    def make_row(self, job: Job, plan: Plan, *, vocab_size: int, guesser: Guesser | None = None) -> Row:
        """Make the row of a planned job; without a guesser nothing is guessed."""
        request, tokenizer = job.request, self.processor.result().tokenizer
        thinks = job.prompt.opens_reasoning
        sampling = request.sampling
        assert sampling is None or isinstance(sampling, SamplingParams), "requests turn mappings into classes"
        return Row(
            job,
            plan,
            sampler=Sampler(
                sampling or self.default_sampling, prompt_token_ids=job.prompt.token_ids, vocab_size=vocab_size
            ),
            reader=AnswerReader(
                tokenizer,
                starts_in_reasoning=thinks,
                stops=request.stop,
                end_token_ids=self.end_token_ids,
                has_tools=bool(request.prompt_tools),
            ),
            thought=plan_thought(request, max_tokens=plan.max_tokens, encode=tokenizer.encode) if thinks else None,
            end_token_ids=self.end_token_ids,
            guesser=guesser,
        )


def make_loop(
    read_model: ModelReader,
    *,
    config: ModelConfig,
    speech: Speech,
    limits: EngineLimits,
    context_tokens: int,
    identity: str | None = None,
    read_draft: DraftReader | None = None,
) -> Loop:
    """Read a model and build its loop; on the model thread.

    Args:
        read_model: Gives the model, its weights in memory.
        config: Its sizes.
        speech: How its answers are read.
        limits: Bounds of the engine.
        context_tokens: Most tokens of prompt and answer together.
        identity: What weights these are, for turns kept on disk; None keeps none there.
        read_draft: Gives a small model that guesses tokens ahead.
    """
    mx.set_cache_limit(SPARE_BYTES)
    model = read_model()
    draft = None if read_draft is None else read_draft()
    if limits.wire:
        from edge.run.wire import wire

        wire(num_model_bytes(model) + limits.kept_bytes + SPARE_BYTES)
    kept = PrefixPool(max_bytes=limits.kept_bytes, max_entries=limits.kept_turns)
    seen = VisionMemory(max_bytes=limits.vision_cache_bytes)
    store = None if identity is None else _make_store(limits, identity)
    planner = Planner(
        config,
        precision=precision_of(model),
        kv_bits=limits.kv_bits,
        context_tokens=context_tokens,
        chunk_tokens=limits.chunk_tokens,
        weight_bytes=num_model_bytes(model) + (0 if draft is None else draft.weight_bytes),
        more_token_bytes=0 if draft is None else draft.token_bytes,
        kept=kept,
        seen=seen,
        store=store,
    )
    make_guesser = _guesser_maker(config, speech=speech, limits=limits, draft=draft)

    def make_row(job: Job, plan: Plan) -> Row:
        return speech.make_row(job, plan, vocab_size=config.text.vocab_size, guesser=make_guesser(job))

    parts = LoopParts(
        model=_replaying(model),
        num_blocks=config.vision.depth,
        planner=planner,
        kept=kept,
        seen=seen,
        store=store,
        make_row=make_row,
        max_rows=limits.max_rows,
    )
    return Loop(parts)


def _make_store(limits: EngineLimits, identity: str) -> PrefixStore | None:
    if limits.keep_folder is None:
        return None
    from edge.kv.disk import PrefixStore

    kept_as = f"{identity} kv_bits={limits.kv_bits}"
    return PrefixStore(limits.keep_folder, identity=kept_as, max_bytes=limits.keep_folder_bytes)


def seeing_draft(model: Qwen3VL) -> Draft:
    """Make a draft of a Qwen3-VL, its weights in memory."""
    itemsize, weight_bytes = precision_of(model).itemsize, num_model_bytes(model)
    return SeeingDraft(model, model.config, itemsize=itemsize, weight_bytes=weight_bytes)


def _guesser_maker(
    config: ModelConfig, *, speech: Speech, limits: EngineLimits, draft: Draft | None
) -> Callable[[Job], Guesser | None]:
    """Say how the guesser of a job is made; None for a job that wants no guesses."""
    barred = speech.end_token_ids | {config.image_token_id, config.video_token_id, config.vision_start_token_id}
    most = most_guessed(num_heads=config.text.num_heads, num_kv_heads=config.text.num_kv_heads)

    def make(job: Job) -> Guesser | None:
        is_wanted = limits.speculate if job.request.speculate is None else job.request.speculate
        if not is_wanted or not most:
            return None
        if draft is None:
            return Guesser(job.prompt.token_ids, barred=barred, most=most)
        return DraftGuesser(job.prompt, draft=draft, barred=barred, most=most, vocab_size=config.text.vocab_size)

    return make


def sampling_of(generation: GenerationSettings) -> SamplingParams:
    """Return the checkpoint's own defaults."""
    return SamplingParams(
        temperature=generation.temperature if generation.do_sample else 0.0,
        top_p=generation.top_p,
        top_k=generation.top_k,
        repetition_penalty=generation.repetition_penalty,
        min_p=generation.min_p,
        presence_penalty=generation.presence_penalty,
    )


def _replaying(model: Qwen3VL) -> Model:
    """Return the model as the loop calls it: on a GPU short forwards are replayed."""
    if mx.default_device().type != mx.DeviceType.gpu:
        return model
    from edge.run.replay import ShortForwards

    return ShortForwards(model)


def precision_of(model: Qwen3VL) -> Precision:
    """Tell how a model computes here: bytes per activation from a norm's weight, which is never quantized."""
    return precision_for(value_bytes=int(model.language_model.model.norm.weight.itemsize))
