"""Make the model-ready prompt: messages and tools in; ids, positions, spans and media out.

messages -> normalised messages -> template text -> media prepared -> placeholders expanded -> ids -> positions.
Nothing is dropped on the way: a message or picture that a template leaves out is an error.
Source: transformers@v4.57.1 models/qwen3_vl/processing_qwen3_vl.py (the form the models were trained with: a video's
whole placeholder is replaced), differs in: special tokens in what people write stay text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

import numpy as np

from edge.config import ModelConfig
from edge.errors import ContextLengthError, MediaError, PromptError
from edge.prompt.media.prepare import Media
from edge.prompt.media.sampling import time_label
from edge.prompt.positions import Span, make_positions
from edge.prompt.text.begun import EMPTY_THOUGHT, add_begun, check_begun
from edge.prompt.text.bound import check_bound
from edge.prompt.text.messages import (
    NormalMessages,
    guard_json,
    normalise_messages,
    normalise_tools,
)
from edge.prompt.text.shield import Shield
from edge.prompt.text.template import ChatTemplate
from edge.prompt.text.tokenizer import Tokenizer
from edge.prompt.types import IMAGE_OPTIONS, VIDEO_OPTIONS, Indexes, MediaItem
from edge.records import dataclass

# Messages, tools and template variables are JSON, checked in `edge.prompt.text.messages`.
Json = Any

__all__ = ["Media", "Prompt", "PromptOptions", "Span", "build_prompt", "check_length", "grounding_hint"]

VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
PADS = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
# Fewer visual tokens than this make boxes inexact (llama.cpp#16842).
GROUNDING_TOKENS = 1024
GROUNDING_WORDS = re.compile(
    r"\b(bbox(_2d|_3d|es)?|point_2d|bounding box(es)?|boxes|coordinates?|locate|localiz\w+|grounding|detect)\b", re.I
)


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """What a request may change about its prompt. None keeps the checkpoint's setting.

    Attributes:
        add_generation_prompt: End with the opening of the assistant's turn.
        add_vision_id: Write `Picture 1: ` before pictures (a variable of the checkpoints' templates).
        template_variables: Further variables for the template.
        image: Options for all pictures: min_pixels, max_pixels, min_tokens, max_tokens.
        video: Options for all videos: min_pixels, max_pixels, fps, min_frames, max_frames.
        max_visual_tokens: Refuse prompts with more visual tokens.
        max_prompt_tokens: Refuse longer prompts.
        allow_files: Let messages name files of this computer; False for requests from elsewhere.
        skips_thought: Where the template opens a thought, close it at once, in the form it has for an empty one.
        continues_last: End with the text of the last message, which is the assistant's and is gone on with.
    """

    add_generation_prompt: bool = True
    add_vision_id: bool = False
    template_variables: Mapping[str, Json] = field(default_factory=dict)
    image: Mapping[str, Json] = field(default_factory=dict)
    video: Mapping[str, Json] = field(default_factory=dict)
    max_visual_tokens: int | None = None
    max_prompt_tokens: int | None = None
    allow_files: bool = True
    skips_thought: bool = False
    continues_last: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A model-ready prompt.

    Attributes:
        text: The text, with one placeholder per span.
        token_ids: (L,) int32.
        positions: (3, L) int32, rows time, height, width.
        spans: Where visual tokens lie: one span per picture and per temporal patch of a video.
        media: Pictures and videos in order of appearance.
        hints: Lines for the user about things that will work badly.
    """

    text: str
    token_ids: Indexes
    positions: Indexes
    spans: tuple[Span, ...]
    media: tuple[Media, ...]
    hints: tuple[str, ...] = ()

    @property
    def next_position(self) -> int:
        """Rotary position of the first generated token, on all three axes."""
        return int(self.positions.max()) + 1

    @property
    def opens_reasoning(self) -> bool:
        """Tell whether the answer starts inside a `<think>` block that the prompt opened."""
        return _opens_thought(self.text)

    @property
    def skips_reasoning(self) -> bool:
        """Tell whether the prompt ends with a thought without words, which `PromptOptions.skips_thought` wrote."""
        return self.text.endswith(EMPTY_THOUGHT)


def build_prompt(
    messages: Sequence[Mapping[str, Json]],
    *,
    tools: Sequence[Mapping[str, Json]] | None = None,
    tokenizer: Tokenizer,
    template: ChatTemplate,
    prepare: Callable[[MediaItem], Media],
    config: ModelConfig,
    options: PromptOptions | None = None,
) -> Prompt:
    """Build a prompt.

    Args:
        messages: Chat messages; content is text, or a list of text, image and video items.
        tools: JSON schemas the model may call.
        tokenizer: The checkpoint's tokenizer.
        template: The checkpoint's chat template.
        prepare: Decodes and resizes one picture or video (see `edge.prompt.media.prepare.prepare_media`).
        config: Gives the ids of the placeholder tokens and the merge size.
        options: What the request changes.

    Raises:
        PromptError: Messages, tools or template cannot be made into a prompt, or it is longer than allowed.
        MediaError: A picture or video cannot be used; `field` names its message.
    """
    options = options or PromptOptions()
    shield = Shield(tokenizer.special_ids, messages, tools, options.template_variables, template.source)
    normal = normalise_messages(messages, shield=shield)
    schemas = normalise_tools(tools, shield=shield)
    if options.max_prompt_tokens is not None:
        check_bound(normal.messages, tokenizer, options.max_prompt_tokens)
    text = _render(template, normal, schemas, options, shield)
    _check_placeholders(text, normal.media)
    # Decoding comes after everything that is quick to refuse.
    media = tuple(_prepare(item, prepare, options) for item in normal.media)
    check_visual_tokens(media, options.max_visual_tokens)
    text = _expand_videos(text, media)
    token_ids, spans = _tokenize(text, media, tokenizer, config, shield)
    if options.max_prompt_tokens is not None:
        check_length(len(token_ids), options.max_prompt_tokens)
    hint = grounding_hint(normal.last_user_text, media)
    return Prompt(
        text=shield.remove(text),
        token_ids=token_ids,
        positions=make_positions(len(token_ids), spans, merge_size=config.vision.spatial_merge_size),
        spans=spans,
        media=media,
        hints=(hint,) if hint else (),
    )


def _opens_thought(text: str) -> bool:
    return text.rstrip().endswith("<think>")


def build_raw_prompt(text: str, *, tokenizer: Tokenizer, config: ModelConfig) -> Prompt:
    """Make a prompt of text as it is.

    Raises:
        PromptError: It is empty, holds a broken character, or the placeholder of a picture or video.
    """
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise PromptError("The raw prompt contains a broken character (a lone surrogate). Remove it.")
    token_ids = tokenizer.encode(text)
    if not token_ids:
        raise PromptError("The raw prompt is empty. Give some text.")
    if {config.image_token_id, config.video_token_id} & set(token_ids):
        raise PromptError("The raw prompt holds the placeholder of a picture or video. Send those in messages.")
    positions = make_positions(len(token_ids), (), merge_size=config.vision.spatial_merge_size)
    return Prompt(text=text, token_ids=np.array(token_ids, np.int32), positions=positions, spans=(), media=())


def check_length(num_tokens: int, limit_tokens: int) -> None:
    """Refuse a prompt that does not fit.

    Raises:
        ContextLengthError: There are more tokens than the limit.
    """
    if num_tokens > limit_tokens:
        raise ContextLengthError(
            f"The prompt has {num_tokens} tokens, the context holds {limit_tokens}. "
            "Shorten it, or give max_pixels or max_frames to make pictures and videos smaller.",
            field="messages",
        )


def check_visual_tokens(media: Sequence[Media], limit_tokens: int | None) -> None:
    """Refuse media with too many visual tokens in all.

    Raises:
        PromptError: There are more than the limit; the message counts them by picture and video.
    """
    total = sum(item.num_tokens for item in media)
    if limit_tokens is not None and total > limit_tokens:
        counts = "; ".join(item.summary for item in media[:4]) + ("; ..." if len(media) > 4 else "")
        raise PromptError(
            f"Pictures and videos make {total} tokens, at most {limit_tokens} are allowed ({counts}). "
            "Give max_pixels or max_frames to make them smaller."
        )


def grounding_hint(question: str, media: Sequence[Media]) -> str | None:
    """Say that boxes will be inexact, when they are asked of a picture that became too few tokens."""
    small = [item for item in media if item.kind == "image" and item.num_tokens < GROUNDING_TOKENS]
    if not small or not GROUNDING_WORDS.search(question):
        return None
    pixels = GROUNDING_TOKENS * small[0].settings.factor ** 2
    if pixels > small[0].settings.max_pixels:
        return None  # advice that the checkpoint's own limit forbids
    return (
        f"Boxes and points are exact from {GROUNDING_TOKENS} visual tokens on; {small[0].label} has "
        f"{small[0].num_tokens}. Give min_pixels {pixels} for better ones."
    )


def _render(
    template: ChatTemplate,
    normal: NormalMessages,
    tools: list[Json] | None,
    options: PromptOptions,
    shield: Shield,
) -> str:
    """Write the text, and see that no system message was left out, as the Instruct template does after the first."""
    variables = guard_json(dict(options.template_variables), "template_variables", shield=shield)
    if options.add_vision_id:
        variables["add_vision_id"] = True
    messages = normal.messages
    if options.continues_last:
        check_begun(messages)
        *messages, begun = messages
    text = template.render(
        messages, tools=tools, add_generation_prompt=options.add_generation_prompt, variables=variables
    )
    lost = sorted(set(normal.witnessed) - shield.find_witnesses(text))
    if lost:
        raise PromptError(
            f"messages[{lost[0]}]: this checkpoint's template leaves out a system message that is not the first. "
            "Move its text into the first message."
        )
    if options.continues_last:
        return add_begun(text, begun, opens_thought=_opens_thought(text))
    if options.skips_thought and _opens_thought(text):
        text = text.rstrip() + EMPTY_THOUGHT
    return text


def _check_placeholders(text: str, media: Sequence[MediaItem]) -> None:
    wanted = [item.kind for item in media]
    pattern = re.compile("|".join(map(re.escape, PADS.values())))
    found = ["image" if match.group() == PADS["image"] else "video" for match in pattern.finditer(text)]
    if found != wanted:
        place = next((i for i, kinds in enumerate(zip(wanted, found, strict=False)) if len(set(kinds)) > 1), len(found))
        lost = media[min(place, len(media) - 1)].label if media else "none"
        raise PromptError(
            f"The template wrote {len(found)} placeholders for {len(wanted)} pictures and videos; the first that "
            f"differs: {lost}. Put pictures and videos into user messages."
        )


def _prepare(item: MediaItem, prepare: Callable[[MediaItem], Media], options: PromptOptions) -> Media:
    """Prepare a picture or video; an error names the message that it was given in."""
    try:
        return prepare(_with_options(item, options))
    except (MediaError, PromptError) as error:
        error.field = error.field or item.where or None
        raise


def _with_options(item: MediaItem, options: PromptOptions) -> MediaItem:
    """Let options beside a picture win over those of the request."""
    general = options.image if item.kind == "image" else options.video
    known = IMAGE_OPTIONS if item.kind == "image" else VIDEO_OPTIONS - {"times_s", "frame_rate", "sample_fps"}
    unknown = sorted(set(general) - known)
    if unknown:
        raise PromptError(f"Unknown {item.kind} option {', '.join(unknown)}. Known: {', '.join(sorted(known))}.")
    given = {key: value for key, value in general.items() if value is not None}
    for end in ("min", "max"):
        if f"{end}_pixels" in item.options or f"{end}_tokens" in item.options:
            given.pop(f"{end}_pixels", None)
            given.pop(f"{end}_tokens", None)
    return replace(item, options={**given, **item.options})


def _expand_videos(text: str, media: Sequence[Media]) -> str:
    """Replace each video's placeholder by one label and placeholder per temporal patch."""
    videos = iter([item for item in media if item.kind == "video"])
    pad = re.escape(PADS["video"])
    pattern = f"{re.escape(VISION_START)}{pad}{re.escape(VISION_END)}|{pad}"
    frame = f"{VISION_START}{PADS['video']}{VISION_END}"
    return re.sub(pattern, lambda _: "".join(time_label(time) + frame for time in next(videos).times_s), text)


def _tokenize(
    text: str, media: Sequence[Media], tokenizer: Tokenizer, config: ModelConfig, shield: Shield
) -> tuple[Indexes, tuple[Span, ...]]:
    """Encode the text and put the visual tokens in the place of the placeholders."""
    pad_ids = {PADS["image"]: config.image_token_id, PADS["video"]: config.video_token_id}
    places = [(i, t) for i, item in enumerate(media) for t in range(item.grid_thw[0])]
    token_ids: list[int] = []
    spans: list[Span] = []
    for piece in tokenizer.split_special(text):
        pad_id = pad_ids.get(piece)
        if pad_id is not None:
            media_index, time = places[len(spans)]
            item = media[media_index]
            length = item.num_tokens // item.grid_thw[0]
            grid = (1, *item.grid_thw[1:])
            spans.append(Span(len(token_ids), length, media_index, time * length, grid))
            token_ids += [pad_id] * length
        elif piece in tokenizer.special_ids:
            token_ids.append(tokenizer.special_ids[piece])
        else:
            token_ids += tokenizer.encode_plain(shield.remove(piece))
    return np.array(token_ids, np.int32), tuple(spans)
