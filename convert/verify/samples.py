"""Turn conversations into samples: model-ready prompts with their kind and the place where the answer begins.

In: the built-in conversations or a user's JSONL file, and the reference's processor. Out: `SampleSet`, in which each
picture or video is kept once, however many prompts show it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.verify.builtin import builtin_conversations
from edge.errors import MediaError, PromptError
from edge.prompt.build import Prompt, PromptOptions
from edge.prompt.media.prepare import Media
from edge.prompt.processor import Processor
from edge.units import one_line

Json = Any  # a line of the prompt file
BUILTIN = "builtin"
_KEYS = {"name", "kind", "messages", "tools", "unlike"}
_WHERE = "where"  # file and line, of our making
_MOST_LABEL = 60
_MEDIA_KEYS = ("image", "video", "image_url", "video_url")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One prompt of the measurement.

    Attributes:
        name: For reports.
        kind: Text, image, images, video, tools, reasoning, or what the user's file says.
        prompt: With the answer at its end, if there is one.
        media_ids: Index into `SampleSet.media` for each of the prompt's media.
        answer: First token of the answer and the token after its end mark; None without an answer.
        is_unlike: Marked by the prompt file as unlike what candidates were made with; summed up apart.
    """

    name: str
    kind: str
    prompt: Prompt
    media_ids: tuple[int, ...]
    answer: tuple[int, int] | None
    is_unlike: bool = False

    @property
    def length(self) -> int:
        """Tokens."""
        return len(self.prompt.token_ids)

    @property
    def visual_rows(self) -> NDArray[np.int64]:
        """Indexes of visual tokens, (K,)."""
        parts = [np.arange(span.start, span.end) for span in self.prompt.spans]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    @property
    def scored(self) -> NDArray[np.int64]:
        """Positions whose prediction counts: neither they nor what follows are placeholders of a picture."""
        is_visual = np.zeros(self.length + 1, np.bool_)
        is_visual[self.visual_rows] = True
        return np.flatnonzero(~is_visual[:-1] & ~is_visual[1:])

    def visual_features(self, by_media: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Pick the rows (K, D) of `visual_rows` from the features of all media, (M, D) each."""
        parts = [
            by_media[self.media_ids[span.media_index]][span.media_offset : span.media_offset + span.length]
            for span in self.prompt.spans
        ]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True, eq=False)
class SampleSet:
    """All samples and their media, and a digest over ids and pixels."""

    samples: tuple[Sample, ...]
    media: tuple[Media, ...]
    digest: str

    @property
    def num_tokens(self) -> int:
        """Tokens of all prompts."""
        return sum(sample.length for sample in self.samples)

    @property
    def num_patches(self) -> int:
        """Patches of all media."""
        return sum(int(np.prod(media.grid_thw)) for media in self.media)


def read_conversations(source: str) -> list[dict[str, Json]]:
    """Read the prompt file, or take the built-in prompts.

    Args:
        source: `builtin`, or a JSONL file of {"messages": [...], "kind"?, "name"?, "tools"?, "unlike"?}; paths of media
            are relative to the file.

    Raises:
        PromptError: The file is missing or a line cannot be read.
    """
    if source == BUILTIN:
        return list(builtin_conversations())
    path = Path(source)
    try:
        # Not splitlines: JSON's text may hold separators that it takes for ends of lines.
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise PromptError(f"{path}: cannot be read ({why}). Give a JSONL file of messages, or builtin.") from None
    items = [
        _read_line(line, where=f"{path}:{number}", folder=path.parent)
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    if not items:
        raise PromptError(f"{path}: expected one conversation per line, found an empty file.")
    return items


def make_samples(conversations: Iterable[Mapping[str, Json]], processor: Processor) -> SampleSet:
    """Build every conversation with a processor.

    Raises:
        PromptError: A conversation cannot be made into a prompt.
        MediaError: A picture or video cannot be used.
    """
    media: dict[str, Media] = {}
    samples: list[Sample] = []
    digest = hashlib.sha256()
    for number, item in enumerate(conversations, start=1):
        name = _label(item, "name") or f"prompt-{number}"
        where = item.get(_WHERE, name)
        try:
            prompt, answer = _build(item, processor)
        except (PromptError, MediaError) as error:
            raise type(error)(f"{where}: {error}") from None
        for part in prompt.media:
            media.setdefault(part.digest, part)
        order = list(media)
        ids = tuple(order.index(part.digest) for part in prompt.media)
        kind = _label(item, "kind") or _kind_of(prompt)
        samples.append(Sample(name, kind, prompt, ids, answer, is_unlike=bool(item.get("unlike", False))))
        digest.update(prompt.token_ids.tobytes())
        digest.update(repr((name, samples[-1].kind, answer, [part.digest for part in prompt.media])).encode())
    return SampleSet(tuple(samples), tuple(media.values()), digest.hexdigest())


def _label(item: Mapping[str, Json], key: str) -> str:
    """Return a name for tables: on one line and without what ends a cell; empty where none is given."""
    value = item.get(key)
    return "" if value is None else one_line(str(value), max_characters=_MOST_LABEL).replace("|", "/").strip()


def _build(item: Mapping[str, Json], processor: Processor) -> tuple[Prompt, tuple[int, int] | None]:
    messages, tools = item["messages"], item.get("tools")
    last = messages[-1] if messages else None
    if not isinstance(last, dict) or last.get("role") != "assistant":
        return processor.build(messages, tools=tools), None
    prompt = processor.build(messages, tools=tools, options=PromptOptions(add_generation_prompt=False))
    asked = processor.build(messages[:-1], tools=tools)
    if asked.opens_reasoning:
        closed = processor.build(messages[:-1], tools=tools, options=PromptOptions(skips_thought=True))
        asked = closed if _begins(prompt, closed) else asked
    shared = min(len(asked.token_ids), len(prompt.token_ids))
    differs = np.flatnonzero(asked.token_ids[:shared] != prompt.token_ids[:shared])
    start = int(differs[0]) if len(differs) else shared
    marks = [i for i, token in enumerate(prompt.token_ids.tolist()) if processor.tokenizer.is_special(token)]
    stop = marks[-1] + 1 if marks and marks[-1] > start else len(prompt.token_ids)
    return prompt, (start, stop) if 0 < start < stop else None


def _begins(prompt: Prompt, asked: Prompt) -> bool:
    """Tell whether a prompt begins with what was asked: with a closed thought, where the answer has none.

    The answer then begins behind it. A model that is to write an empty thought of its own seldom does.
    """
    own = prompt.token_ids[: len(asked.token_ids)]
    return np.array_equal(own, asked.token_ids)


def _kind_of(prompt: Prompt) -> str:
    kinds = [media.kind for media in prompt.media]
    if not kinds:
        return "text"
    return "video" if "video" in kinds else ("image" if len(kinds) == 1 else "images")


def _read_line(line: str, *, where: str, folder: Path) -> dict[str, Json]:
    try:
        item = json.loads(line)
    except json.JSONDecodeError as error:
        why = f"{error.msg} at character {error.colno}"
        raise PromptError(f"{where}: not readable JSON ({why}). Write one JSON object per line.") from None
    except (ValueError, RecursionError):
        raise PromptError(f"{where}: not readable JSON. Write one JSON object per line.") from None
    if not isinstance(item, dict) or not isinstance(item.get("messages"), list):
        raise PromptError(f'{where}: expected an object with "messages", found {line[:60]!r}.')
    unknown = sorted(set(item) - _KEYS)
    if unknown:
        raise PromptError(f"{where}: unknown key {', '.join(unknown)}. Known: {', '.join(sorted(_KEYS))}.")
    if not isinstance(item.get("unlike", False), bool):
        raise PromptError(f'{where}: "unlike" is true or false, found {item["unlike"]!r}.')
    return item | {_WHERE: where, "messages": [_with_paths(message, folder) for message in item["messages"]]}


def _with_paths(message: Json, folder: Path) -> Json:
    """Make paths of media absolute; everything else stays for `edge.prompt.text.messages` to judge."""
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        return message
    return message | {"content": [dict(_resolved(part, folder)) for part in message["content"]]}


def _resolved(part: Json, folder: Path) -> Iterator[tuple[str, Json]]:
    if not isinstance(part, dict):
        part = {"type": "text", "text": part}
    for key, value in part.items():
        if key in _MEDIA_KEYS and isinstance(value, list):  # the frames of a video
            yield key, [_resolve(item, folder) for item in value]
        else:
            yield key, _resolve(value, folder) if key in _MEDIA_KEYS else value


def _resolve(source: Json, folder: Path) -> Json:
    if isinstance(source, dict) and "url" in source:
        return source | {"url": _resolve(source["url"], folder)}
    is_path = isinstance(source, str) and source and "://" not in source and not source.startswith("data:")
    return str(folder / Path(source).expanduser()) if is_path else source
